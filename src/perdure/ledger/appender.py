"""Append, group-committed: a process's concurrent appends travel in one statement and one commit (design section 2)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

from perdure.domain.errors import (
    PerdureError,
    RunNotFound,
    Unavailable,
)
from perdure.domain.event import Append, Appended
from perdure.domain.ids import Clock, RunKey
from perdure.ledger.admission import admitted
from perdure.ledger.replay import rest_of
from perdure.store import run_events, runs
from perdure.store.database import Database
from perdure.telemetry import LogLine, Metrics, get_logger

MAX_GROUP = 256
"""The most appends of one commit."""

_RETRY_DELAYS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, *([0.05] * 100))
"""Seconds between tries of an append whose run is locked by somebody else just now."""


@dataclass(slots=True)
class _Request:
    wanted: Append
    answer: asyncio.Future[Appended | None]


class Appender:
    """Takes appends from everybody in this process and commits them in groups, over a few connections ("lanes").

    One run has at most one append under way, so that its appends keep their order and no lane waits for another.
    `published` is told which runs grew, after the commit.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        published: Callable[[Iterable[RunKey]], None],
        metrics: Metrics,
        lanes: int = 2,
    ) -> None:
        self._database = database
        self._clock = clock
        self._published = published
        self._metrics = metrics
        self._lanes = lanes
        self._queues: dict[RunKey, deque[_Request]] = {}
        self._ready: deque[RunKey] = deque()
        self._wake = asyncio.Event()
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to commit."""
        self._stopped = False
        self._tasks = [asyncio.create_task(self._lane(), name=f"appender-{lane}") for lane in range(self._lanes)]

    async def stop(self) -> None:
        """Stop; appends that are still queued, or come later, are refused as Unavailable. Safe to call twice."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for queue in self._queues.values():
            for request in queue:
                _fail(request, Unavailable("The server is stopping."))
        self._queues.clear()
        self._ready.clear()

    async def append(self, wanted: Append) -> Appended:
        """Store the events of `wanted`, all or none, and answer the run's counters after it.

        An append that was stored before (or its beginning) is recognised by its cursors and not stored again
        (veryfront.md 2.3). Raises RunNotFound, CursorMismatch, TerminalRun, WaitingRun, StaleFence, NotStarted (a
        pending run that its caller executes), and Unavailable when the database is away or the run stays locked.
        """
        for delay in _RETRY_DELAYS:
            done = await self._commit(wanted)
            if done is not None:
                return done
            run = await runs.get(self._database, wanted.key)
            if run is None:
                raise RunNotFound(f"There is no run {wanted.key.run_id}.")
            stored = await admitted(self._database, run, wanted)
            if stored == wanted.event_count:
                return Appended(run.latest_event_id, run.latest_external_sequence, 0, run.revision)
            if stored:
                wanted = rest_of(wanted, stored)
            await asyncio.sleep(delay)
        raise Unavailable(f"Run {wanted.key.run_id} stays locked by somebody else. Try again.")

    async def _commit(self, wanted: Append) -> Appended | None:
        """Queue one append and wait for its group's commit; None when its guards failed or its run was locked."""
        if self._stopped:
            raise Unavailable("The server is stopping.")
        request = _Request(wanted, asyncio.get_running_loop().create_future())
        queue = self._queues.get(wanted.key)
        if queue is None:
            self._queues[wanted.key] = deque((request,))
            self._ready.append(wanted.key)
            self._wake.set()
        else:
            queue.append(request)
        return await request.answer

    async def _lane(self) -> None:
        while True:
            await self._wake.wait()
            group = self._take()
            if not group:
                self._wake.clear()
                continue
            try:
                await self._store(group)
            except Exception:
                get_logger().exception(LogLine.APPEND_FAILED)  # a lane that ended would leave its appends waiting
            finally:
                self._release(group)

    def _take(self) -> list[_Request]:
        """The oldest append of each ready run, at most MAX_GROUP."""
        group: list[_Request] = []
        while self._ready and len(group) < MAX_GROUP:
            group.append(self._queues[self._ready.popleft()][0])
        return group

    def _release(self, group: Sequence[_Request]) -> None:
        """Let the next append of each run go."""
        for request in group:
            queue = self._queues.get(request.wanted.key)
            if queue is None:
                continue
            queue.popleft()
            if queue:
                self._ready.append(request.wanted.key)
                self._wake.set()
            else:
                del self._queues[request.wanted.key]

    async def _store(self, group: Sequence[_Request]) -> None:
        """Commit a group; if the database refuses it as a whole, each of its appends alone."""
        began = perf_counter()
        try:
            answers = await run_events.append(self._database, [request.wanted for request in group], self._clock())
        except asyncio.CancelledError:
            for request in group:
                _fail(request, Unavailable("The server is stopping."))
            raise
        except PerdureError as error:
            for request in group:
                _fail(request, error)
        except Exception as error:
            if len(group) == 1:
                get_logger().error(LogLine.APPEND_FAILED, run_id=group[0].wanted.key.run_id, exc_info=error)
                _fail(group[0], error)
                return
            for request in group:
                await self._store([request])
        else:
            self._answer(group, answers, perf_counter() - began)

    def _answer(self, group: Sequence[_Request], answers: Sequence[Appended | None], seconds: float) -> None:
        for request, answer in zip(group, answers, strict=True):
            if not request.answer.done():
                request.answer.set_result(answer)
        self._published(request.wanted.key for request, answer in zip(group, answers, strict=True) if answer)
        events = sum(answer.appended_count for answer in answers if answer)
        self._metrics.append_committed(appends=len(group), events=events, seconds=seconds)


def _fail(request: _Request, error: Exception) -> None:
    if not request.answer.done():
        request.answer.set_exception(error)
