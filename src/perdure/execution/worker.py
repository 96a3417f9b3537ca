"""A worker: takes due runs up to its limit, runs each in a task, and stops cleanly."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from perdure.domain.errors import PerdureError, Unavailable
from perdure.domain.ids import RunKey
from perdure.domain.lease import Claimed, Held, Renewed
from perdure.domain.stored_run import Run
from perdure.execution.attempt import Attempt, Execute, StopReason
from perdure.execution.heartbeat import Heartbeat
from perdure.ledger.notify import CANCEL_CHANNEL, QUEUE_CHANNEL, run_of
from perdure.services import catalog, lifecycle, losses
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_POLL_SECONDS = 1.0
"""How long a run whose hint got lost, or that was to start later, stays unnoticed."""
_STOP_SECONDS = 5.0
"""How long an interrupted attempt may take to write how it ended."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Limits of a worker. Times in seconds."""

    concurrency: int = 32
    lease_seconds: float = 30.0
    drain_seconds: float = 20.0


@dataclass(slots=True, eq=False)
class _Running:
    attempt: Attempt
    task: asyncio.Task[None]


class Worker:
    """Claims runs of the routes it serves and executes them; its heartbeat keeps their leases."""

    def __init__(
        self, core: Core, serves: frozenset[tuple[str, str]], execute: Execute, options: WorkerOptions
    ) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._core = core
        self._serves = serves
        self._routes = frozenset(f"{kind}:{name}" for kind, name in serves)
        self._execute = execute
        self._options = options
        self._running: dict[RunKey, _Running] = {}
        self._strangers: set[Held] = set()
        self._unseen: set[Held] = set()
        self._errands: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._claimer: asyncio.Task[None] | None = None
        lease = timedelta(seconds=options.lease_seconds)
        self._heartbeat = Heartbeat(core.dsn, core.clock, self.id, lease, self._beaten)
        self._log = get_logger().bind(worker_id=self.id)

    @property
    def alive(self) -> bool:
        """Whether it takes runs."""
        return self._claimer is not None and not self._claimer.done()

    async def start(self) -> None:
        """Make itself known and begin to take runs. Raises Unavailable."""
        await catalog.register(self._core, self.id, sorted(self._serves), self._options.concurrency)
        self._core.router.on(QUEUE_CHANNEL, self._queue_has_work)
        self._core.router.on(CANCEL_CHANNEL, self._cancel_asked)
        self._core.router.after_gap(self._wake.set)
        self._heartbeat.start()
        self._claimer = asyncio.create_task(self._claim_all(), name="claimer")
        self._log.info(LogLine.WORKER_STARTED, targets=sorted(self._routes), concurrency=self._options.concurrency)

    async def stop(self) -> None:
        """Take nothing new, let runs finish for `drain_seconds`, hand the rest back to the queue.

        Safe to call twice.
        """
        if self._claimer is None:
            return
        self._stopping = True
        self._log.info(LogLine.WORKER_DRAINING, runs=len(self._running))
        self._wake.set()
        await asyncio.gather(self._claimer, return_exceptions=True)
        self._claimer = None
        await self._wait_for(self._options.drain_seconds)
        for running in self._running.values():
            self._interrupt(running, StopReason.DRAINED)
        await self._wait_for(_STOP_SECONDS)
        await asyncio.gather(*self._errands, return_exceptions=True)
        await self._heartbeat.stop()
        with suppress(PerdureError):
            await catalog.unregister(self._core, self.id)
        self._log.info(LogLine.WORKER_STOPPED)

    async def _wait_for(self, seconds: float) -> None:
        tasks = [running.task for running in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def _claim_all(self) -> None:
        while not self._stopping:
            self._wake.clear()
            free = self._options.concurrency - len(self._running)
            took = await self._claim(free) if free > 0 else 0
            if took < free or free <= 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _POLL_SECONDS)

    async def _claim(self, free: int) -> int:
        try:
            claimed = await lifecycle.claim(
                self._core, self.id, sorted(self._routes), free, self._options.lease_seconds
            )
            runs = await run_service.get_many(self._core, [taken.key for taken in claimed]) if claimed else {}
        except Unavailable:
            await asyncio.sleep(_POLL_SECONDS)
            return 0
        except Exception:
            self._log.exception(LogLine.CLAIM_FAILED)
            await asyncio.sleep(_POLL_SECONDS)
            return 0
        for taken in claimed:
            if taken.key in runs:
                self._begin(taken, runs[taken.key])
        return len(claimed)

    def _begin(self, claimed: Claimed, run: Run) -> None:
        attempt = Attempt(claimed, run)
        task = asyncio.create_task(self._run(attempt), name=f"run-{claimed.key.run_id}")
        running = _Running(attempt, task)
        self._running[claimed.key] = running
        task.add_done_callback(lambda _: self._ended(running))

    async def _run(self, attempt: Attempt) -> None:
        held = Held(attempt.claimed.key, attempt.claimed.fence)
        try:
            await self._execute(attempt)
        except Exception:
            self._log.exception(LogLine.ATTEMPT_BROKEN, run_id=held.key.run_id, attempt=attempt.claimed.attempt)
            await self._hand_back(held, losses.WORKER_ERROR, delay_ms=1_000)

    def _ended(self, running: _Running) -> None:
        """Forget an attempt; hand its run back if it was interrupted before it could write how it ended."""
        claimed = running.attempt.claimed
        if self._running.get(claimed.key) is running:
            del self._running[claimed.key]
        if running.task.cancelled() and running.attempt.stop is not StopReason.LOST:
            self._hand_back_later(Held(claimed.key, claimed.fence), "interrupted")
        self._wake.set()

    def _hand_back_later(self, held: Held, reason: str) -> None:
        task = asyncio.get_running_loop().create_task(self._hand_back(held, reason))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _hand_back(self, held: Held, reason: str, delay_ms: int = 0) -> None:
        with suppress(PerdureError):
            await lifecycle.give_back(self._core, held, reason, delay_ms=delay_ms)

    def _queue_has_work(self, routes: list[str]) -> None:
        if not self._routes.isdisjoint(routes):
            self._wake.set()

    def _cancel_asked(self, items: list[str]) -> None:
        for item in items:
            key = run_of(item)
            running = self._running.get(key) if key is not None else None
            if running is not None:
                self._interrupt(running, StopReason.CANCELLED)

    def _beaten(self, renewed: Sequence[Renewed]) -> None:
        """What the worker still holds: attempts without a lease are stopped, leases without an attempt handed back."""
        held = {(lease.key, lease.fence): lease for lease in renewed}
        for key, running in list(self._running.items()):
            lease = held.pop((key, running.attempt.claimed.fence), None)
            if lease is None:
                self._maybe_lost(running)
                continue
            self._unseen.discard(Held(key, lease.fence))
            if lease.cancelling:
                self._interrupt(running, StopReason.CANCELLED)
        unknown = {Held(lease.key, lease.fence) for lease in held.values()}
        for stranger in unknown & self._strangers:
            self._hand_back_later(stranger, "claim_lost")
        self._strangers = unknown

    def _maybe_lost(self, running: _Running) -> None:
        """An attempt that a beat did not see: it has just begun or ended, or it has lost its lease."""
        held = Held(running.attempt.claimed.key, running.attempt.claimed.fence)
        if held in self._unseen:
            self._unseen.discard(held)
            self._interrupt(running, StopReason.LOST)
        else:
            self._unseen.add(held)

    def _interrupt(self, running: _Running, reason: StopReason) -> None:
        if running.attempt.stop is None:
            running.attempt.stop = reason
            running.task.cancel()
