"""Tool calls that a run begins with: killed at every write, they are executed and told once (vertesia.md 2.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from perdure.domain.run_profile import InitialCall, RunProfile
from perdure.execution.log import Completed, Outcome
from perdure.execution.registry import App
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import Killed, MemoryLog, check_rules, context, public, recorded, results

CALLS = (
    InitialCall("a", "look", {"where": "left"}, stops=True),
    InitialCall("b", "look", {"where": "right"}, stops=True),
)


def app_of(ran: Counter[str]) -> App:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        last = messages[-1]
        assert isinstance(last, ModelRequest)
        yield ", ".join(str(part.content) for part in last.parts if isinstance(part, ToolReturnPart))

    agent = Agent(FunctionModel(stream_function=stream))

    @agent.tool_plain
    async def look(where: str) -> str:
        ran[where] += 1
        return f"seen {where}"

    app = App()
    app.agent("tested", agent)
    return app


async def attempt(app: App, log: MemoryLog, number: int) -> Outcome:
    profile = RunProfile(tells_tools=True, initial_calls=CALLS)
    return await run_attempt(app.agents["tested"], replace(context(log, attempt=number), profile=profile))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("eager", [False, True])
async def test_killed_at_every_write(late: bool, eager: bool) -> None:
    whole = MemoryLog()
    await attempt(app_of(Counter()), whole, 1)
    for kill_at in range(1, whole.writes + 1):
        ran = Counter[str]()
        app = app_of(ran)
        first = MemoryLog(kill_at=kill_at, late=late, eager=eager)
        with pytest.raises(Killed):
            await attempt(app, first, 1)
        before, had = recorded(first.lines), Counter(ran)
        second = MemoryLog(first.lines)
        outcome = await attempt(app, second, 2)
        assert isinstance(outcome, Completed)
        assert outcome.output == "seen left, seen right"
        check_rules(second.lines)
        assert results(second.lines) == {"a": "seen left", "b": "seen right"}
        starts = [event["toolCallId"] for event in public(second.lines) if event["type"] == "TOOL_CALL_START"]
        assert starts == ["a", "b"]
        for key, where in (("tool:a", "left"), ("tool:b", "right")):
            assert key not in before or ran[where] == had[where] == 1
        third = MemoryLog(second.lines)
        assert await attempt(app, third, 3) == outcome
        assert third.lines == second.lines


async def test_a_fresh_restart_calls_again_under_other_ids() -> None:
    ran = Counter[str]()
    app = app_of(ran)
    first = MemoryLog()
    await attempt(app, first, 1)
    first.append({"type": "CUSTOM", "name": "perdure.run.restarted", "value": {"from": "completed", "fresh": True}})
    second = MemoryLog(first.lines)
    await attempt(app, second, 2)
    check_rules(second.lines)
    assert ran == {"left": 2, "right": 2}
    assert results(second.lines) == {"a_2": "seen left", "b_2": "seen right"}
