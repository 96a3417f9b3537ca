"""Tasks, evals and agents elsewhere on every engine: their executors do the same whichever engine hands out runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from perdure.domain.ids import RunKey
from perdure.domain.run import Answer, Kind, Status
from perdure.domain.stored_run import RunSpec
from perdure.execution.executor import Executor
from perdure.execution.kinds.resolve import Resolver
from perdure.execution.loading import load_app
from perdure.execution.registry import App
from perdure.execution.task_site import TaskSite
from perdure.services import control, task_logs
from perdure.services import runs as run_service
from perdure.services.egress import Egress
from perdure.services.runs import RunRequest
from perdure.settings import whole_environment
from perdure.telemetry import Tracing
from tests.conformance.test_engine import Cluster, Node, cluster, ended
from tests.http.ag_ui_endpoint import FINISHED, STARTED, Cut, called, endpoint, said
from tests.http.eval_examples import Double, evals

__all__ = ["cluster"]

EXAMPLES = Path(__file__).parents[1] / "http" / "task_examples.py"


async def work(node: Node, app: App) -> None:
    resolve = Resolver(app, TaskSite(str(EXAMPLES), whole_environment()))
    core = replace(node.core, egress=Egress(("127.0.0.0/8",)))
    worker = await node.engine.work(app.serves, Executor(core, resolve, 0.01, Tracing()).execute)
    node.workers.append(worker)


async def submit(
    cluster: Cluster, node: Node, kind: Kind, name: str, spec: RunSpec | None = None, **given: object
) -> RunKey:
    request = RunRequest(
        kind=kind,
        owner_kind="project",
        owner_id=cluster.project_id,
        fingerprint=b"",
        agent_id=name if kind is Kind.AGENT else None,
        target=None if kind is Kind.AGENT else f"{kind}:{name}",
        spec=RunSpec() if spec is None else spec,
        input=msgspec.json.encode(given),
    )
    created = await run_service.create(node.core, cluster.project_id, request)
    await node.engine.submit(created.run.key)
    return created.run.key


async def logs(node: Node, key: RunKey) -> str:
    return await task_logs.logs_of(node.core, key) or ""


async def test_a_task(cluster: Cluster) -> None:
    node = await cluster.node()
    await work(node, load_app(str(EXAMPLES)))
    run = await ended(node.core, await submit(cluster, node, Kind.TASK, "shell_result"))
    assert (run.status, run.output) == (Status.COMPLETED, "[1,2]")


async def test_a_failed_task_is_tried_again(cluster: Cluster) -> None:
    node = await cluster.node()
    await work(node, load_app(str(EXAMPLES)))
    config: dict[str, Any] = {"failures": 1}
    key = await submit(cluster, node, Kind.TASK, "unlucky", RunSpec(backoff_limit=1, config=config))
    run = await ended(node.core, key)
    assert (run.status, run.attempt, run.output) == (Status.COMPLETED, 2, "2")


async def test_a_cancelled_task_ends_its_process(cluster: Cluster) -> None:
    node = await cluster.node()
    await work(node, load_app(str(EXAMPLES)))
    key = await submit(cluster, node, Kind.TASK, "sleeper")

    async with asyncio.timeout(20):
        while True:
            if "sleeping" in await logs(node, key):
                break
            await asyncio.sleep(0.02)
    await node.engine.cancel(key, "enough")
    assert (await ended(node.core, key)).status is Status.CANCELLED
    assert "cleaning up True" in await logs(node, key)


async def test_an_eval(cluster: Cluster) -> None:
    node = await cluster.node()
    await work(node, evals(Double([])))
    run = await ended(node.core, await submit(cluster, node, Kind.EVAL, "double"))
    assert run.status is Status.COMPLETED, run.error
    assert msgspec.json.decode(run.output or "null")["summary"]["passed"] == 1


ASKED: dict[str, object] = {"type": "success", "pendingToolCallIds": ["c1"]}


async def test_an_agent_elsewhere_goes_on_after_a_broken_stream_and_after_its_tools_result(cluster: Cluster) -> None:
    broken = [STARTED, *said("m1", "whole"), *said("m2", "half", end=False), Cut()]
    asks = [STARTED, *called("c1", "ask_user", "m3"), {**FINISHED, "outcome": ASKED}]
    async with endpoint(broken, asks, [STARTED, *said("m4", "ok"), FINISHED]) as there:
        app = App()
        app.agent("remote", url=f"{there.url}/agent")
        node = await cluster.node()
        await work(node, app)
        tools = [{"name": "ask_user", "description": "Asks.", "parameters": {"type": "object"}}]
        said_first = [{"id": "u1", "role": "user", "content": "hello"}]
        key = await submit(cluster, node, Kind.AGENT, "remote", messages=said_first, tools=tools)
        waiting = await ended(node.core, key, Status.WAITING)
        assert waiting.waiting is not None and [call.id for call in waiting.waiting.calls] == ["c1"]
        await control.resume(node.core, key, Answer("c1", "because", "because"))
        run = await ended(node.core, key)
        assert run.status is Status.COMPLETED, run.error
    asked = [[(message["role"], message.get("content")) for message in request["messages"]] for request in there.asked]
    assert asked[:2] == [[("user", "hello")], [("user", "hello"), ("assistant", "whole")]]
    assert asked[2][-1] == ("tool", "because")
    assert len(asked) == 3
