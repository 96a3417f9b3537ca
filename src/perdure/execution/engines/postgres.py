"""The default engine: the queue table, leases, and NOTIFY to wake idle workers (design section 4)."""

from __future__ import annotations

from perdure.domain.ids import RunKey
from perdure.execution.attempt import Execute
from perdure.execution.engines.base import Working
from perdure.execution.hands import WorkerOptions
from perdure.execution.worker import Worker
from perdure.services import lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core


class PostgresEngine:
    """Workers take runs from the database; one that dies lets its lease expire, and the run goes to another."""

    def __init__(self, core: Core, options: WorkerOptions) -> None:
        self._core = core
        self._options = options

    async def start(self) -> None:
        """Nothing to do: the workers look into the queue themselves."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def submit(self, key: RunKey) -> None:
        """Wake idle workers: the run stands in the queue already. Raises RunNotFound."""
        run = await run_service.get(self._core, key)
        lifecycle.announce_queued(self._core, run.route)

    async def wake(self, key: RunKey) -> None:
        """The same as submit: the transition that ended the wait put the run in the queue."""
        await self.submit(key)

    async def cancel(self, key: RunKey, reason: str) -> None:
        """Write the wish down and tell the worker. Raises RunNotFound."""
        await lifecycle.cancel(self._core, key, reason)

    async def work(self, serves: frozenset[tuple[str, str]], execute: Execute) -> Working:
        """Start a worker."""
        worker = Worker(self._core, serves, execute, self._options)
        await worker.start()
        return worker
