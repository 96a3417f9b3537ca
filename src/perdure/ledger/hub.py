"""Follow: catch up from the store, then go on live, without a gap or a duplicate (design section 2).

Followers of one run in one process share one feed, and all feeds share one read: a set of cursors goes to the store,
the new rows come back, and each row is handed to every follower as the same object, so that what a dialect renders
from it is rendered once. A follower that does not keep up loses its buffer, not its place: it reads the store at its
own pace until it has caught up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, time

from perdure.domain.errors import PerdureError, Unavailable
from perdure.domain.event import StoredEvents
from perdure.domain.ids import RunKey
from perdure.store import run_events
from perdure.store.database import Database
from perdure.store.run_events import Tail
from perdure.telemetry import LogLine, Metrics, get_logger

_ROWS_PER_READ = 64
_FEEDS_PER_READ = 512
_POLL_SECONDS = 2.0
"""How long a follower that missed a hint stays unaware."""
_RETRY_SECONDS = 0.2


@dataclass(slots=True, eq=False)
class Delivery:
    """A row of the log on its way to followers; `rendered` keeps what a dialect made of it, by format name."""

    events: StoredEvents
    rendered: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Follower:
    room: int
    buffer: deque[Delivery] = field(default_factory=deque)
    buffered_bytes: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    lagging: bool = True
    ended: bool = False

    def give(self, delivery: Delivery) -> None:
        """Hand over a row, or give up the buffer when it is full. A run that grows after its end was restarted."""
        self.ended = False
        self.buffer.append(delivery)
        self.buffered_bytes += len(delivery.events.text)
        if self.buffered_bytes > self.room and len(self.buffer) > 1:
            get_logger().debug(LogLine.FOLLOWER_SLOW, event_id=delivery.events.first_event_id)
            self.fall_back()
        self.wake.set()

    def fall_back(self) -> None:
        """Give up the buffer: the follower reads the store from where it stands."""
        self.lagging = True
        self.buffer.clear()
        self.buffered_bytes = 0
        self.wake.set()


@dataclass(slots=True, eq=False)
class _Feed:
    """The live part of one run: where it stands, and who listens. `cursor` is None until a follower has caught up."""

    key: RunKey
    cursor: int | None = None
    followers: set[_Follower] = field(default_factory=set)

    def deliver(self, rows: Iterable[StoredEvents]) -> None:
        for row in rows:
            delivery = Delivery(row)
            self.cursor = row.last_event_id
            for follower in self.followers:
                if not follower.lagging:
                    follower.give(delivery)

    def fall_back(self) -> None:
        """The rows are cut otherwise than the feed believes: everybody finds their place in the store."""
        self.cursor = None
        for follower in self.followers:
            follower.fall_back()

    def end(self) -> None:
        """The run has ended and everything was delivered."""
        for follower in self.followers:
            if not follower.lagging:
                follower.ended = True
                follower.wake.set()


class Hub:
    """All followers of this process.

    `room`: how many bytes a follower may have waiting before it falls back to the store.
    """

    def __init__(self, database: Database, metrics: Metrics, room: int = 4 * 1024 * 1024) -> None:
        self._database = database
        self._metrics = metrics
        self._room = room
        self._feeds: dict[RunKey, _Feed] = {}
        self._dirty: dict[RunKey, None] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to read for the followers."""
        self._tasks = [
            asyncio.create_task(self._read_all(), name="hub-reader"),
            asyncio.create_task(self._poll(), name="hub-poller"),
        ]

    async def stop(self) -> None:
        """End every follower's stream and stop. Safe to call twice."""
        self._stopping = True
        for feed in self._feeds.values():
            for follower in feed.followers:
                follower.lagging = False
                follower.ended = True
                follower.wake.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def grew(self, keys: Iterable[RunKey]) -> None:
        """Hint: these logs may have new rows."""
        for key in keys:
            if key in self._feeds:
                self._dirty[key] = None
        if self._dirty:
            self._wake.set()

    def all_grew(self) -> None:
        """Hint: any log may have new rows."""
        self.grew(list(self._feeds))

    async def follow(self, key: RunKey, after: int) -> AsyncGenerator[Delivery, None]:
        """The run's rows after event id `after`, live, private ones included; ends when the run has ended (or is gone)
        and everything was delivered, or when the server stops."""
        feed = self._feeds.setdefault(key, _Feed(key))
        follower = _Follower(self._room)
        feed.followers.add(follower)
        self._metrics.follower_joined()
        cursor = after
        try:
            while not self._stopping:
                if follower.lagging:
                    async for delivery in self._catch_up(feed, follower, cursor):
                        cursor = delivery.events.last_event_id
                        yield delivery
                    continue
                while follower.buffer:
                    delivery = follower.buffer.popleft()
                    follower.buffered_bytes -= len(delivery.events.text)
                    if delivery.events.last_event_id <= cursor:
                        continue
                    if delivery.events.first_event_id <= cursor:
                        delivery = Delivery(delivery.events.after(cursor))
                    cursor = delivery.events.last_event_id
                    yield delivery
                if follower.ended and not follower.lagging:
                    return
                if not follower.lagging:
                    follower.wake.clear()
                    await follower.wake.wait()
        finally:
            self._metrics.follower_left()
            feed.followers.discard(follower)
            if not feed.followers and self._feeds.get(key) is feed:
                del self._feeds[key]

    async def _catch_up(self, feed: _Feed, follower: _Follower, cursor: int) -> AsyncIterator[Delivery]:
        """Read the store from `cursor` until it reaches the feed; then the follower is live."""
        began = monotonic()
        while not self._stopping:
            rows = await self._read_patiently(feed.key, cursor)
            for row in rows:
                cursor = row.last_event_id
                yield Delivery(row)
            if len(rows) < _ROWS_PER_READ and (feed.cursor is None or cursor >= feed.cursor):
                break
        if feed.cursor is None or all(other.lagging for other in feed.followers):
            feed.cursor = cursor
        follower.lagging = False
        self._metrics.follower_caught_up(monotonic() - began)
        self.grew((feed.key,))

    async def _read_patiently(self, key: RunKey, cursor: int) -> list[StoredEvents]:
        while not self._stopping:
            with suppress(Unavailable):
                return await run_events.read(self._database, key, cursor, public_only=False, limit=_ROWS_PER_READ)
            await asyncio.sleep(_RETRY_SECONDS)
        return []

    async def _read_all(self) -> None:
        while True:
            await self._wake.wait()
            feeds = self._take()
            if not feeds:
                self._wake.clear()
                continue
            try:
                await self._read(feeds)
            except Exception as error:
                if not isinstance(error, PerdureError):
                    get_logger().exception(LogLine.FOLLOW_FAILED)
                self._dirty.update((feed.key, None) for feed in feeds)
                await asyncio.sleep(_RETRY_SECONDS)

    def _take(self) -> list[_Feed]:
        """The feeds to be read next. One without a live follower is left out: nobody would get its rows."""
        keys = list(self._dirty)[:_FEEDS_PER_READ]
        for key in keys:
            del self._dirty[key]
        feeds = (self._feeds.get(key) for key in keys)
        return [feed for feed in feeds if feed is not None and feed.cursor is not None]

    async def _read(self, feeds: list[_Feed]) -> None:
        cursors = [(feed.key, feed.cursor or 0) for feed in feeds]
        tails = await run_events.read_tails(self._database, cursors, _ROWS_PER_READ)
        for feed, (_, cursor), tail in zip(feeds, cursors, tails, strict=True):
            if tail is None:
                feed.end()
            elif feed.cursor != cursor:
                self.grew((feed.key,))  # a follower has caught up meanwhile
            else:
                self._hand_out(feed, cursor, tail)

    def _hand_out(self, feed: _Feed, cursor: int, tail: Tail) -> None:
        """Deliver what stands after the feed's cursor."""
        if tail.latest_event_id < cursor:
            feed.cursor = tail.latest_event_id  # the first follower joined ahead of the log
        elif tail.latest_event_id > cursor and (not tail.rows or tail.rows[0].first_event_id != cursor + 1):
            feed.fall_back()
            return
        feed.deliver(tail.rows)
        if tail.rows:
            newest = tail.rows[-1]
            self._metrics.follower_delivered(time() - (newest.first_ts + len(newest.types) - 1) / 1000)
        if len(tail.rows) == _ROWS_PER_READ:
            self.grew((feed.key,))
        elif tail.status.terminal and feed.cursor == tail.latest_event_id:
            feed.end()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            self.all_grew()
