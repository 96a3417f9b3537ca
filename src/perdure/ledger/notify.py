"""Hints between processes, coalesced: which logs grew, which runs were made or moved on, which queues have work, which
runs are to be cancelled, which keys have ended.

They are sent after the commit and on a connection of their own, because a pending notification serialises commits
(design section 2). A lost hint costs a few seconds, never an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from uuid import UUID

from perdure.domain.errors import PerdureError
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.store import notifications
from perdure.store.database import Database
from perdure.telemetry import LogLine, get_logger

LOG_CHANNEL = "perdure_log"
RUNS_CHANNEL = "perdure_moves"
"""Runs that were made, or whose status moved: none for what only their logs say."""
QUEUE_CHANNEL = "perdure_queue"
CANCEL_CHANNEL = "perdure_cancel"
KEYS_CHANNEL = "perdure_keys"
ENDED_CHANNEL = "perdure_ended"
"""Runs that this process has ended; the others are not told."""
ANY_ROUTE = "*"
"""On the queue's channel: runs of any route may go on, because a limit has room."""
CHANNELS = (LOG_CHANNEL, RUNS_CHANNEL, QUEUE_CHANNEL, CANCEL_CHANNEL, KEYS_CHANNEL)


_GATHER_SECONDS = 0.002
"""How long hints are gathered before they are sent."""


class Notifier:
    """Sends hints to the other processes. What is said while one batch travels goes with the next."""

    def __init__(self, database: Database, origin: str) -> None:
        self._database = database
        self._origin = origin
        self._said: dict[str, set[str]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._send_all(), name="notifier")

    async def stop(self) -> None:
        """Send what is left and stop. Safe to call twice."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        with suppress(PerdureError):
            await self._send_batch()

    def say(self, channel: str, items: Iterable[str]) -> None:
        """Hint at `items` (each without line breaks) on a channel."""
        self._said.setdefault(channel, set()).update(items)
        self._wake.set()

    async def _send_all(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._wake.clear()
            try:
                await self._send_batch()
            except Exception as error:
                get_logger().warning(LogLine.NOTIFY_FAILED, error=str(error))

    async def _send_batch(self) -> None:
        said, self._said = self._said, {}
        hints = [(channel, payload) for channel, items in said.items() for payload in pack(self._origin, items)]
        if hints:
            await notifications.send(self._database, hints)


def pack(origin: str, items: Iterable[str]) -> Iterable[str]:
    """Items as payloads: the origin, then an item a line, none longer than PostgreSQL takes."""
    lines, size = [origin], len(origin)
    for item in items:
        length = len(item.encode()) + 1
        if size + length >= notifications.MAX_PAYLOAD and len(lines) > 1:
            yield "\n".join(lines)
            lines, size = [origin], len(origin)
        lines.append(item)
        size += length
    if len(lines) > 1:
        yield "\n".join(lines)


def unpack(payload: str) -> tuple[str, list[str]]:
    """A payload's origin and items."""
    origin, *items = payload.split("\n")
    return origin, items


def run_item(key: RunKey) -> str:
    """A run as an item, which holds no line break (a run id may: callers choose it)."""
    return f"{key.project_id}/{key.run_id}".replace("%", "%25").replace("\n", "%0A")


def run_of(item: str) -> RunKey | None:
    """The run that an item names; None for anything else."""
    project, _, run_id = item.replace("%0A", "\n").replace("%25", "%").partition("/")
    try:
        return RunKey(ProjectId(UUID(project)), RunId(run_id))
    except ValueError:
        return None


class Router:
    """Hands what a listener hears to those who asked for the channel; what this process said itself is left out."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._handlers: dict[str, list[Callable[[list[str]], None]]] = {}
        self._after_gaps: list[Callable[[], None]] = []

    def on(self, channel: str, handler: Callable[[list[str]], None]) -> None:
        """Call `handler(items)` for each payload of a channel."""
        self._handlers.setdefault(channel, []).append(handler)

    def after_gap(self, handler: Callable[[], None]) -> None:
        """Call `handler()` when hints may have been missed."""
        self._after_gaps.append(handler)

    def heard(self, channel: str, payload: str) -> None:
        """A notification came in."""
        origin, items = unpack(payload)
        if origin != self._origin:
            self.heard_here(channel, items)

    def heard_here(self, channel: str, items: list[str]) -> None:
        """A hint for this process itself."""
        for handler in self._handlers.get(channel, ()):
            handler(items)

    def lost(self) -> None:
        """The listener was away for a while."""
        for handler in self._after_gaps:
            handler()
