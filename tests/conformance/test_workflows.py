"""Workflows on every engine: they wait without a worker, and go on when what they wait for comes."""

from __future__ import annotations

import asyncio

import msgspec

from perdure import App
from perdure.agents import ChildFailed, WorkflowContext
from perdure.domain.ids import RunKey
from perdure.domain.run import Answer, Kind, Status
from perdure.execution.executor import Executor
from perdure.execution.inputs import published
from perdure.execution.kinds.resolve import Resolver
from perdure.services import catalog, control
from perdure.services import runs as run_service
from perdure.services.runs import RunRequest
from perdure.telemetry import Tracing
from tests.conformance.test_engine import Cluster, Node, cluster, ended

__all__ = ["cluster"]

app = App()


@app.workflow("sleeper")
async def sleeper(ctx: WorkflowContext, seconds: float) -> int:
    await ctx.sleep(seconds)
    return ctx.attempt


@app.workflow("asker")
async def asker(ctx: WorkflowContext) -> list[object]:
    signal, approval = await asyncio.gather(ctx.wait_for_signal("go"), ctx.approve("Really?"))
    return [signal, approval.approved]


@app.workflow("child")
async def child(ctx: WorkflowContext, number: int) -> int:
    if number == 2:
        raise ValueError("two")
    await ctx.sleep(0.4)
    return number * 10


@app.workflow("parent")
async def parent(ctx: WorkflowContext) -> list[object]:
    children = [ctx.run_child("workflow:child", {"number": number}, type=int) for number in range(3)]
    found = await asyncio.gather(*children, return_exceptions=True)
    return [one.error if isinstance(one, ChildFailed) else one for one in found]


@app.workflow("stuck")
async def stuck(ctx: WorkflowContext) -> None:
    await ctx.run_child("workflow:sleeper", {"seconds": 86_400})


async def start(cluster: Cluster, node: Node, name: str, **given: object) -> RunKey:
    """A run of a workflow, with a worker that serves all of them."""
    await catalog.publish(node.core, published(app))
    if not node.workers:
        executor = Executor(node.core, Resolver(app), 0.01, Tracing())
        node.workers.append(await node.engine.work(app.serves, executor.execute))
    request = RunRequest(
        kind=Kind.WORKFLOW,
        owner_kind="project",
        owner_id=cluster.project_id,
        fingerprint=b"",
        target=f"workflow:{name}",
        input=msgspec.json.encode(given),
    )
    run = (await run_service.create(node.core, cluster.project_id, request)).run
    await node.engine.submit(run.key)
    return run.key


async def test_a_sleeping_workflow_holds_no_worker_and_wakes_by_itself(cluster: Cluster) -> None:
    node = await cluster.node(concurrency=1)
    keys = [await start(cluster, node, "sleeper", seconds=1.5) for _ in range(3)]
    for key in keys:
        await ended(node.core, key, Status.WAITING)
    for key in keys:
        run = await ended(node.core, key)
        assert (run.status, run.output) == (Status.COMPLETED, "2")


async def test_a_workflow_waits_for_a_signal_and_an_approval(cluster: Cluster) -> None:
    node = await cluster.node()
    key = await start(cluster, node, "asker")
    waiting = (await ended(node.core, key, Status.WAITING)).waiting
    assert waiting is not None
    (call,) = waiting.calls
    await control.resume(node.core, key, Answer(call.id, True, "true"))
    await control.signal(node.core, key, "go", {"n": 1})
    run = await ended(node.core, key)
    assert (run.status, run.output) == (Status.COMPLETED, '[{"n":1},true]')


async def test_children_are_waited_for_and_their_failures_come_back(cluster: Cluster) -> None:
    node = await cluster.node(concurrency=2)
    run = await ended(node.core, await start(cluster, node, "parent"))
    assert (run.status, run.output) == (Status.COMPLETED, '[0,10,"ValueError: two"]')


async def test_the_cancel_of_a_workflow_cancels_its_children(cluster: Cluster) -> None:
    node = await cluster.node()
    key = await start(cluster, node, "stuck")
    await ended(node.core, key, Status.WAITING)
    await node.engine.cancel(key, "enough")
    assert (await ended(node.core, key)).status is Status.CANCELLED
    rows = await node.core.database.fetch("SELECT status FROM runs WHERE parent_run_id = $1", key.run_id)
    assert [row["status"] for row in rows] == ["cancelled"]
