"""Kills a run that waited at every write after its answers came, and lets hooks get in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ag_ui.core import StateSnapshotEvent, TextMessageStartEvent
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import AbstractCapability, HandleDeferredToolCalls
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults

from perdure.execution.log import Completed, Outcome, Waiting
from perdure.execution.registry import App
from perdure.execution.tool_context import current_run, idempotency_key, publish
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import RUN_ID, Killed, MemoryLog, check_rules, context, public, recorded, results

TOOLS = [{"name": "ask", "parameters": {"type": "object"}}]


async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
    if not any(isinstance(message, ModelResponse) for message in messages):
        yield "One moment."
        yield {1: DeltaToolCall(name="pay", json_args="{}", tool_call_id="pay-1")}
        yield {2: DeltaToolCall(name="ask", json_args="{}", tool_call_id="ask-1")}
        yield {3: DeltaToolCall(name="look", json_args="{}", tool_call_id="look-1")}
    else:
        parts = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        yield ", ".join(sorted(part.model_response_str() for part in parts))


def app_of(ran: Counter[str], *capabilities: AbstractCapability[Any]) -> App:
    agent = Agent(FunctionModel(stream_function=model), capabilities=capabilities)

    @agent.tool_plain(requires_approval=True)
    def pay() -> str:
        ran["pay"] += 1
        return "paid"

    @agent.tool_plain
    def look() -> str:
        ran["look"] += 1
        return "looked"

    app = App()
    app.agent("tested", agent)
    return app


async def attempt(app: App, log: MemoryLog, number: int) -> Outcome:
    return await run_attempt(app.agents["tested"], replace(context(log, attempt=number), input={"tools": TOOLS}))


async def parked(app: App) -> list[str]:
    """The log of a run that waited and has its answers."""
    log = MemoryLog()
    waiting = await attempt(app, log, 1)
    assert isinstance(waiting, Waiting)
    calls = [{"toolCallId": call.id} for call in waiting.calls]
    log.append(
        {"type": "CUSTOM", "name": "perdure.run.waiting", "value": {"calls": calls}},
        {"type": "TOOL_CALL_RESULT", "messageId": "result:ask-1", "toolCallId": "ask-1", "content": "asked"},
        {"type": "CUSTOM", "name": "perdure.run.approval", "value": {"toolCallId": "pay-1", "value": True}},
    )
    return log.lines


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("eager", [False, True], ids=["gathered", "at-once"])
async def test_killed_at_every_write_after_the_answers_came(eager: bool, late: bool) -> None:
    whole = MemoryLog(await parked(app_of(Counter())))
    await attempt(app_of(Counter()), whole, 2)
    assert whole.writes >= 5
    for kill_at in range(1, whole.writes + 1):
        ran = Counter[str]()
        app = app_of(ran)
        killed = MemoryLog(await parked(app), kill_at, late=late, eager=eager)
        with pytest.raises(Killed):
            await attempt(app, killed, 2)
        paid = ran["pay"] if "tool:pay-1" in recorded(killed.lines) else None
        log = MemoryLog(killed.lines)
        outcome = await attempt(app, log, 3)
        assert isinstance(outcome, Completed)
        assert outcome.output == "asked, looked, paid"
        check_rules(log.lines)
        assert results(log.lines) == {"look-1": "looked", "ask-1": "asked", "pay-1": "paid"}
        assert ran["look"] == 1
        assert paid in (None, ran["pay"])
        assert len(recorded(log.lines)) == len(set(recorded(log.lines))) == 4


@dataclass
class Soothing(AbstractCapability[Any]):
    """Turns every failure into an answer."""

    async def on_run_error(self, ctx: RunContext[Any], *, error: BaseException) -> AgentRunResult[str]:
        return AgentRunResult(output="all is well")


async def test_a_hook_cannot_talk_a_run_out_of_waiting() -> None:
    outcome = await attempt(app_of(Counter(), Soothing()), MemoryLog(), 1)
    assert isinstance(outcome, Waiting)
    assert [call.name for call in outcome.calls] == ["pay", "ask"]


async def test_the_agents_own_policy_decides_first() -> None:
    async def approve(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        return DeferredToolResults(approvals={call.tool_call_id: True for call in requests.approvals})

    ran = Counter[str]()
    app = app_of(ran, HandleDeferredToolCalls(approve))
    log = MemoryLog()
    outcome = await attempt(app, log, 1)
    assert isinstance(outcome, Waiting)
    assert [call.name for call in outcome.calls] == ["ask"]
    log.append(
        {"type": "CUSTOM", "name": "perdure.run.waiting", "value": {"calls": [{"toolCallId": "ask-1"}]}},
        {"type": "TOOL_CALL_RESULT", "messageId": "result:ask-1", "toolCallId": "ask-1", "content": "asked"},
    )
    log = MemoryLog(log.lines)
    outcome = await attempt(app, log, 2)
    assert isinstance(outcome, Completed)
    assert outcome.output == "asked, looked, paid"
    assert ran == {"look": 1, "pay": 1}


async def test_what_a_tool_can_ask_of_its_run() -> None:
    seen: list[str] = []
    agent = Agent(TestModel())

    @agent.tool
    async def curious(ctx: RunContext[object]) -> str:
        run = current_run(ctx)
        seen.extend([run.run_id, idempotency_key(ctx)])
        await publish(ctx, StateSnapshotEvent(snapshot={"asked": 1}), StateSnapshotEvent(snapshot={"asked": 2}))
        with pytest.raises(TypeError, match="cannot send TEXT_MESSAGE_START"):
            await publish(ctx, TextMessageStartEvent(message_id="m"))
        return str(run.attempt)

    app = App()
    app.agent("tested", agent)
    log = MemoryLog()
    await attempt(app, log, 1)
    assert seen == [RUN_ID, f"{RUN_ID}.0.tool:pyd_ai_tool_call_id__curious"]
    assert [event["snapshot"] for event in public(log.lines) if event["type"] == "STATE_SNAPSHOT"] == [
        {"asked": 1},
        {"asked": 2},
    ]

    @agent.tool
    async def alone(ctx: RunContext[object]) -> str:
        for helper in (current_run, idempotency_key):
            with pytest.raises(LookupError, match="not executed by Perdure"):
                helper(ctx)
        return "alone"

    outside = await agent.run("hello", model=TestModel(call_tools=["alone"]))
    assert "alone" in outside.output
