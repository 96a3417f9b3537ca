"""Whose runs push runtimes are sent first: no project waits for another's queue, or for another's slow runtime."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

from perdure.domain.ids import ProjectId
from perdure.execution.push import Places
from perdure.services import push_dispatch
from perdure.services.core import Core
from tests.http.push_runtime import open_to_loopback, register, runtime, started
from tests.http.runs_app import PROJECT, Api, agent_run
from tests.http.test_push_dispatch import dispatching, handed_over, owner_of
from tests.store.harness import eventually

QUEUE = 10_000
COPIED = """
INSERT INTO {table}
SELECT (jsonb_populate_record(t, jsonb_build_object('run_id', 'copy-' || n, {more}))).*
FROM {table} t, generate_series(1, {count}) AS n
WHERE t.run_id = '{run}'
"""
OLDER = "'available_at', t.available_at - n * interval '1 second', 'priority', 100"


async def multiplied(core: Core, run: Any, count: int = QUEUE, table: str = "run_queue", more: str = OLDER) -> None:
    """So many copies of a run: older, and of a higher priority. `table`: what of it changes, as `more` says."""
    changed = {"runs": "'message_id', gen_random_uuid()", "run_head": "'fence', t.fence", table: more}
    for name, columns in changed.items():
        statement = COPIED.format(table=name, more=columns, count=count, run=run["run_id"])
        await core.database.execute(statement)


async def theirs(at_work: Api) -> ProjectId:
    """Another project."""
    return ProjectId(UUID((await at_work.json("POST", "/projects", {"slug": "theirs", "name": "Theirs"}))["id"]))


async def started_in(at_work: Api, project: ProjectId) -> Any:
    """A run of that project."""
    given = {
        "messages": [{"id": "m1", "role": "user", "content": "Hello"}],
        "context": {"project_id": str(project), "branch_id": None},
    }
    body = agent_run(agent_id="writer", initial_status="pending", input=given)
    body["owner"]["id"] = str(project)
    body["public_id"] = f"run_{uuid4().hex}"
    return (await at_work.json("POST", "/runs", body))["run"]


def test_somebody_new_finds_room_and_one_alone_gets_half() -> None:
    places, (a, b, c) = Places(64), (uuid4() for _ in range(3))
    while places.room(a):
        places.take(a)
    while places.room(b):
        places.take(b)
    assert (places.room(c), places.full()) == (8, [a, b])
    for _ in range(32):
        places.give_back(a)
    assert (places.room(a), places.full()) == (24, [])


async def test_a_long_queue_for_a_slow_runtime_keeps_no_other_projects_run_waiting(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    hold = asyncio.Event()
    async with runtime(hold=hold) as slow, runtime() as quick:
        await register(at_work, slow.url)
        await multiplied(core, await started(at_work), 100)
        other = await theirs(at_work)
        await register(at_work, quick.url, project_id=str(other), service_key="helper:2")
        async with dispatching(core):
            await eventually(lambda: len(slow.dispatched) == 32)
            await handed_over(core, await started_in(at_work, other))
            assert (len(slow.dispatched), len(quick.dispatched)) == (32, 1)
            hold.set()


async def test_cancels_for_a_slow_runtime_keep_no_others_cancel_waiting(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    hold = asyncio.Event()
    async with runtime() as slow, runtime() as quick, dispatching(core):
        other = await theirs(at_work)
        await register(at_work, slow.url)
        await register(at_work, quick.url, project_id=str(other), service_key="helper:2")
        first, second = await started(at_work), await started_in(at_work, other)
        for run in (first, second):
            await handed_over(core, run)
        slow.hold = hold
        due = "'errand', 'cancel', 'errand_at', now() - interval '1 hour'"
        await multiplied(core, first, 100, "push_runs", due)
        await eventually(lambda: len(slow.of("DELETE")) == 32)
        cancelling = asyncio.create_task(at_work.json("POST", f"/runs/{second['run_id']}/cancel"))
        await eventually(lambda: len(quick.of("DELETE")) == 1)
        assert len(slow.of("DELETE")) == 32
        hold.set()
        await at_work.json("POST", f"/runs/{second['run_id']}/complete", {"status": "cancelled"})
        await cancelling


async def test_a_runtime_of_all_projects_serves_them_in_turn_and_each_by_priority_and_age(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as everywhere:
        await register(at_work, everywhere.url, scope_kind="global", project_id=None)
        await multiplied(core, await started(at_work))
        other = await theirs(at_work)
        single = await started_in(at_work, other)
        (service,) = await push_dispatch.living(core)
        taken = [one.held.key for one in await push_dispatch.claim(core, service, 4)]
        assert {key.run_id for key in taken if key.project_id == other} == {single["run_id"]}
        assert [key.run_id for key in taken if key.project_id == PROJECT] == [f"copy-{QUEUE - n}" for n in range(3)]
        # One in flight here, three there: the next is again the other project's.
        later = await started_in(at_work, other)
        (next_one,) = await push_dispatch.claim(core, service, 1)
        assert next_one.held.key.run_id == later["run_id"]


async def test_a_project_has_no_more_runs_at_runtimes_than_its_limit(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    await at_work.json("PATCH", f"/projects/{PROJECT}", {"max_running": 2})
    async with runtime() as there, dispatching(core):
        await register(at_work, there.url)
        runs = [await started(at_work) for _ in range(4)]
        for run in runs[:2]:
            await handed_over(core, run)
        assert [await owner_of(core, run) for run in runs[2:]] == [None, None]
        await at_work.json("POST", f"/runs/{runs[0]['run_id']}/complete", {"status": "completed"})
        await handed_over(core, runs[2])
        assert await owner_of(core, runs[3]) is None
        sent = {one.body["durableRootRun"]["runId"] for one in there.dispatched}
        assert sent == {run["run_id"] for run in runs[:3]}
