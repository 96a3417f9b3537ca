"""An attempt's way into the log: public events gathered for some tens of milliseconds, steps at once, all under the
fence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import groupby
from time import monotonic

from ag_ui.core import BaseEvent

from perdure.domain.errors import AppendRefused, NotFound, Unavailable
from perdure.domain.event import MAX_EVENT_BYTES, STEP_RECORD, Append, Segment, custom, line_of
from perdure.domain.fold import LogFold, encode_step
from perdure.domain.lease import Claimed
from perdure.domain.past import Past
from perdure.services import events as event_service
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

MAX_WAITING = 2_000
"""Events on the way before `emit` waits for the database."""

_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)


class LeaseLost(Exception):
    """Another attempt holds the run, or it has ended: nothing that this attempt does counts any more."""


class Recorder:
    """`RunLog` over the ledger, for one attempt.

    Everything is appended in the order it came in, one append at a time, so a step never becomes durable before the
    events that precede it. `lost()` is called once when the log refuses the attempt.
    """

    def __init__(
        self, core: Core, claimed: Claimed, past: Past, flush_seconds: float, lost: Callable[[], None]
    ) -> None:
        self._core = core
        self._claimed = claimed
        self._steps = dict(past.steps)
        self._fold = LogFold(past)
        self._flush_seconds = flush_seconds
        self._lost_callback = lost
        self._lost = False
        self._latest_event_id = claimed.latest_event_id
        self._waiting: list[tuple[bool, str, str]] = []
        self._flushing = asyncio.Lock()
        self._flushes: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._last_flush = 0.0
        self._task: asyncio.Task[None] | None = None

    def step(self, key: str) -> bytes | None:
        """The recorded result of a step, None when there is none."""
        recorded = self._steps.get(key)
        if recorded is not None:
            self._core.metrics.step(replayed=True)
            get_logger().debug(LogLine.STEP_REPLAYED, step=key)
        return recorded

    async def emit(self, *events: BaseEvent) -> None:
        """Take public events; they are in the log within the flush interval. Raises LeaseLost."""
        self._check()
        self.take_last(events)
        self._ensure_flusher()
        self._wake.set()
        if len(self._waiting) > MAX_WAITING:
            await self.flush()

    async def record(self, key: str, value: bytes) -> None:
        """Make a step durable, with and after everything emitted before. Raises LeaseLost."""
        self._check()
        for line in encode_step(key, value):
            self._waiting.append((False, STEP_RECORD, line))
        await self.flush()
        self._steps[key] = value
        self._core.metrics.step(replayed=False)

    async def flush(self) -> None:
        """Return when everything taken is durable.

        Raises LeaseLost. Cancelling the caller does not stop what is on its way.
        """
        task = asyncio.get_running_loop().create_task(self._flush())
        self._flushes.add(task)
        task.add_done_callback(self._flushed)
        await asyncio.shield(task)

    def past(self) -> Past:
        """The log as this attempt leaves it, with everything taken so far."""
        return self._fold.past()

    def take_last(self, events: Iterable[BaseEvent]) -> None:
        """Take events without sending them: `close` hands them over."""
        for event in events:
            self._fold.observe(event)
            self._waiting.append((True, event.type.value, _line(event)))

    async def close(self) -> tuple[Segment, ...]:
        """Stop flushing and hand over what is not in the log yet, to be written with the transition that ends the
        attempt.
        """
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        async with self._flushing:
            return self._take()

    async def _flush(self) -> None:
        async with self._flushing:
            self._check()
            while self._waiting:
                await self._store(self._take())

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._flushes.discard(task)
        if not task.cancelled():
            task.exception()  # a caller that was cancelled does not look at it

    def _check(self) -> None:
        if self._lost:
            raise LeaseLost

    def _take(self) -> tuple[Segment, ...]:
        taken, self._waiting = self._waiting, []
        return tuple(
            Segment(types=tuple(kind for _, kind, _ in group), lines=tuple(line for _, _, line in group), public=public)
            for public, group in ((public, list(items)) for public, items in groupby(taken, lambda item: item[0]))
        )

    def _ensure_flusher(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._flush_regularly(), name=f"recorder-{self._claimed.key.run_id}")

    async def _flush_regularly(self) -> None:
        """The first event goes at once, the following ones together."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(max(0.0, self._last_flush + self._flush_seconds - monotonic()))
            try:
                await self.flush()
            except LeaseLost:
                return
            self._last_flush = monotonic()

    async def _store(self, segments: tuple[Segment, ...]) -> None:
        """Append, through outages of the database: an answer that got lost is looked up before anything is sent
        again.
        """
        wanted = Append(self._claimed.key, segments, fence=self._claimed.fence)
        tries = 0
        while True:
            try:
                done = await self._core.appender.append(wanted)
                self._latest_event_id = done.latest_event_id
                return
            except Unavailable:
                await asyncio.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
                tries += 1
            except (AppendRefused, NotFound) as error:
                self._lose()
                raise LeaseLost from error
            if await self._was_stored(segments):
                return

    async def _was_stored(self, segments: tuple[Segment, ...]) -> bool:
        try:
            found = await event_service.find_segments(self._core, self._claimed.key, self._latest_event_id, segments)
        except Unavailable:
            return False
        if found is not None:
            self._latest_event_id = found
        return found is not None

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._core.metrics.write_fenced()
            get_logger().warning(LogLine.WRITE_FENCED, fence=self._claimed.fence)
            self._lost_callback()


def _line(event: BaseEvent) -> str:
    line = event.model_dump_json(by_alias=True)
    if len(line.encode()) < MAX_EVENT_BYTES:
        return line
    return line_of(custom("conversation-run-event-omitted", {"type": event.type.value, "bytes": len(line.encode())}))
