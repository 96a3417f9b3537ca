"""What a worker has in hand: its attempts, each in a task, and their leases, which a heartbeat keeps.

How runs come into its hands is the engine's business; how they go on and end is the same under each of them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from perdure.domain.errors import PerdureError
from perdure.domain.ids import RunKey
from perdure.domain.lease import Claimed, Held, Renewed
from perdure.domain.remote_agent import ROUTE as REMOTE_ROUTE
from perdure.domain.stored_run import Run
from perdure.execution.attempt import Attempt, Execute, StopReason
from perdure.execution.heartbeat import Heartbeat
from perdure.ledger.notify import CANCEL_CHANNEL, run_of
from perdure.services import catalog, lifecycle, losses
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_STOP_SECONDS = 5.0
"""How long an interrupted attempt may take to write how it ended."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Limits of a worker, times in seconds; and the version of the code that it executes."""

    concurrency: int = 32
    lease_seconds: float = 30.0
    drain_seconds: float = 20.0
    version: str | None = None


@dataclass(slots=True, eq=False)
class InHand:
    """An attempt that is executed, and its task."""

    attempt: Attempt
    task: asyncio.Task[None]


class Hands:
    """Executes claimed runs, stops those that are cancelled or lost, and hands back what does not finish.

    `freed` is called each time an attempt has ended.
    """

    def __init__(
        self,
        core: Core,
        serves: frozenset[tuple[str, str]],
        execute: Execute,
        options: WorkerOptions,
        freed: Callable[[], None],
    ) -> None:
        self.worker_id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.routes = frozenset({REMOTE_ROUTE, *(f"{kind}:{name}" for kind, name in serves)})
        self._core = core
        self._serves = serves
        self._execute = execute
        self._options = options
        self._freed = freed
        self._running: dict[RunKey, InHand] = {}
        self._strangers: set[Held] = set()
        self._unseen: set[Held] = set()
        self._errands: set[asyncio.Task[None]] = set()
        lease = timedelta(seconds=options.lease_seconds)
        self._heartbeat = Heartbeat(core.dsn, core.clock, self.worker_id, lease, self._beaten)
        self._log = get_logger().bind(worker_id=self.worker_id)

    @property
    def free(self) -> int:
        """How many runs more it may take."""
        return self._options.concurrency - len(self._running)

    async def start(self) -> None:
        """Make the worker known, listen for cancels, begin to beat. Raises Unavailable."""
        options = self._options
        await catalog.register(self._core, self.worker_id, sorted(self._serves), options.concurrency, options.version)
        self._core.router.on(CANCEL_CHANNEL, self._cancel_asked)
        self._heartbeat.start()
        self._log.info(LogLine.WORKER_STARTED, targets=sorted(self.routes), concurrency=self._options.concurrency)

    def draining(self) -> None:
        """Say that nothing more is taken."""
        self._log.info(LogLine.WORKER_DRAINING, runs=len(self._running))

    async def drain(self) -> None:
        """Let runs finish for `drain_seconds`, and hand the rest back to the queue."""
        await self._wait_for(self._options.drain_seconds)
        for running in self._running.values():
            self.interrupt(running, StopReason.DRAINED)
        await self._wait_for(_STOP_SECONDS)
        await asyncio.gather(*self._errands, return_exceptions=True)

    async def stop(self) -> None:
        """Stop to beat; the worker is known no more."""
        await self._heartbeat.stop()
        with suppress(PerdureError):
            await catalog.unregister(self._core, self.worker_id)
        self._log.info(LogLine.WORKER_STOPPED)

    async def _wait_for(self, seconds: float) -> None:
        tasks = [running.task for running in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def begin(self, claimed: Claimed, run: Run) -> InHand:
        """Execute a run that was claimed for this worker."""
        attempt = Attempt(claimed, run)
        task = asyncio.create_task(self._run(attempt), name=f"run-{claimed.key.run_id}")
        running = InHand(attempt, task)
        self._running[claimed.key] = running
        task.add_done_callback(lambda _: self._ended(running))
        return running

    async def _run(self, attempt: Attempt) -> None:
        held = Held(attempt.claimed.key, attempt.claimed.fence)
        try:
            await self._execute(attempt)
        except Exception:
            self._log.exception(LogLine.ATTEMPT_BROKEN, run_id=held.key.run_id, attempt=attempt.claimed.attempt)
            await self._hand_back(held, losses.WORKER_ERROR, delay_ms=1_000)

    def _ended(self, running: InHand) -> None:
        """Forget an attempt; hand its run back if it was interrupted before it could write how it ended."""
        claimed = running.attempt.claimed
        if self._running.get(claimed.key) is running:
            del self._running[claimed.key]
        if running.task.cancelled() and running.attempt.stop is not StopReason.LOST:
            self._hand_back_later(Held(claimed.key, claimed.fence), "interrupted")
        self._freed()

    def _hand_back_later(self, held: Held, reason: str) -> None:
        task = asyncio.get_running_loop().create_task(self._hand_back(held, reason))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _hand_back(self, held: Held, reason: str, delay_ms: int = 0) -> None:
        with suppress(PerdureError):
            await lifecycle.give_back(self._core, held, reason, delay_ms=delay_ms)

    def _cancel_asked(self, items: list[str]) -> None:
        for item in items:
            key = run_of(item)
            running = self._running.get(key) if key is not None else None
            if running is not None:
                self.interrupt(running, StopReason.CANCELLED)

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
                self.interrupt(running, StopReason.CANCELLED)
        unknown = {Held(lease.key, lease.fence) for lease in held.values()}
        for stranger in unknown & self._strangers:
            self._hand_back_later(stranger, "claim_lost")
        self._strangers = unknown

    def _maybe_lost(self, running: InHand) -> None:
        """An attempt that a beat did not see: it has just begun or ended, or it has lost its lease."""
        held = Held(running.attempt.claimed.key, running.attempt.claimed.fence)
        if held in self._unseen:
            self._unseen.discard(held)
            self.interrupt(running, StopReason.LOST)
        else:
            self._unseen.add(held)

    def interrupt(self, running: InHand, reason: StopReason) -> None:
        """Cancel an attempt, unless it is being stopped already."""
        if running.attempt.stop is None:
            running.attempt.stop = reason
            running.task.cancel()
