"""What every engine must do, whichever it is (design section 4). Add an engine by adding it to `ENGINES`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from ag_ui.core import TextMessageContentEvent, TextMessageEndEvent, TextMessageStartEvent

from perdure.app import open_core
from perdure.domain.conversation import RunPolicy
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.run import Answer, Kind, PendingCall, Status, Waiting, WaitingReason
from perdure.domain.stored_run import Run
from perdure.execution.engines.base import Engine, Working
from perdure.execution.engines.opening import TemporalPlace
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.engines.temporal import TemporalEngine
from perdure.execution.executor import Executor
from perdure.execution.hands import WorkerOptions
from perdure.execution.log import Completed, Outcome, RunContext
from perdure.execution.maintenance import Maintenance
from perdure.services import control, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import RunRequest
from perdure.telemetry import Tracing
from tests.temporal_server import TemporalServer

LEASE_SECONDS = 1.5
ENGINES = ("postgres", "temporal")

RunKind = Callable[[RunContext], Awaitable[Outcome]]


@dataclass
class Node:
    """One server process's worth of parts, and the workers started on it."""

    core: Core
    engine: Engine
    options: WorkerOptions
    workers: list[Working] = field(default_factory=list)

    async def work(self, kind: RunKind, *names: str) -> Working:
        executor = Executor(self.core, lambda run: kind, 0.01, Tracing())
        worker = await self.engine.work(frozenset(("agent", name) for name in names), executor.execute)
        self.workers.append(worker)
        return worker


@dataclass
class Cluster:
    """Nodes on one database."""

    dsn: str
    make: Callable[[Core, WorkerOptions], Engine]
    stack: AsyncExitStack
    project_id: ProjectId = field(default_factory=lambda: ProjectId(uuid4()))

    async def node(
        self, *, concurrency: int = 8, drain_seconds: float = 5.0, lease_seconds: float = LEASE_SECONDS
    ) -> Node:
        core = await self.stack.enter_async_context(open_core(self.dsn))
        await core.database.execute(
            "INSERT INTO projects VALUES ($1, $2, 'Test', now()) ON CONFLICT DO NOTHING",
            self.project_id,
            f"p{self.project_id.hex}",
        )
        maintenance = Maintenance(core, timedelta(seconds=1))
        await maintenance.start()
        self.stack.push_async_callback(maintenance.stop)
        options = WorkerOptions(concurrency, lease_seconds, drain_seconds)
        node = Node(core, self.make(core, options), options)
        await node.engine.start()
        self.stack.push_async_callback(node.engine.stop)
        self.stack.push_async_callback(_stop_all, node)
        return node

    async def submit(self, node: Node, name: str, line: UUID | None = None) -> RunKey:
        """A pending run whose agent no worker may have been started for yet; `line`: the conversation it waits in."""
        await node.core.database.execute("INSERT INTO catalog VALUES ('agent', $1, now()) ON CONFLICT DO NOTHING", name)
        request = RunRequest(
            kind=Kind.AGENT,
            owner_kind="project",
            owner_id=self.project_id,
            fingerprint=b"",
            agent_id=name,
            conversation_id=line,
            new_conversation=line is not None,
            conversation_policy=None if line is None else RunPolicy.ENQUEUE,
        )
        created = await run_service.create(node.core, self.project_id, request)
        await node.engine.submit(created.run.key)
        return created.run.key


async def _stop_all(node: Node) -> None:
    for worker in node.workers:
        await worker.stop()


def maker(name: str, request: pytest.FixtureRequest) -> Callable[[Core, WorkerOptions], Engine]:
    """How an engine is made; a server that it needs is started."""
    if name == "postgres":
        return PostgresEngine
    server: TemporalServer = request.getfixturevalue("temporal")
    place = TemporalPlace(server.address, task_queue=f"test-{uuid4().hex}")
    return lambda core, options: TemporalEngine(core, options, place)


@pytest.fixture(params=ENGINES)
async def cluster(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Cluster]:
    make = maker(request.param, request)
    async with AsyncExitStack() as stack:
        yield Cluster(database, make, stack)


async def ended(core: Core, key: RunKey, *statuses: Status) -> Run:
    """The run, as soon as it has one of the statuses (default: any terminal one)."""
    async with asyncio.timeout(20):
        while True:
            run = await run_service.get(core, key)
            if run.status in statuses or (not statuses and run.status.terminal):
                return run
            await asyncio.sleep(0.01)


async def pending(core: Core, keys: list[RunKey]) -> list[RunKey]:
    """Those of the runs that no worker has taken."""
    return [key for key in keys if (await run_service.get(core, key)).status is Status.PENDING]


async def texts(core: Core, key: RunKey) -> list[str]:
    """The types of the run's public events."""
    return [kind async for row in core.hub.follow(key, 0) if row.events.public for kind in row.events.types]


@asynccontextmanager
async def held() -> AsyncIterator[tuple[RunKind, asyncio.Event, asyncio.Event]]:
    """A kind of run that says when it began and ends when it is let go."""
    began, go = asyncio.Event(), asyncio.Event()

    async def kind(ctx: RunContext) -> Outcome:
        began.set()
        await go.wait()
        return Completed("done")

    yield kind, began, go
    go.set()


async def test_a_submitted_run_is_executed(cluster: Cluster) -> None:
    node = await cluster.node()

    async def kind(ctx: RunContext) -> Outcome:
        await ctx.run_log.emit(TextMessageStartEvent(message_id="m"))
        await ctx.run_log.emit(TextMessageContentEvent(message_id="m", delta="hello"))
        await ctx.run_log.emit(TextMessageEndEvent(message_id="m"))
        return Completed({"said": "hello"})

    await node.work(kind, "a")
    key = await cluster.submit(node, "a")
    assert await texts(node.core, key) == [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ]
    run = await run_service.get(node.core, key)
    assert (run.status, run.attempt, run.output) == (Status.COMPLETED, 1, '{"said":"hello"}')


async def test_a_run_submitted_before_any_worker_waits_for_one(cluster: Cluster) -> None:
    node = await cluster.node()
    key = await cluster.submit(node, "late")
    assert (await run_service.get(node.core, key)).status is Status.PENDING

    async def kind(ctx: RunContext) -> Outcome:
        return Completed()

    await node.work(kind, "late")
    assert (await ended(node.core, key)).status is Status.COMPLETED


async def test_workers_share_the_runs_and_execute_each_once(cluster: Cluster) -> None:
    nodes = [await cluster.node(concurrency=4) for _ in range(3)]
    executed: list[str] = []

    async def kind(ctx: RunContext) -> Outcome:
        executed.append(ctx.run_id)
        await asyncio.sleep(0.01)
        return Completed()

    for node in nodes:
        await node.work(kind, "a")
    keys = [await cluster.submit(nodes[index % 3], "a") for index in range(40)]
    for key in keys:
        await ended(nodes[0].core, key)
    assert sorted(executed) == sorted(key.run_id for key in keys)


async def test_runs_in_the_line_of_a_conversation_are_executed_one_by_one(cluster: Cluster) -> None:
    nodes = [await cluster.node() for _ in range(2)]
    seen: list[tuple[str, str]] = []

    async def kind(ctx: RunContext) -> Outcome:
        seen.append(("began", ctx.run_id))
        await asyncio.sleep(0.05)
        seen.append(("ends", ctx.run_id))
        return Completed()

    for node in nodes:
        await node.work(kind, "a")
    line = uuid4()
    keys = [await cluster.submit(nodes[index % 2], "a", line) for index in range(3)]
    assert (await ended(nodes[0].core, keys[-1])).status is Status.COMPLETED
    assert seen == [(what, key.run_id) for key in keys for what in ("began", "ends")]


async def test_a_worker_keeps_its_limit(cluster: Cluster) -> None:
    node = await cluster.node(concurrency=3)
    now_running, most = 0, 0
    three, go = asyncio.Event(), asyncio.Event()

    async def kind(ctx: RunContext) -> Outcome:
        nonlocal now_running, most
        now_running += 1
        most = max(most, now_running)
        if now_running == 3:
            three.set()
        await go.wait()
        now_running -= 1
        return Completed()

    await node.work(kind, "a")
    keys = [await cluster.submit(node, "a") for _ in range(12)]
    await asyncio.wait_for(three.wait(), 10)
    assert len(await pending(node.core, keys)) == 9
    go.set()
    for key in keys:
        await ended(node.core, key)
    assert most == 3


async def test_a_worker_takes_only_what_it_serves(cluster: Cluster) -> None:
    node = await cluster.node()

    async def kind(ctx: RunContext) -> Outcome:
        return Completed()

    await node.work(kind, "mine")
    other = await cluster.submit(node, "other")
    mine = await cluster.submit(node, "mine")
    await ended(node.core, mine)
    assert (await run_service.get(node.core, other)).status is Status.PENDING


async def test_an_exception_fails_the_run(cluster: Cluster) -> None:
    node = await cluster.node()

    async def kind(ctx: RunContext) -> Outcome:
        raise ValueError("no such city")

    await node.work(kind, "a")
    run = await ended(node.core, await cluster.submit(node, "a"))
    assert run.status is Status.FAILED
    assert run.error is not None
    assert run.error.message == "ValueError: no such city"


async def test_cancel_of_a_pending_run_ends_it_at_once(cluster: Cluster) -> None:
    node = await cluster.node()
    key = await cluster.submit(node, "a")
    await node.engine.cancel(key, "changed my mind")
    run = await run_service.get(node.core, key)
    assert (run.status, run.attempt) == (Status.CANCELLED, 0)


async def test_cancel_of_a_running_run_reaches_its_worker_on_another_node(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    async with held() as (kind, began, _):
        await one.work(kind, "a")
        key = await cluster.submit(two, "a")
        await asyncio.wait_for(began.wait(), 10)
        await two.engine.cancel(key, "enough")
        run = await ended(two.core, key)
    assert run.status is Status.CANCELLED
    assert run.error is not None
    assert run.error.code == "CANCELLED"


async def test_cancel_ends_a_run_whose_worker_does_not_listen(cluster: Cluster) -> None:
    node = await cluster.node()
    began, go = asyncio.Event(), asyncio.Event()

    async def deaf(ctx: RunContext) -> Outcome:
        began.set()
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        return Completed()

    await node.work(deaf, "a")
    key = await cluster.submit(node, "a")
    await asyncio.wait_for(began.wait(), 10)
    await node.engine.cancel(key, "enough")
    run = await ended(node.core, key)
    go.set()
    assert run.status is Status.CANCELLED


async def test_a_lost_lease_gives_the_run_to_another_and_fences_the_first(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    attempts: list[int] = []
    began, go = asyncio.Event(), asyncio.Event()

    async def kind(ctx: RunContext) -> Outcome:
        attempts.append(ctx.attempt)
        if ctx.attempt > 1:
            return Completed("second")
        began.set()
        await go.wait()
        await ctx.run_log.emit(TextMessageStartEvent(message_id="zombie"))
        await ctx.run_log.flush()
        return Completed("first")

    await one.work(kind, "a")
    key = await cluster.submit(one, "a")
    await asyncio.wait_for(began.wait(), 10)
    await two.work(kind, "a")
    while (await run_service.get(two.core, key)).fence == 1:  # a heartbeat in between renews the lease
        await two.core.database.execute("UPDATE run_queue SET lease_expires_at = now() - interval '1 minute'")
        await lifecycle.recover_expired(two.core)
    run = await ended(two.core, key)
    go.set()
    assert (run.status, run.output, run.fence) == (Status.COMPLETED, '"second"', 3)
    assert attempts == [1, 2]
    assert "TEXT_MESSAGE_START" not in await texts(one.core, key)


async def test_a_tool_that_blocks_the_event_loop_keeps_its_lease(cluster: Cluster) -> None:
    one, two = await cluster.node(), await cluster.node()
    attempts: list[int] = []

    async def kind(ctx: RunContext) -> Outcome:
        attempts.append(ctx.attempt)
        await asyncio.to_thread(two_is_watching.wait, 5)
        time.sleep(LEASE_SECONDS * 2)  # noqa: ASYNC251 - to block the loop is the point
        return Completed()

    two_is_watching = threading.Event()
    await one.work(kind, "a")
    key = await cluster.submit(two, "a")
    two_is_watching.set()
    assert (await ended(two.core, key)).status is Status.COMPLETED
    assert attempts == [1]


async def test_a_clean_stop_hands_back_what_does_not_finish(cluster: Cluster) -> None:
    one, two = await cluster.node(drain_seconds=0.1), await cluster.node()
    async with held() as (kind, began, go):
        worker = await one.work(kind, "a")
        key = await cluster.submit(one, "a")
        await asyncio.wait_for(began.wait(), 10)
        await worker.stop()
        run = await run_service.get(one.core, key)
        assert (run.status, run.attempt) == (Status.PENDING, 1)
        go.set()
        await two.work(kind, "a")
        run = await ended(two.core, key)
    assert (run.status, run.attempt) == (Status.COMPLETED, 2)


async def test_a_clean_stop_lets_a_run_finish(cluster: Cluster) -> None:
    node = await cluster.node(drain_seconds=10)
    async with held() as (kind, began, go):
        worker = await node.work(kind, "a")
        key = await cluster.submit(node, "a")
        await asyncio.wait_for(began.wait(), 10)
        stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0)
        go.set()
        await stopping
    run = await run_service.get(node.core, key)
    assert (run.status, run.attempt) == (Status.COMPLETED, 1)


async def test_a_waiting_run_holds_no_worker_and_goes_on_when_answered(cluster: Cluster) -> None:
    node = await cluster.node(concurrency=1)

    async def kind(ctx: RunContext) -> Outcome:
        answer = ctx.answers.get("call-1")
        if answer is None:
            return Waiting(WaitingReason.TOOL, (PendingCall("call-1", "ask"),))
        return Completed(answer.value)

    await node.work(kind, "a")
    first = await cluster.submit(node, "a")
    assert (await ended(node.core, first, Status.WAITING)).waiting is not None
    second = await cluster.submit(node, "a")
    await ended(node.core, second, Status.WAITING)
    duplicate = await control.resume(node.core, first, Answer("call-1", "42", "42"))
    assert not duplicate
    run = await ended(node.core, first)
    assert (run.status, run.output, run.attempt) == (Status.COMPLETED, '"42"', 2)
    assert await control.resume(node.core, first, Answer("call-1", "42", "42"))


async def test_what_is_answered_or_cancelled_while_no_worker_is_alive_is_not_lost(cluster: Cluster) -> None:
    node = await cluster.node()

    async def kind(ctx: RunContext) -> Outcome:
        answer = ctx.answers.get("call-1")
        return Completed(answer.value) if answer else Waiting(WaitingReason.TOOL, (PendingCall("call-1", "ask"),))

    worker = await node.work(kind, "a")
    answered, cancelled = await cluster.submit(node, "a"), await cluster.submit(node, "a")
    await ended(node.core, answered, Status.WAITING)
    await ended(node.core, cancelled, Status.WAITING)
    await worker.stop()
    await control.resume(node.core, answered, Answer("call-1", "42", "42"))
    await node.engine.cancel(cancelled, "enough")
    assert (await run_service.get(node.core, cancelled)).status is Status.CANCELLED
    await node.work(kind, "a")
    assert (await ended(node.core, answered)).output == '"42"'
    assert (await run_service.get(node.core, cancelled)).attempt == 1
