"""Runs' messages as they come, for any number of followers in this process (vertesia.md 3.5).

Followers of one run share one reading of its log and one rendering of its messages: each keeps no more than its place
in a common list. A token costs a follower nothing but the write. Chunks of a text are dropped when its final message is
there, so what is held is the messages and the text of now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import msgspec

from perdure.domain.ids import RunKey
from perdure.domain.stored_run import Run
from perdure.http.agents.message import Frame
from perdure.http.agents.messages import Messages
from perdure.ledger.hub import Hub
from perdure.telemetry import LogLine, get_logger

MAX_FRAMES: Final = 256
"""Messages in one write."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A message as it is sent; `ts` is None for a chunk."""

    event_id: int
    ts: int | None
    ends_run: bool
    subjects: tuple[str, ...]
    data: bytes


@dataclass(slots=True, eq=False)
class _Feed:
    """The messages of one run. `items` holds None where one was dropped: a chunk, or what was taken back."""

    items: list[_Item | None] = field(default_factory=list)
    followers: int = 0
    ended: bool = False
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    _told: dict[str, list[int]] = field(default_factory=dict)

    def take(self, frames: list[Frame], taken_back: set[str]) -> None:
        for subject in taken_back:
            self._drop(subject)
        for frame in frames:
            item = _item(frame)
            for subject in item.subjects:
                if item.ts is not None:
                    self._drop(subject, chunks_only=True)
                self._told.setdefault(subject, []).append(len(self.items))
            self.items.append(item)

    def _drop(self, subject: str, *, chunks_only: bool = False) -> None:
        kept = []
        for place in self._told.pop(subject, ()):
            item = self.items[place]
            if chunks_only and item is not None and item.ts is not None:
                kept.append(place)
            else:
                self.items[place] = None
        if kept:
            self._told[subject] = kept

    def wake(self) -> None:
        """Wake everybody who waits; who comes later waits for the next time."""
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()


class MessageFeeds:
    """The feeds of this process, one for each run that somebody follows."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._feeds: dict[RunKey, _Feed] = {}

    async def follow(self, run: Run, since: float | None, *, skip_history: bool) -> AsyncGenerator[bytes, None]:
        """The messages of a run as frames: those after `since`, or with `skip_history` and without it none that were
        there before, then what comes. Ends when the run has ended; its last message is repeated if it was seen before.

        A chunk is told only where it comes after the follower: nobody gets a text twice.
        """
        feed = self._join(run.key)
        place, told_end = 0, False
        try:
            while True:
                grown, items = feed.grown, feed.items[place : place + MAX_FRAMES]
                place += len(items)
                wanted = [item for item in items if item is not None and _wants(item, run, since, skip_history)]
                told_end = wanted[-1].ends_run if wanted else told_end
                if wanted:
                    yield b"".join(item.data for item in wanted)
                if items:
                    continue
                if feed.ended:
                    if not told_end and (last := _last(feed)) is not None and last.ends_run:
                        yield last.data
                    return
                await grown.wait()
        finally:
            await self._leave(run.key, feed)

    def _join(self, key: RunKey) -> _Feed:
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = _Feed()
            feed.task = asyncio.create_task(self._read(key, feed), name="message-feed")
        feed.followers += 1
        return feed

    async def _leave(self, key: RunKey, feed: _Feed) -> None:
        feed.followers -= 1
        if feed.followers or feed.task is None:
            return
        self._forget(key, feed)
        feed.task.cancel()
        await asyncio.gather(feed.task, return_exceptions=True)

    def _forget(self, key: RunKey, feed: _Feed) -> None:
        if self._feeds.get(key) is feed:
            del self._feeds[key]

    async def _read(self, key: RunKey, feed: _Feed) -> None:
        """Read the log to its end. One that grows after that, because the run was restarted, has another feed."""
        messages = Messages()
        try:
            async with aclosing(self._hub.follow(key, 0)) as rows:
                async for row in rows:
                    feed.take(messages.add(row.events), messages.taken_back)
                    feed.wake()
        except Exception:
            get_logger().exception(LogLine.FOLLOW_FAILED)
        finally:
            feed.ended = True
            self._forget(key, feed)
            feed.wake()


def _item(frame: Frame) -> _Item:
    data = b"data: %b\n\n" % msgspec.json.encode(frame.message)
    ts = None if frame.live_only else frame.message.ts
    return _Item(frame.event_id, ts, frame.ends_run, frame.subjects, data)


def _wants(item: _Item, run: Run, since: float | None, skip_history: bool) -> bool:
    """`run` is as it was when the follower joined: what its log held then is history, and only of that `since` speaks.
    It may be the time of a client whose clock is ahead.
    """
    if item.event_id > run.latest_event_id:
        return True
    if item.ts is None or (skip_history and not since):
        return False
    return since is None or item.ts > since


def _last(feed: _Feed) -> _Item | None:
    return next((item for item in reversed(feed.items) if item is not None and item.ts is not None), None)
