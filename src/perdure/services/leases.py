"""Keep leases alive, from a connection of its own: the heartbeat must not depend on the event loop that runs the
agents.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from perdure.domain.ids import Clock
from perdure.domain.lease import Renewed
from perdure.store import catalog, run_queue
from perdure.store.database import Database
from perdure.store.runs import at

SILENT_AFTER = timedelta(minutes=5)
"""A worker that was not heard of for so long is forgotten."""


class LeaseKeeper:
    """Renews the leases of one worker."""

    def __init__(self, database: Database, clock: Clock, worker_id: str, lease: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._worker_id = worker_id
        self._lease = lease

    async def beat(self) -> list[Renewed]:
        """Extend every lease that the worker holds; one that is missing from the answer is lost. Raises Unavailable."""
        now = at(self._clock())
        renewed = await run_queue.renew(self._database, self._worker_id, now + self._lease)
        await catalog.heartbeat(self._database, self._worker_id, now, now - SILENT_AFTER)
        return renewed


@asynccontextmanager
async def lease_keeper(dsn: str, clock: Clock, worker_id: str, lease: timedelta) -> AsyncIterator[LeaseKeeper]:
    """A lease keeper with its own connection, for the event loop that enters it. Raises Unavailable."""
    database = await Database.open(dsn, size=1, name="perdure-heartbeat")
    try:
        yield LeaseKeeper(database, clock, worker_id, lease)
    finally:
        await database.close()
