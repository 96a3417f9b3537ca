"""Which runs a claim takes: fairly between projects, by priority in each, and never more than the limits let in."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.domain.catalog import Published
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.lease import Claimed, Held
from perdure.domain.run import Executor, Finish, Kind, Park, PendingCall, Status, Waiting, WaitingReason, Yield
from perdure.domain.scheduling import Scheduling
from perdure.domain.stored_run import NewRun, RunSpec
from perdure.services import catalog, lifecycle
from perdure.services.core import Core
from perdure.store import projects, runs
from perdure.store.run_queue import CLAIMS_ALONE
from tests.store.harness import WAIT_SECONDS, ManualClock, server

ROUTES = ("task:a", "task:b")
CLAIMS_WAITING = """SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database())"""
ASKED = Waiting(WaitingReason.TOOL, (PendingCall("c", "ask"),))


def project(number: int) -> ProjectId:
    return ProjectId(UUID(int=number))


async def add_project(core: Core, number: int, most: int | None = None) -> None:
    await core.database.execute(
        "INSERT INTO projects (id, slug, name, created_at) VALUES ($1, $2, 'P', now()) ON CONFLICT DO NOTHING",
        project(number), f"p{number}",
    )  # fmt: skip
    await projects.set_max_running(core.database, project(number), most)


async def add_run(
    core: Core, number: int, run_id: str, route: str = ROUTES[0], scheduling: Scheduling | None = None
) -> RunKey:
    """A run of a project, a second younger than the one before."""
    if isinstance(core.clock, ManualClock):
        core.clock.now += 1_000
    external = route.startswith("external:")
    new = NewRun(
        key=RunKey(project(number), RunId(run_id)),
        kind=Kind.TASK,
        owner_kind="project",
        owner_id=project(number),
        status=Status.PENDING,
        executor=Executor.EXTERNAL if external else Executor.ENGINE,
        spec=RunSpec(implementation_kind=route.partition(":")[2] if external else None),
        request_hash=b"",
        created_at=runs.at(core.clock()),
        target=route,
        route=route,
        scheduling=scheduling or Scheduling(),
    )
    assert await runs.create(core.database, new)
    return new.key


async def limit(core: Core, name: str, most: int | None) -> None:
    await catalog.publish(core, [Published(Kind.TASK, name, concurrency=most)])


async def claim(core: Core, most: int = 100, routes: tuple[str, ...] = ROUTES) -> list[Claimed]:
    return await lifecycle.claim(core, "w", routes, most, 3600)


async def names(core: Core, most: int = 100) -> list[str]:
    return [run.key.run_id for run in await claim(core, most)]


async def test_the_projects_with_the_fewest_in_flight_come_first(database: str) -> None:
    async with server(database, clock=ManualClock(), hints=False) as core:
        for number in (1, 2, 3):
            await add_project(core, number)
        for n in range(50):
            await add_run(core, 1, f"many-{n:02}", ROUTES[n % 2])
        assert len(await claim(core, 6)) == 6
        await add_run(core, 2, "single")
        for n in range(5):
            await add_run(core, 3, f"few-{n}")
        taken = await names(core, 8)
        assert Counter(name.partition("-")[0] for name in taken) == {"single": 1, "few": 5, "many": 2}


async def test_a_higher_priority_goes_first_in_its_project_only(database: str) -> None:
    async with server(database, clock=ManualClock(), hints=False) as core:
        for number in (1, 2):
            await add_project(core, number)
        for n in range(3):
            await add_run(core, 1, f"plain-{n}")
        await add_run(core, 1, "low", scheduling=Scheduling(-100))
        await add_run(core, 1, "high", ROUTES[1], Scheduling(100))
        await add_run(core, 1, "higher later", scheduling=Scheduling(100))
        await add_run(core, 2, "other")
        assert set(await names(core, 2)) == {"high", "other"}
        assert await names(core, 3) == ["higher later", "plain-0", "plain-1"]
        assert await names(core) == ["plain-2", "low"]


async def test_a_run_keeps_its_priority_and_its_earliest_start(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        await add_project(core, 1)
        first = await add_run(core, 1, "first", scheduling=Scheduling(7))
        (taken,) = await claim(core)
        await lifecycle.apply(core, first, Yield("drained", taken.fence))
        await add_run(core, 1, "plain")
        await add_run(core, 1, "later", scheduling=Scheduling(100, runs.at(clock.now) + timedelta(hours=1)))
        await lifecycle.cancel(core, RunKey(project(1), RunId("later")), "no")
        assert await names(core, 1) == ["first"]
        assert await names(core) == ["plain"]
        clock.now += 3_600_000
        await add_run(core, 1, "soon", scheduling=Scheduling(0, runs.at(clock.now) + timedelta(minutes=1)))
        assert await names(core) == []
        clock.now += 60_000
        assert await names(core) == ["soon"]


async def test_a_claim_that_waited_takes_what_came_meanwhile(database: str) -> None:
    """A claim under limits waits until nobody else claims. What is due by then counts, not what was when it began."""
    async with server(database, clock=ManualClock(), hints=False) as core:
        await add_project(core, 1, most=1)
        await add_run(core, 1, "plain")
        async with core.database.transaction() as connection:
            await connection.execute(CLAIMS_ALONE)
            waiting = asyncio.create_task(names(core, 1))
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    if await connection.fetchval(CLAIMS_WAITING):
                        break
                    await asyncio.sleep(0.01)
            await add_run(core, 1, "urgent", scheduling=Scheduling(100))
        assert await waiting == ["urgent"]


async def test_workers_at_once_never_exceed_a_limit_and_fill_it(database: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        await limit(one, "a", 5)
        for number in (1, 2):
            await add_project(one, number, most=4)
            for n in range(20):
                await add_run(one, number, f"{number}-{n}", ROUTES[n % 2])
        ended = 0
        while ended < 40:
            claims = [claim(core, 3) for core in (one, two) * 4]
            await asyncio.gather(*claims)
            flight = await one.database.fetch("SELECT project_id, run_id, route FROM runs_in_flight")
            by_project, by_route = Counter(row["project_id"] for row in flight), Counter(row["route"] for row in flight)
            assert all(count <= 4 for count in by_project.values())
            assert by_route[ROUTES[0]] <= 5
            if ended == 0:
                assert by_project == {project(1): 4, project(2): 4}
            for row in flight[:3]:
                await lifecycle.apply(two, RunKey(row["project_id"], row["run_id"]), Finish(Status.COMPLETED))
                ended += 1


async def test_a_run_that_waits_holds_no_place(database: str) -> None:
    async with server(database, clock=ManualClock(), hints=False) as core:
        await limit(core, "a", 1)
        await add_project(core, 1)
        await add_project(core, 2)
        first = await add_run(core, 1, "first")
        await add_run(core, 2, "second")
        assert await names(core) == ["first"]
        assert await names(core) == []
        await lifecycle.apply(core, first, Park(ASKED, None))
        assert await names(core) == ["second"]
        await limit(core, "a", None)
        await add_run(core, 1, "third")
        assert await names(core) == ["third"]


async def test_external_workers_respect_the_limit_of_their_project(database: str) -> None:
    async with server(database, clock=ManualClock(), hints=False) as core:
        await add_project(core, 1, most=1)
        route = ["external:kind"]
        first, second = [await add_run(core, 1, name, route[0]) for name in ("first", "second")]
        await add_run(core, 1, "engine")
        taken = await asyncio.gather(*(lifecycle.claim_external(core, project(1), "e", route, 30) for _ in range(4)))
        assert [run.key for run in taken if run is not None] == [first]
        assert await names(core) == []
        await lifecycle.apply(core, first, Park(ASKED, None))  # it keeps its lease, and no place
        other = await lifecycle.claim_external(core, project(1), "e", route, 30)
        assert other is not None and other.key == second
        await lifecycle.give_back(core, Held(second, other.fence), "again", delay_ms=60_000)
        assert await names(core) == ["engine"]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flights=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    data=st.data(),
    most=st.integers(1, 12),
)
def test_a_claim_is_what_one_by_one_would_take(
    database: str, flights: list[int], data: st.DataObject, most: int
) -> None:
    """Against a model: each next run is the first one of the project that has the fewest in flight."""
    numbers = range(1, len(flights) + 1)
    waiting = data.draw(
        st.lists(st.tuples(st.sampled_from(list(numbers)), st.sampled_from(ROUTES), st.integers(-1, 1)), max_size=20)
    )
    model = {number: list[tuple[int, int, str]]() for number in numbers}
    for age, (number, _, priority) in enumerate(waiting):
        model[number].append((-priority, age, f"w-{age}"))
    flight = dict(zip(numbers, flights, strict=True))
    wanted: list[str] = []
    for _ in range(most):
        queues = [(flight[number], *min(queue), number) for number, queue in model.items() if queue]
        if queues:
            _, level, age, name, number = min(queues)
            model[number].remove((level, age, name))
            flight[number] += 1
            wanted.append(name)
    assert sorted(asyncio.run(_claimed_of(database, flights, waiting, most))) == sorted(wanted)


async def _claimed_of(dsn: str, flights: list[int], waiting: list[tuple[int, str, int]], most: int) -> list[str]:
    connection = await asyncpg.connect(dsn)
    await connection.execute("TRUNCATE projects CASCADE")
    await connection.close()
    async with server(dsn, clock=ManualClock(), hints=False) as core:
        for number, running in enumerate(flights, 1):
            await add_project(core, number)
            for n in range(running):
                await add_run(core, number, f"f-{number}-{n}")
        while await claim(core):
            pass
        for age, (number, route, priority) in enumerate(waiting):
            await add_run(core, number, f"w-{age}", route, Scheduling(priority))
        return await names(core, most)
