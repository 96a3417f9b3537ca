"""Questions to agent runs (vertesia.md 4.2), and what agents' code tells: answered from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from ag_ui.core import BaseEvent
from pydantic_ai import Agent
from pydantic_ai import RunContext as ToolContext
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from perdure import App
from perdure.agents import RunContext, current_run
from perdure.domain.agent_message import MessageKind, planned
from perdure.domain.ids import RunId, RunKey
from perdure.services import lifecycle
from tests.http.agents_at_work import AGENTS, Agents, agents_at_work
from tests.http.runs_app import PROJECT, Api


def make_app() -> App:
    app = App()

    @app.agent("planner")
    async def planner(run: RunContext) -> AsyncIterator[BaseEvent]:
        """Plans, works and tells of it; its first attempt fails after the first step."""

        async def first() -> str:
            return "one"

        await run.step("first", first)
        await run.plan(["Read", {"goal": "Write", "status": "in_progress"}], comment="Two things.")
        await run.message("working", type="warning", details={"why": "because"})
        await run.progress(1, 2, "half")
        await run.publish("Weather", {"sky": "grey"})
        if run.attempt == 1:
            raise RuntimeError("try again")
        await run.step("second", first)
        await run.publish("Weather", {"sky": "blue"})
        for event in list[BaseEvent]():
            yield event

    async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        last = messages[-1]
        assert isinstance(last, ModelRequest)
        if any(isinstance(part, ToolReturnPart) for part in last.parts):
            yield "done"
        else:
            yield {0: DeltaToolCall(name="measure", json_args="{}")}

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool
    async def measure(ctx: ToolContext[object]) -> str:
        """Measures it."""
        await current_run(ctx).publish("Width", 12)
        return "12 cm"

    app.agent("measurer", agent)
    return app


@pytest_asyncio.fixture
async def agents(at_work: Api) -> AsyncIterator[Agents]:
    async with agents_at_work(at_work, make_app()) as working:
        yield working


async def test_what_an_agent_publishes_is_answered_without_a_worker(agents: Agents) -> None:
    run_id = await agents.start("planner", "go", interactive=False)
    assert (await agents.ends(run_id))["status"] == "failed"
    assert await agents.query(run_id, "Weather") == {"sky": "grey"}
    await agents.api.json("POST", f"{AGENTS}/{run_id}/restart")
    await agents.until(run_id, lambda run: run["status"] == "completed" or run.get("waiting_reason") == "input")
    await agents.worker.stop()
    assert await agents.query(run_id, "Weather") == {"sky": "blue"}
    assert await agents.query(run_id, "AgentPlan") == {
        "plan": [
            {"id": 1, "status": "pending", "goal": "Read"},
            {"id": 2, "status": "in_progress", "goal": "Write"},
        ],
        "comment": "Two things.",
    }
    assert await agents.customs(run_id, "perdure.message") == [
        {"type": 5, "message": "working", "details": {"why": "because"}}
    ]
    assert await agents.customs(run_id, "perdure.progress") == [{"done": 1, "total": 2, "text": "half"}]
    messages = (await agents.api.json("GET", f"{AGENTS}/{run_id}/updates"))["messages"]
    assert [message["t"] for message in messages][:3] == [2, 5, 3]


async def test_the_tools_of_a_turn_are_told_when_they_change(agents: Agents) -> None:
    run_id = await agents.start("measurer", "go")
    await agents.turns(run_id, 1)
    await agents.say(run_id, "again")
    await agents.turns(run_id, 2)
    assert await agents.query(run_id, "AvailableTools") == [{"name": "measure", "description": "Measures it."}]
    assert await agents.query(run_id, "Width") == 12
    told = [value["name"] for value in await agents.customs(run_id, "perdure.published")]
    assert told == ["AvailableTools", "Width", "Width"]


async def test_a_run_that_published_nothing_has_no_plan_and_no_tools(at_work: Api) -> None:
    run_id = (await at_work.json("POST", AGENTS, {"interaction": "echo"}))["id"]
    path = f"{AGENTS}/{run_id}/query"
    assert await at_work.json("GET", f"{path}/AgentPlan") == {"plan": []}
    assert await at_work.json("GET", f"{path}/AvailableTools") == []
    assert await at_work.json("GET", f"{path}/ActiveWorkstreams") == {"running": [], "completed": []}
    for name in ("Nothing", "perdure.published", 'x"y'):
        answer = await at_work.client.get(f"{path}/{name}")
        assert answer.status_code == 404
        assert answer.json()["status"] == 404
    assert (await at_work.client.get(f"{AGENTS}/nobody/query/AgentPlan")).status_code == 404


async def test_children_are_workstreams(at_work: Api) -> None:
    parent = (await at_work.json("POST", AGENTS, {"interaction": "echo"}))["id"]
    live, failed, cancelled = [await child_of(at_work, parent) for _ in range(3)]
    await at_work.json("POST", f"/runs/{failed}/complete", {"status": "failed", "terminal_error_message": "no"})
    await lifecycle.cancel(at_work.core, RunKey(PROJECT, RunId(cancelled)), "enough")
    await at_work.create()
    found = await at_work.json("GET", f"{AGENTS}/{parent}/query/ActiveWorkstreams")
    (running,) = found["running"]
    assert set(running) == {
        "launch_id", "workstream_id", "kind", "interaction", "started_at", "elapsed_ms", "deadline_ms", "status",
        "child_workflow_id", "child_workflow_run_id",
    }  # fmt: skip
    assert (running["launch_id"], running["interaction"], running["status"]) == (live, "writer", "running")
    assert running["elapsed_ms"] >= 0
    ended = {one["launch_id"]: one for one in found["completed"]}
    assert (ended[failed]["status"], ended[failed]["error"]) == ("failed", "no")
    assert ended[cancelled]["status"] == "canceled"


async def child_of(api: Api, parent: str) -> str:
    made: dict[str, Any] = await api.create(parent_run_id=parent)
    return str(made["run"]["run_id"])


@pytest.mark.parametrize("kind", ["complete", "idle", "shout"])
def test_an_agent_cannot_send_the_servers_own_messages(kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        MessageKind(kind)


def test_a_plan_needs_goals() -> None:
    with pytest.raises(ValueError, match="goal"):
        planned(["Read", {"status": "pending"}])
