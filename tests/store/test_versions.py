"""Runs in flight stay with workers of the version that began them, while one is alive."""

from __future__ import annotations

from perdure.domain.ids import RunKey
from perdure.domain.lease import Held
from perdure.domain.run import Executor, Finish, Status
from perdure.services import catalog, lifecycle
from perdure.services.core import Core
from tests.store.harness import ROUTE, ManualClock, new_run, server

LEASE_SECONDS = 30


async def claim(core: Core, worker: str) -> list[RunKey]:
    return [taken.key for taken in await lifecycle.claim(core, worker, [ROUTE], 5, LEASE_SECONDS)]


async def test_a_run_in_flight_is_left_to_workers_of_its_version(database: str) -> None:
    clock = ManualClock()
    async with server(database, hints=False, clock=clock) as core:
        for name, version in (("old", "1"), ("old-too", "1"), ("new", "2")):
            await catalog.register(core, name, [("agent", "echo")], 1, version)
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        assert await claim(core, "old") == [key]
        await lifecycle.give_back(core, Held(key, 1), "worker_stopped")
        assert await claim(core, "new") == []
        assert await claim(core, "old-too") == [key]
        await lifecycle.give_back(core, Held(key, 3), "worker_stopped")
        clock.now += LEASE_SECONDS * 1000 + 1
        await core.database.execute(
            "UPDATE workers SET heartbeat_at = heartbeat_at + interval '1 hour' WHERE id = 'new'"
        )
        assert await claim(core, "new") == [key]
        await lifecycle.apply(core, key, Finish(Status.COMPLETED))
        row = await core.database.fetchrow("SELECT version FROM run_head")
        assert row is not None
        assert row["version"] is None
