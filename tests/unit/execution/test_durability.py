"""Kills an agent at every write, runs it again on what survived, and looks at the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from ag_ui.core import StateDeltaEvent, StateSnapshotEvent
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.capabilities import AbstractCapability, ProcessEventStream
from pydantic_ai.messages import (
    AgentStreamEvent,
    CustomEvent,
    ModelMessage,
    ModelResponse,
    ToolReturn,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaThinkingCalls, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.run import AgentRunResult

from perdure.domain.closing import closing_events
from perdure.domain.fold import fold
from perdure.execution.log import Completed, Outcome
from perdure.execution.registry import App
from perdure.execution.tool_context import idempotency_key, publish
from perdure.execution.tool_steps import ToolCrashed
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import (
    Killed,
    MemoryLog,
    check_rules,
    context,
    public,
    recorded,
    results,
    transcript,
    types,
)

Stream = AsyncIterator[str | dict[int, DeltaToolCall] | DeltaThinkingCalls]


@dataclass
class World:
    """What lies outside of the log: what was asked of the model, and what the tools did."""

    asked: Counter[int] = field(default_factory=Counter)
    ran: Counter[str] = field(default_factory=Counter)
    keys: dict[str, set[str]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)


def turn_of(messages: list[ModelMessage]) -> int:
    return sum(isinstance(message, ModelResponse) for message in messages) + 1


def returned(messages: list[ModelMessage]) -> dict[str, str]:
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    return {part.tool_call_id: part.model_response_str() for part in parts}


def agent_of(world: World) -> App:
    """Thinks and speaks, calls two tools at once, then one that asks for another try, then answers."""

    async def model(messages: list[ModelMessage], info: AgentInfo) -> Stream:
        turn = turn_of(messages)
        world.asked[turn] += 1
        # Like a provider: the ids of a new response are new ones.
        number = sum(world.asked.values())
        if turn == 1:
            yield {0: DeltaThinkingPart(content="Hm, ")}
            yield {0: DeltaThinkingPart(content="a plan.")}
            yield "Let me "
            yield "look."
            yield {2: DeltaToolCall(name="slow", json_args='{"n": ', tool_call_id=f"slow-{number}")}
            yield {2: DeltaToolCall(json_args="1}")}
            yield {3: DeltaToolCall(name="quick", json_args="{}", tool_call_id=f"quick-{number}")}
        elif turn == 2:
            yield {0: DeltaToolCall(name="picky", json_args='{"word": "no"}', tool_call_id=f"picky-{number}")}
        elif turn == 3:
            yield {0: DeltaToolCall(name="picky", json_args='{"word": "yes"}', tool_call_id=f"picky-{number}")}
        else:
            yield "Here: "
            yield ", ".join(sorted(returned(messages).values()))

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool
    async def slow(ctx: RunContext[object], n: int) -> str:
        started(world, ctx)
        await asyncio.sleep(0)
        await publish(ctx, StateDeltaEvent.model_validate({"delta": [{"op": "add", "path": "/slow", "value": n}]}))
        await asyncio.sleep(0)
        return f"slow {n}"

    @agent.tool
    async def quick(ctx: RunContext[object]) -> ToolReturn:
        started(world, ctx)
        return ToolReturn({"quick": True}, metadata=[StateSnapshotEvent(snapshot={"quick": True})])

    @agent.tool
    async def picky(ctx: RunContext[object], word: str) -> str:
        started(world, ctx)
        if word == "no":
            raise ModelRetry("say yes")
        return "picked"

    app = App()
    app.agent("tested", agent)
    return app


def started(world: World, ctx: RunContext[object]) -> None:
    call_id = str(ctx.tool_call_id)
    world.ran[call_id] += 1
    world.keys.setdefault(call_id, set()).add(idempotency_key(ctx))


async def attempt(app: App, log: MemoryLog, number: int) -> Outcome:
    return await run_attempt(app.agents["tested"], context(log, attempt=number))


async def writes_of_a_whole_run() -> int:
    log = MemoryLog()
    await attempt(agent_of(World()), log, 1)
    return log.writes


def check_end(world: World, log: MemoryLog, outcome: Outcome) -> None:
    check_rules(log.lines)
    assert isinstance(outcome, Completed)
    steps = recorded(log.lines)
    assert len(steps) == len(set(steps)) == 8
    texts = list(transcript(log.lines).values())
    assert texts == ["Let me look.", outcome.output]
    assert "picked" in str(outcome.output)
    assert "slow 1" in str(outcome.output)
    kept = {key.removeprefix("tool:") for key in steps if key.startswith("tool:")}
    assert set(results(log.lines)) == kept
    assert all(len(keys) == 1 for keys in world.keys.values())
    assert len({key for keys in world.keys.values() for key in keys}) == len(world.keys)


async def test_a_run_that_nobody_kills() -> None:
    world, log = World(), MemoryLog()
    outcome = await attempt(agent_of(world), log, 1)
    check_end(world, log, outcome)
    assert isinstance(outcome, Completed)
    assert outcome.output == 'Here: picked, slow 1, {"error":"say yes"}, {"quick":true}'
    assert set(world.asked.values()) == {1}
    assert set(world.ran.values()) == {1}
    assert types(log.lines)[:8] == [
        "REASONING_MESSAGE_START",
        "REASONING_MESSAGE_CONTENT",
        "REASONING_MESSAGE_CONTENT",
        "REASONING_MESSAGE_END",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
    ]
    assert types(log.lines).count("STATE_DELTA") == 1
    assert types(log.lines).count("STATE_SNAPSHOT") == 1


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("eager", [False, True], ids=["gathered", "at-once"])
async def test_killed_at_every_write_and_run_again(eager: bool, late: bool) -> None:
    last = await writes_of_a_whole_run()
    assert last > 25
    for kill_at in range(1, last + 1):
        world = World()
        app = agent_of(world)
        first = MemoryLog(kill_at=kill_at, late=late, eager=eager)
        with pytest.raises(Killed):
            await attempt(app, first, 1)
        before = recorded(first.lines)
        ran, asked = Counter(world.ran), Counter(world.asked)
        second = MemoryLog(first.lines)
        outcome = await attempt(app, second, 2)

        check_end(world, second, outcome)
        assert second.lines[: len(first.lines)] == first.lines
        for key in before:
            kind, _, name = key.partition(":")
            if kind == "model":
                assert world.asked[int(name)] == asked[int(name)] == 1, f"killed at {kill_at}: {key} was asked again"
            else:
                assert world.ran[name] == ran[name] == 1, f"killed at {kill_at}: {key} ran again"
        third = MemoryLog(second.lines)
        assert await attempt(app, third, 3) == outcome
        assert third.lines == second.lines, "a replay of everything adds nothing"


async def test_killed_again_and_again_until_it_is_done() -> None:
    for step in (1, 2, 3, 5, 7):
        world, lines = World(), list[str]()
        app = agent_of(world)
        for number in count(1):
            # Late enough for a whole response now and then: who always dies in its middle never gets anywhere.
            kill_at = 4 + number * step % 17
            log = MemoryLog(lines, kill_at=kill_at, late=bool(number % 2), eager=bool(number % 3))
            try:
                outcome = await attempt(app, log, number)
            except Killed:
                lines = log.lines
                assert number < 100
                continue
            check_end(world, log, outcome)
            break


async def test_what_a_lost_attempt_streamed_is_taken_back_first() -> None:
    world = World()
    app = agent_of(world)
    first = MemoryLog(kill_at=5, late=True, eager=True)
    with pytest.raises(Killed):
        await attempt(app, first, 1)
    assert types(first.lines)[-1] == "TEXT_MESSAGE_CONTENT"
    second = MemoryLog(first.lines)
    await attempt(app, second, 2)
    added = public(second.lines)[len(public(first.lines)) :]
    assert [event["type"] for event in added[:3]] == ["TEXT_MESSAGE_END", "CUSTOM", "CUSTOM"]
    assert [event["value"] for event in added[1:3]] == [
        {"messageId": "0123456789abcdef01234567-1-1.reasoning", "reason": "attempt_lost"},
        {"messageId": "0123456789abcdef01234567-1-1", "reason": "attempt_lost"},
    ]


async def test_a_cancel_passes_through_and_leaves_a_log_that_can_be_closed() -> None:
    reached = asyncio.Event()
    agent = Agent(FunctionModel(stream_function=two_tools))

    @agent.tool_plain
    async def done() -> str:
        return "done"

    @agent.tool_plain
    async def stuck() -> str:
        reached.set()
        await asyncio.Event().wait()
        return "never"

    app = App()
    app.agent("tested", agent)
    log = MemoryLog()
    task = asyncio.create_task(attempt(app, log, 1))
    await asyncio.wait_for(reached.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorded(log.lines) == ["model:1", "tool:done-1"]
    log.append(*(event.model_dump(mode="json", by_alias=True) for event in closing_events(fold(log.lines))))
    check_rules(log.lines)
    assert results(log.lines) == {"done-1": "done", "stuck-1": "cancelled"}


class Refused(Exception):
    """What a log answers to an attempt that has lost its lease."""


class RefusingLog(MemoryLog):
    async def record(self, key: str, value: bytes) -> None:
        if key.startswith("tool:"):
            raise Refused
        await super().record(key, value)


async def test_what_the_log_refuses_ends_the_attempt_even_if_a_hook_catches_it() -> None:
    @dataclass
    class Forgiving(AbstractCapability[object]):
        async def on_run_error(self, ctx: RunContext[object], *, error: BaseException) -> AgentRunResult[str]:
            return AgentRunResult(output="nothing happened")

    app = App()
    app.agent("tested", Agent(TestModel(), tools=[lucky_number], capabilities=[Forgiving()]))
    with pytest.raises(Refused):
        await attempt(app, RefusingLog(), 1)


def lucky_number() -> int:
    return 7


async def test_a_tool_that_raises_fails_the_run_every_time_until_it_is_restarted() -> None:
    broken, ran = [True], Counter[str]()
    agent = Agent(TestModel())

    @agent.tool_plain
    def shaky() -> str:
        ran["shaky"] += 1
        if broken:
            raise KeyError("gone")
        return "fine"

    app = App()
    app.agent("tested", agent)
    log = MemoryLog()
    with pytest.raises(KeyError, match="gone"):
        await attempt(app, log, 1)
    call_id = "pyd_ai_tool_call_id__shaky"
    assert results(log.lines) == {call_id: "'gone'"}
    assert recorded(log.lines) == ["model:1", f"error:tool:{call_id}"]

    broken.clear()
    again = MemoryLog(log.lines)
    with pytest.raises(ToolCrashed, match="gone"):
        await attempt(app, again, 2)
    assert (again.lines, ran["shaky"]) == (log.lines, 1)

    again.append({"type": "CUSTOM", "name": "perdure.run.restarted", "value": {"from": "failed", "fresh": False}})
    restarted = MemoryLog(again.lines)
    outcome = await attempt(app, restarted, 3)
    assert isinstance(outcome, Completed)
    assert results(restarted.lines) == {call_id: "fine"}
    check_rules(restarted.lines)
    assert recorded(restarted.lines).count("model:1") == 1


async def test_a_fresh_restart_begins_from_nothing_and_takes_back_what_was() -> None:
    world = World()
    app = agent_of(world)
    log = MemoryLog()
    await attempt(app, log, 1)
    log.append(
        {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"},
        {"type": "CUSTOM", "name": "perdure.run.restarted", "value": {"from": "completed", "fresh": True}},
    )
    again = MemoryLog(log.lines)
    outcome = await attempt(app, again, 2)
    assert isinstance(outcome, Completed)
    check_rules(again.lines)
    assert list(transcript(again.lines).values()) == ["Let me look.", outcome.output]
    assert set(world.asked.values()) == {2}
    assert len(world.keys) == len({key for keys in world.keys.values() for key in keys}) == 8


async def test_a_provider_that_counts_its_tool_calls_anew_in_each_response() -> None:
    async def model(messages: list[ModelMessage], info: AgentInfo) -> Stream:
        if turn_of(messages) < 3:
            yield {0: DeltaToolCall(name="lucky_number", json_args="{}", tool_call_id="call_0")}
        else:
            yield str(sorted(returned(messages)))

    app = App()
    app.agent("tested", Agent(FunctionModel(stream_function=model), tools=[lucky_number]))
    log = MemoryLog()
    outcome = await attempt(app, log, 1)
    assert isinstance(outcome, Completed)
    assert outcome.output == "['call_0', 'call_0_2']"
    check_rules(log.lines)
    assert results(log.lines) == {"call_0": "7", "call_0_2": "7"}


async def test_the_applications_own_events_are_not_repeated_by_a_replay() -> None:
    @dataclass(kw_only=True)
    class HalfwayEvent(CustomEvent, name="tests.halfway"):
        percent: int

    agent = Agent(TestModel())

    @agent.tool
    async def work(ctx: RunContext[object]) -> str:
        await ctx.emit(HalfwayEvent(percent=50))
        await asyncio.sleep(0)
        return "worked"

    app = App()
    app.agent("tested", agent)
    log = MemoryLog()
    await attempt(app, log, 1)
    own = [event for event in public(log.lines) if event["type"] == "CUSTOM"]
    assert [(event["name"], event["value"]) for event in own] == [("tests.halfway", {"percent": 50})]
    again = MemoryLog(log.lines)
    await attempt(app, again, 2)
    assert again.lines == log.lines


async def test_an_agent_with_a_hook_on_the_stream_is_durable_too() -> None:
    seen: list[str] = []

    async def listen(ctx: RunContext[object], events: AsyncIterable[AgentStreamEvent]) -> None:
        seen.extend([event.event_kind async for event in events])

    world = World()
    base = agent_of(world).agents["tested"].target
    assert isinstance(base, Agent)
    app = App()
    app.agent("tested", Agent(base.model, toolsets=base.toolsets, capabilities=[ProcessEventStream(listen)]))
    log = MemoryLog()
    outcome = await attempt(app, log, 1)
    check_end(world, log, outcome)
    assert "part_start" in seen
    again = MemoryLog(log.lines)
    assert await attempt(app, again, 2) == outcome
    assert again.lines == log.lines


async def two_tools(messages: list[ModelMessage], info: AgentInfo) -> Stream:
    yield {0: DeltaToolCall(name="done", json_args="{}", tool_call_id="done-1")}
    yield {1: DeltaToolCall(name="stuck", json_args="{}", tool_call_id="stuck-1")}
