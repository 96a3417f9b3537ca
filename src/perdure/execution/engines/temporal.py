"""The engine for those who outgrow one database's queue: Temporal places the runs (design section 4, ADR 0010).

The database stays the truth, and keeps the order: a run is claimed there, under a fence, by whoever Temporal has
chosen, and every write of its executor carries that fence. Its lease says whether that one lives, not Temporal.
"""

from __future__ import annotations

from datetime import timedelta

from perdure.domain.ids import RunKey
from perdure.execution.attempt import Execute
from perdure.execution.engines.base import Working
from perdure.execution.engines.opening import TemporalPlace
from perdure.execution.engines.temporal_orders import Orders
from perdure.execution.engines.temporal_worker import TemporalWorker
from perdure.execution.hands import WorkerOptions
from perdure.services import lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core


class TemporalEngine:
    """Temporal chooses the worker; the lease of one that dies expires, and the run goes to another."""

    def __init__(self, core: Core, options: WorkerOptions, place: TemporalPlace) -> None:
        self._core = core
        self._options = options
        self._place = place
        self._orders = Orders(core, place, timedelta(seconds=options.lease_seconds))

    async def start(self) -> None:
        """Begin to tell Temporal of pending runs. Raises OSError where a file of the settings cannot be read."""
        await self._orders.start()

    async def stop(self) -> None:
        """Tell Temporal of what was handed back, and stop. Safe to call twice."""
        await self._orders.stop()

    async def submit(self, key: RunKey) -> None:
        """Tell Temporal now: the run stands in the queue already. Raises RunNotFound."""
        await run_service.get(self._core, key)
        self._orders.wake()

    async def wake(self, key: RunKey) -> None:
        """The same as submit: the transition that ended the wait put the run in the queue."""
        await self.submit(key)

    async def cancel(self, key: RunKey, reason: str) -> None:
        """Write the wish down and tell the worker; where there is none the workflow is ended. Raises RunNotFound."""
        await lifecycle.cancel(self._core, key, reason)

    async def work(self, serves: frozenset[tuple[str, str]], execute: Execute) -> Working:
        """Start a worker."""
        worker = TemporalWorker(self._core, serves, execute, self._options, self._place, self._orders.wake)
        await worker.start()
        return worker
