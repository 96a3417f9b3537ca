"""Workers that claim at once: different runs, no deadlock with whoever moves them, and what `decide` says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec

from perdure.domain.ids import RunKey
from perdure.domain.lease import Held
from perdure.domain.run import Cancel, Claim, Executor, Signal, Status
from perdure.domain.transitions import decide
from perdure.services import lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from tests.store.harness import ROUTE, new_run, server, whole_log

AT_ONCE = 60


async def queued(core: Core, count: int) -> list[RunKey]:
    return [await new_run(core, executor=Executor.ENGINE, status=Status.PENDING) for _ in range(count)]


async def claim_until_none(core: Core, worker: str, limit: int) -> list[RunKey]:
    taken: list[RunKey] = []
    while claimed := await lifecycle.claim(core, worker, [ROUTE], limit, 30):
        taken.extend(run.key for run in claimed)
    return taken


async def test_workers_that_claim_at_once_take_different_runs(database: str) -> None:
    """While one worker's claim is under way, another gets the runs behind it: nobody goes away empty-handed."""
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        keys = await queued(one, 8)
        async with one.database.transaction() as connection:
            first = await connection.fetch(
                "SELECT run_id FROM run_queue ORDER BY priority DESC, available_at, run_id LIMIT 4 FOR UPDATE"
            )
            taken = await lifecycle.claim(two, "two", [ROUTE], 4, 30)
        assert {run.key.run_id for run in taken} == {key.run_id for key in keys} - {row["run_id"] for row in first}


async def test_each_run_is_claimed_once(database: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        keys = await queued(one, AT_ONCE)
        took = await asyncio.gather(*(claim_until_none(core, "w", 3) for core in (one, two, one, two)))
        taken = [key for some in took for key in some]
        assert sorted(taken) == sorted(keys)


async def test_a_claim_waits_for_nobody(database: str) -> None:
    """Who moves a run locks its head and then its place in the queue: a claim that waited for the head, with the place
    in its hand, would deadlock with it."""
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        held, free = await queued(one, 2)
        async with one.database.transaction() as connection:
            await connection.execute("SELECT FROM run_head WHERE run_id = $1 FOR UPDATE", held.run_id)
            async with asyncio.timeout(5):
                claimed = await lifecycle.claim(two, "two", [ROUTE], 5, 30)
            await connection.execute("UPDATE run_queue SET priority = 1 WHERE run_id = $1", held.run_id)
        assert [run.key for run in claimed] == [free]
        assert [run.key for run in await lifecycle.claim(two, "two", [ROUTE], 5, 30)] == [held]


async def test_claims_and_cancels_at_once_do_not_deadlock(database: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        keys = await queued(one, AT_ONCE)
        await asyncio.gather(
            *(claim_until_none(core, "w", 20) for core in (one, two)),
            *(lifecycle.apply(core, key, Cancel("no")) for key in keys for core in (one, two)),
            *(lifecycle.apply(one, key, Signal("s", None)) for key in keys),
        )
        for key in keys:
            run = await run_service.get(one, key)
            assert run.status is Status.CANCELLED or run.cancelling


async def test_a_claim_does_what_the_table_says(database: str) -> None:
    """The claim is one SQL statement for many runs; `decide` is what it must do to each of them, its event included."""
    odd_id = 'odd "id" \\ / \u2028\u007f \U0001f600'
    async with server(database, hints=False) as core:
        for key in [await new_run(core, executor=Executor.ENGINE, status=Status.PENDING, run_id=odd_id)] * 3:
            before = await run_service.get(core, key)
            expected = decide(before.state, Claim(), before.names)
            claimed = await lifecycle.claim(core, "w", [ROUTE], 5, 30)
            after = await run_service.get(core, key)
            row = (await whole_log(core.database, key))[-1]
            assert expected is not None
            assert (after.state, after.revision) == (expected.state, before.revision + 1)
            assert [msgspec.json.decode(line) for line in row.lines()] == list(expected.events)
            assert row.types == tuple(event["type"] for event in expected.events)
            assert row.first_event_id == before.latest_event_id + 1 == after.latest_event_id == row.last_event_id
            assert row.first_ts == after.last_ts > before.last_ts
            assert (row.public, row.first_external_sequence) == (True, None)
            assert (claimed[0].fence, claimed[0].attempt) == (after.fence, after.attempt)
            assert (claimed[0].revision, claimed[0].latest_event_id) == (after.revision, after.latest_event_id)
            assert after.started_at == datetime.fromtimestamp(core.clock() / 1000, UTC)
            await lifecycle.give_back(core, Held(key, after.fence), "again")


async def test_a_run_that_is_not_due_is_left(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        (claimed,) = await lifecycle.claim(core, "w", [ROUTE], 5, 30)
        await lifecycle.give_back(core, Held(key, claimed.fence), "again", delay_ms=1_000)
        assert await lifecycle.claim(core, "w", [ROUTE], 5, 30) == []
        assert await lifecycle.claim(core, "w", ["agent:other"], 5, 30) == []
