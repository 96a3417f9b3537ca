"""Runs are created once, found again, and seen by their project only."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from perdure.domain.errors import (
    AgentNotFound,
    ConversationNotFound,
    IdempotencyKeyReused,
    ProjectNotFound,
    RunExists,
    RunNotFound,
)
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.run import Executor, Kind, Status
from perdure.domain.stored_run import Origin, RunFilter, RunSpec, Targets
from perdure.services import catalog, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import RunRequest
from tests.store.harness import PROJECT, ROUTE, ManualClock, server

OTHER = ProjectId(UUID(int=2))
REQUEST = RunRequest(
    kind=Kind.AGENT, owner_kind="project", owner_id=PROJECT, fingerprint=b"f", agent_id="echo", input=b"{}"
)


STYLES = (
    replace(REQUEST, parent_run_id="p"),
    replace(REQUEST, initial_status=Status.RUNNING),
    RunRequest(Kind.TASK, "project", PROJECT, b"", target="task:x"),
)


async def prepare(core: Core) -> None:
    """Two projects, and a worker that serves the agent `echo` and the task `x`."""
    async with core.database.connection() as connection:
        await connection.executemany(
            "INSERT INTO projects (id, slug, name, created_at) VALUES ($1, $2, 'P', now())",
            [(PROJECT, "one"), (OTHER, "two")],
        )
    await catalog.register(core, "w", [("agent", "echo"), ("task", "x")], 1)


async def test_what_creation_answers_is_what_is_stored(database: str) -> None:
    async with server(database, hints=False) as core:
        await prepare(core)
        conversation = UUID(int=7)
        whole = replace(
            REQUEST,
            public_id="whole",
            idempotency_key="k",
            parent_run_id="nobody",
            conversation_id=conversation,
            new_conversation=True,
            batch_id=UUID(int=9),
            spec=RunSpec(
                name="n", timeout_seconds=3, config={"a": [1, "é"]},
                targets=Targets(runtime_kind="main_branch"), origin=Origin(trigger_kind="api"),
            ),
            input=b'{ "messages" : [], "x":1.0 }',
            metadata=b'{"m":1}',
            tags=("a", "b"),
            created_by="somebody",
        )  # fmt: skip
        requests = [
            whole,
            REQUEST,
            replace(REQUEST, initial_status=Status.RUNNING),
            replace(REQUEST, initial_status=Status.PENDING, input=None),
            replace(REQUEST, parent_run_id="whole", spec=RunSpec(implementation_kind="k")),
            replace(REQUEST, owner_kind="conversation", owner_id=conversation),
            RunRequest(Kind.TASK, "project", PROJECT, b"", target="task:x"),
        ]
        for request in requests:
            created = await run_service.create(core, PROJECT, request)
            assert not created.duplicate
            assert created.run == await run_service.get(core, created.run.key)
        child = (await run_service.create(core, PROJECT, replace(REQUEST, parent_run_id="whole"))).run
        assert child.root_run_id == "nobody"


@pytest.mark.parametrize("by", ["public_id", "idempotency_key"])
async def test_the_same_request_many_times_at_once_makes_one_run(database: str, by: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        await prepare(one)
        request = replace(REQUEST, public_id="x") if by == "public_id" else replace(REQUEST, idempotency_key="x")
        made = await asyncio.gather(*(run_service.create(core, PROJECT, request) for core in (one, two) * 5))
        assert len({created.run.run_id for created in made}) == 1
        assert sum(not created.duplicate for created in made) == 1
        assert len(await lifecycle.claim(one, "w", [ROUTE], 10, 30)) == 1
        again = await run_service.create(two, PROJECT, request)
        assert (again.duplicate, again.run.status) == (True, Status.RUNNING)
        elsewhere = await run_service.create(one, OTHER, replace(request, owner_id=OTHER))
        assert not elsewhere.duplicate


async def test_another_request_under_a_used_name_is_refused(database: str) -> None:
    async with server(database, hints=False) as core:
        await prepare(core)
        await catalog.register(core, "v", [("agent", "other")], 1)
        await run_service.create(core, PROJECT, replace(REQUEST, public_id="x", idempotency_key="k"))
        with pytest.raises(IdempotencyKeyReused):
            await run_service.create(core, PROJECT, replace(REQUEST, fingerprint=b"g", idempotency_key="k"))
        for other in (
            replace(REQUEST, agent_id="other"),
            RunRequest(Kind.TASK, "project", PROJECT, b"", target="x"),
            replace(REQUEST, owner_kind="conversation", owner_id=UUID(int=3), new_conversation=True),
        ):
            with pytest.raises(RunExists):
                await run_service.create(core, PROJECT, replace(other, public_id="x"))
        assert len(await run_service.list_page(core, PROJECT, RunFilter(), before=None, limit=10)) == 1


async def test_what_a_run_needs_must_be_there(database: str) -> None:
    async with server(database, hints=False) as core:
        await prepare(core)
        with pytest.raises(AgentNotFound, match="echo"):
            await run_service.create(core, PROJECT, replace(REQUEST, agent_id="nobody"))
        with pytest.raises(ConversationNotFound):
            await run_service.create(core, PROJECT, replace(REQUEST, conversation_id=UUID(int=5)))
        with pytest.raises(ProjectNotFound):
            await run_service.create(core, PROJECT, replace(REQUEST, owner_id=OTHER))
        for request in (
            replace(REQUEST, agent_id="nobody", initial_status=Status.RUNNING),
            replace(REQUEST, agent_id="nobody", spec=RunSpec(implementation_kind="k")),
        ):
            assert not (await run_service.create(core, PROJECT, request)).duplicate


async def test_a_recorded_run_is_started_once(database: str) -> None:
    """The two-phase start: the second request brings the input; of several, the first does."""
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        await prepare(one)
        recorded = replace(REQUEST, public_id="x", initial_status=Status.PENDING, input=None)
        first = await run_service.create(one, PROJECT, recorded)
        assert first.run.executor is Executor.CALLER
        assert await lifecycle.claim(one, "w", [ROUTE], 1, 30) == []
        starts = [replace(recorded, input=b'{"n":%d}' % number) for number in range(4)]
        started = await asyncio.gather(
            *(run_service.create(core, PROJECT, start) for core, start in zip((one, two) * 2, starts, strict=True))
        )
        assert all(created.duplicate for created in started)
        (claimed,) = await lifecycle.claim(two, "w", [ROUTE], 10, 30)
        run = await run_service.get(one, claimed.key)
        assert (run.executor, run.revision) == (Executor.ENGINE, 2)
        assert run.input in ['{"n":0}', '{"n":1}', '{"n":2}', '{"n":3}']
        late = await run_service.create(two, PROJECT, replace(recorded, input=b'{"late":true}'))
        assert (late.run.input, late.run.revision) == (run.input, 2)


async def test_pages_go_through_all_runs_once(database: str) -> None:
    """Many of them made in the same millisecond."""
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        await prepare(core)
        for number in range(23):
            clock.now += number % 4 == 0
            agent = STYLES[number % 3]
            await run_service.create(
                core, PROJECT, replace(agent, public_id=f"r{number % 7}-{number}", tags=(f"t{number % 2}",))
            )
        await run_service.create(core, OTHER, replace(REQUEST, owner_id=OTHER))
        seen: list[RunKey] = []
        before = None
        while True:
            page = await run_service.list_page(core, PROJECT, RunFilter(), before=before, limit=5)
            seen.extend(run.key for run in page[:5])
            if len(page) <= 5:
                break
            before = (page[4].created_at, page[4].run_id)
        assert len(seen) == len(set(seen)) == 23
        everything = await run_service.list_page(core, PROJECT, RunFilter(), before=None, limit=100)
        assert [run.key for run in everything] == seen
        assert seen == [
            run.key for run in sorted(everything, key=lambda run: (run.created_at, run.run_id), reverse=True)
        ]
        for wanted, holds in (
            (RunFilter(statuses=(Status.RUNNING,)), lambda run: run.status is Status.RUNNING),
            (RunFilter(statuses=(Status.RUNNING, Status.WAITING)), lambda run: run.status is Status.RUNNING),
            (RunFilter(kind=Kind.TASK), lambda run: run.kind is Kind.TASK),
            (RunFilter(agent_id="echo"), lambda run: run.agent_id == "echo"),
            (RunFilter(target="task:x"), lambda run: run.target == "task:x"),
            (RunFilter(tag="t1"), lambda run: "t1" in run.tags),
            (RunFilter(parent_run_id="p"), lambda run: run.parent_run_id == "p"),
            (
                RunFilter(since=everything[-1].created_at + timedelta(milliseconds=1), until=everything[0].created_at),
                lambda run: run.created_at > everything[-1].created_at + timedelta(milliseconds=1),
            ),
        ):
            found = await run_service.list_page(core, PROJECT, wanted, before=None, limit=100)
            assert found == [run for run in everything if holds(run)]


async def test_another_projects_run_is_not_there(database: str) -> None:
    async with server(database, hints=False) as core:
        await prepare(core)
        run = (await run_service.create(core, PROJECT, replace(REQUEST, public_id="x"))).run
        foreign = RunKey(OTHER, RunId("x"))
        with pytest.raises(RunNotFound):
            await run_service.get(core, foreign)
        with pytest.raises(RunNotFound):
            await lifecycle.cancel(core, foreign, "mine")
        assert await run_service.get_many(core, [foreign, run.key]) == {run.key: run}
        assert await run_service.list_page(core, OTHER, RunFilter(), before=None, limit=5) == []
