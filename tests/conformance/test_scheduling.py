"""When runs are executed, whichever the engine: limits, priority, earliest start, deadline, fairly between projects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest

from perdure.domain.catalog import Published
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.run import Kind, PendingCall, Status, Waiting, WaitingReason
from perdure.domain.scheduling import UNSCHEDULED, Scheduling
from perdure.execution.log import Completed, Outcome, RunContext
from perdure.services import catalog, projects
from perdure.services import runs as run_service
from perdure.services.runs import RunRequest
from perdure.store.runs import at
from tests.conformance.test_engine import ENGINES, Cluster, Node, ended, maker, pending


@dataclass
class Gate:
    """A kind of run that notes its order and how many are executed at once, and goes on when it is let."""

    began: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    most: int = 0
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)
    _let: int = 0

    async def __call__(self, ctx: RunContext) -> Outcome:
        async with self._more:
            self.began.append(ctx.run_id)
            self.running.add(ctx.run_id)
            self.most = max(self.most, len(self.running))
            self._more.notify_all()
            await self._more.wait_for(lambda: self._let > 0)
            self._let -= 1
            self.running.discard(ctx.run_id)
        return Completed()

    async def let(self, runs: int) -> None:
        """Let so many runs end."""
        async with self._more:
            self._let += runs
            self._more.notify_all()

    async def until(self, began: int) -> None:
        """Return when so many runs have begun."""
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: len(self.began) >= began)


@pytest.fixture(params=ENGINES)
async def cluster(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Cluster]:
    make = maker(request.param, request)
    async with AsyncExitStack() as stack:
        yield Cluster(database, make, stack)


async def submit(node: Node, project_id: ProjectId, scheduling: Scheduling = UNSCHEDULED, name: str = "a") -> RunKey:
    request = RunRequest(
        kind=Kind.AGENT,
        owner_kind="project",
        owner_id=project_id,
        fingerprint=b"",
        agent_id=name,
        scheduling=scheduling,
    )
    created = await run_service.create(node.core, project_id, request)
    await node.engine.submit(created.run.key)
    return created.run.key


async def limited(node: Node, most: int | None, name: str = "a") -> None:
    await catalog.publish(node.core, [Published(Kind.AGENT, name, concurrency=most)])


async def test_a_target_s_limit_holds_for_all_workers_and_is_used_to_the_full(cluster: Cluster) -> None:
    nodes = [await cluster.node(), await cluster.node()]
    await limited(nodes[0], 2)
    gate = Gate()
    keys = [await submit(nodes[n % 2], cluster.project_id) for n in range(8)]
    for node in nodes:
        await node.work(gate, "a")
    for done in range(2, 9):
        await gate.until(done)
        await gate.let(1)
    await gate.let(1)
    for key in keys:
        assert (await ended(nodes[0].core, key)).attempt == 1
    assert (gate.most, len(gate.began)) == (2, 8)


async def test_a_project_s_limit_holds_its_runs_alone_back(cluster: Cluster) -> None:
    node = await cluster.node()
    other = await projects.create(node.core, slug="other")
    await projects.set_max_running(node.core, await projects.get(node.core, str(cluster.project_id)), 1)
    await limited(node, None)
    gate = Gate()
    await node.work(gate, "a")
    held = [await submit(node, cluster.project_id) for _ in range(3)]
    await gate.until(1)
    free = [await submit(node, other.id) for _ in range(2)]
    await gate.until(3)
    assert {key.run_id for key in free} <= gate.running
    assert len(await pending(node.core, held)) == 2
    await projects.set_max_running(node.core, await projects.get(node.core, str(cluster.project_id)), None)
    await gate.until(5)
    await gate.let(5)
    for key in [*held, *free]:
        await ended(node.core, key)


async def test_a_waiting_run_leaves_its_place_to_another(cluster: Cluster) -> None:
    node = await cluster.node()
    await limited(node, 1)

    async def kind(ctx: RunContext) -> Outcome:
        return Waiting(WaitingReason.TOOL, (PendingCall("c", "ask"),))

    await node.work(kind, "a")
    for key in [await submit(node, cluster.project_id) for _ in range(3)]:
        await ended(node.core, key, Status.WAITING)


async def test_of_what_a_limit_held_back_the_higher_priority_goes_first(cluster: Cluster) -> None:
    node = await cluster.node()
    await limited(node, 1)
    gate = Gate()
    await node.work(gate, "a")
    first = await submit(node, cluster.project_id)
    await gate.until(1)
    order = [0, -5, 100, 0, 7]
    keys = [await submit(node, cluster.project_id, Scheduling(priority)) for priority in order]
    await gate.let(6)
    for key in keys:
        await ended(node.core, key)
    wanted = [keys[place] for place in (2, 4, 0, 3, 1)]
    assert gate.began == [first.run_id, *(key.run_id for key in wanted)]


async def test_a_run_is_not_begun_before_its_time(cluster: Cluster) -> None:
    node = await cluster.node()
    await limited(node, None)
    gate = Gate()
    await gate.let(2)
    await node.work(gate, "a")
    after = at(node.core.clock()) + timedelta(seconds=1)
    later = await submit(node, cluster.project_id, Scheduling(100, after))
    now = await submit(node, cluster.project_id)
    await ended(node.core, now)
    run = await ended(node.core, later)
    assert run.started_at is not None
    assert run.started_at >= after


async def test_a_deadline_ends_runs_in_the_queue_and_at_work(cluster: Cluster) -> None:
    node = await cluster.node()
    await limited(node, 1)
    gate = Gate()
    await node.work(gate, "a")
    first = await submit(node, cluster.project_id)  # a new Temporal takes long for its first run
    await gate.let(1)
    await ended(node.core, first)
    gate.began.clear()
    deadline = Scheduling(deadline=at(node.core.clock()) + timedelta(seconds=3))
    running = await submit(node, cluster.project_id, deadline)
    await gate.until(1)
    queued = await submit(node, cluster.project_id, deadline)
    behind = await submit(node, cluster.project_id)
    for key in (running, queued):
        run = await ended(node.core, key)
        assert run.status is Status.FAILED
        assert run.error is not None
        assert run.error.code == "DEADLINE_EXCEEDED"
    await gate.until(2)
    await gate.let(2)
    assert (await ended(node.core, behind)).status is Status.COMPLETED


async def test_many_runs_of_one_project_do_not_starve_another_s(cluster: Cluster) -> None:
    node = await cluster.node(concurrency=2)
    other = ProjectId((await projects.create(node.core, slug=f"o{uuid4().hex[:8]}")).id)
    await limited(node, None)
    gate = Gate()
    await node.work(gate, "a")
    many = [await submit(node, cluster.project_id) for _ in range(60)]
    await gate.until(2)
    single = await submit(node, other)
    await gate.let(61)
    await ended(node.core, single)
    for key in many:
        await ended(node.core, key)
    assert gate.began.index(single.run_id) < 20
