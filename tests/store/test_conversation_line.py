"""Runs in the line of a conversation: nobody is let in twice, and nobody is forgotten, however things meet."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg

from perdure.domain.conversation import RunPolicy
from perdure.domain.errors import ConversationBusy
from perdure.domain.ids import ConversationId, RunId, RunKey
from perdure.domain.run import Cancel, Executor, Finish, Kind, Status
from perdure.domain.stored_run import NewRun, RunSpec
from perdure.services import conversation_line, lifecycle, placements
from perdure.services.core import Core
from perdure.store import runs
from tests.store.harness import PROJECT, ROUTE, WAIT_SECONDS, new_run, server

PLACE = ConversationId(UUID(int=7))


def new(core: Core, run_id: str) -> NewRun:
    return NewRun(
        key=RunKey(PROJECT, RunId(run_id)),
        kind=Kind.AGENT,
        owner_kind="project",
        owner_id=PROJECT,
        status=Status.PENDING,
        executor=Executor.ENGINE,
        spec=RunSpec(),
        request_hash=b"",
        created_at=runs.at(core.clock()),
        agent_id="echo",
        conversation_id=PLACE,
        new_conversation=True,
        route=ROUTE,
    )


async def create(core: Core, run_id: str, policy: RunPolicy = RunPolicy.ENQUEUE) -> RunKey:
    made = await conversation_line.create(core, new(core, run_id), policy)
    assert made is not None
    return made[0].key


async def claim(core: Core) -> list[str]:
    return [taken.key.run_id for taken in await lifecycle.claim(core, "w", [ROUTE], 100, 30)]


async def test_of_many_clients_at_once_one_run_begins_and_the_others_follow_one_by_one(database: str) -> None:
    async with server(database, lanes=8) as one, server(database, lanes=8) as two:
        await new_run(one)  # the project
        names = [f"r{number}" for number in range(16)]
        await asyncio.gather(*(create((one, two)[number % 2], name) for number, name in enumerate(names)))
        begun: list[str] = []
        for _ in names:
            claimed = await claim(two)
            assert len(claimed) == 1, "one at a time"
            begun += claimed
            await lifecycle.apply(one, RunKey(PROJECT, RunId(claimed[0])), Finish(Status.COMPLETED))
        assert sorted(begun) == sorted(names)


async def test_of_many_clients_at_once_one_is_not_rejected(database: str) -> None:
    async with server(database, lanes=8) as core:
        await new_run(core)
        tried = await asyncio.gather(
            *(create(core, f"r{number}", RunPolicy.REJECT) for number in range(8)), return_exceptions=True
        )
        assert len(await claim(core)) == 1
        assert sum(isinstance(each, ConversationBusy) for each in tried) == 7


async def test_a_run_that_ends_while_another_comes_lets_it_go(database: str) -> None:
    """Also runs that end at once, and those in line that are cancelled meanwhile: nobody waits for ever."""
    async with server(database, lanes=8) as core:
        await new_run(core)
        for number in range(12):
            await create(core, f"first{number}", RunPolicy.ALLOW)
            await create(core, f"also{number}", RunPolicy.ALLOW)
            held = [await create(core, f"held{number}.{place}") for place in range(3)]
            ending = [RunKey(PROJECT, RunId(f"{name}{number}")) for name in ("first", "also")]
            async with asyncio.timeout(WAIT_SECONDS):
                await asyncio.gather(
                    *(lifecycle.apply(core, key, Finish(Status.FAILED)) for key in ending),
                    *(lifecycle.apply(core, key, Cancel("No.")) for key in held),
                    create(core, f"last{number}"),
                )
            assert await claim(core) == [f"last{number}"]
            await lifecycle.apply(core, RunKey(PROJECT, RunId(f"last{number}")), Finish(Status.COMPLETED))


async def test_the_next_run_is_due_in_the_transaction_that_ends_the_one_before(database: str) -> None:
    async with server(database, hints=False) as core:
        await new_run(core)
        for name in ("a", "b"):
            await create(core, name)
        assert [place.key.run_id for place in (await placements.take(core)).runs] == ["a"], "engines are not told of b"
        connection = await asyncpg.connect(database)
        try:
            async with connection.transaction():
                await connection.execute("UPDATE runs SET status = 'failed', completed_at = now() WHERE run_id = 'a'")
                await connection.execute("UPDATE run_head SET status = 'failed' WHERE run_id = 'a'")
                due = await connection.fetchval("SELECT available_at < 'infinity' FROM run_queue WHERE run_id = 'b'")
                assert due
        finally:
            await connection.close()
        assert [place.key.run_id for place in (await placements.take(core)).runs][-1] == "b"
