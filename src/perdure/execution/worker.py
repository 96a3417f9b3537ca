"""The worker of the postgres engine: takes due runs from the queue up to its limit, and stops cleanly."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from perdure.domain.errors import Unavailable
from perdure.execution.attempt import Execute
from perdure.execution.hands import Hands, WorkerOptions
from perdure.ledger.notify import ANY_ROUTE, QUEUE_CHANNEL
from perdure.services import lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_POLL_SECONDS = 1.0
"""How long a run whose hint got lost, or that was to start later, stays unnoticed."""


class Worker:
    """Claims runs of the routes it serves and executes them."""

    def __init__(
        self, core: Core, serves: frozenset[tuple[str, str]], execute: Execute, options: WorkerOptions
    ) -> None:
        self._core = core
        self._options = options
        self._wake = asyncio.Event()
        self._hands = Hands(core, serves, execute, options, self._wake.set)
        self._stopping = False
        self._claimer: asyncio.Task[None] | None = None
        self._log = get_logger().bind(worker_id=self._hands.worker_id)

    @property
    def alive(self) -> bool:
        """Whether it takes runs."""
        return self._claimer is not None and not self._claimer.done()

    async def start(self) -> None:
        """Make itself known and begin to take runs. Raises Unavailable."""
        await self._hands.start()
        self._core.router.on(QUEUE_CHANNEL, self._queue_has_work)
        self._core.router.after_gap(self._wake.set)
        self._claimer = asyncio.create_task(self._claim_all(), name="claimer")

    async def stop(self) -> None:
        """Take nothing new, let runs finish for `drain_seconds`, hand the rest back to the queue.

        Safe to call twice.
        """
        if self._claimer is None:
            return
        self._stopping = True
        self._hands.draining()
        self._wake.set()
        await asyncio.gather(self._claimer, return_exceptions=True)
        self._claimer = None
        await self._hands.drain()
        await self._hands.stop()

    async def _claim_all(self) -> None:
        while not self._stopping:
            self._wake.clear()
            free = self._hands.free
            took = await self._claim(free) if free > 0 else 0
            if took < free or free <= 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    async def _claim(self, free: int) -> int:
        try:
            claimed = await lifecycle.claim(
                self._core, self._hands.worker_id, sorted(self._hands.routes), free, self._options.lease_seconds
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
                self._hands.begin(taken, runs[taken.key])
        return len(claimed)

    def _queue_has_work(self, routes: list[str]) -> None:
        if ANY_ROUTE in routes or not self._hands.routes.isdisjoint(routes):
            self._wake.set()
