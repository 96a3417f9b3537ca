"""Agents that are functions: what they may yield, and what happens when an attempt of theirs is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    RunErrorEvent,
    RunFinishedEvent,
    RunStartedEvent,
    StateSnapshotEvent,
    TextMessageChunkEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallChunkEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.fold import LogFold
from perdure.domain.message import last_user_text
from perdure.execution.definitions import FunctionAgent
from perdure.execution.kinds.function_events import FunctionEvents, parse_event
from perdure.execution.log import Completed, Outcome, RunContext, RunFailed
from perdure.execution.registry import App
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

Events = AsyncIterator[BaseEvent | Mapping[str, object]]


def app_of(function: FunctionAgent) -> App:
    app = App()
    app.agent("tested", function)
    return app


async def run(function: FunctionAgent, log: MemoryLog, attempt: int = 1) -> Outcome:
    return await run_attempt(app_of(function).agents["tested"], context(log, attempt=attempt))


def yielding(*items: object) -> FunctionAgent:
    async def function(ctx: RunContext) -> Events:
        for item in items:
            assert isinstance(item, BaseEvent | Mapping) or item is None or isinstance(item, str)
            whatever: Any = item  # a user may yield what is no event
            yield whatever

    return function


async def echo(ctx: RunContext) -> Events:
    yield TextMessageStartEvent(message_id="answer")
    for word in last_user_text(ctx.messages).split():
        yield TextMessageContentEvent(message_id="answer", delta=word)
    yield {"type": "TEXT_MESSAGE_END", "messageId": "answer"}


async def test_events_and_json_objects_are_emitted() -> None:
    log = MemoryLog()
    assert await run(echo, log) == Completed(None)
    check_rules(log.lines)
    assert transcript(log.lines) == {"answer": "hello"}
    assert types(log.lines) == ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]


async def test_the_server_owns_the_run_events() -> None:
    log = MemoryLog()
    outcome = await run(
        yielding(
            RunStartedEvent(thread_id="t", run_id="r"),
            StateSnapshotEvent(snapshot={"a": None}),
            RunFinishedEvent(thread_id="t", run_id="r", result={"answer": 42}),
            TextMessageStartEvent(message_id="too late"),
        ),
        log,
    )
    assert outcome == Completed({"answer": 42})
    assert public(log.lines) == [{"type": "STATE_SNAPSHOT", "snapshot": {"a": None}}]


async def test_run_error_fails_the_run() -> None:
    with pytest.raises(RunFailed) as failed:
        await run(yielding(RunErrorEvent(message="no luck", code="LUCK")), MemoryLog())
    assert (str(failed.value), failed.value.code) == ("no luck", "LUCK")


async def test_what_is_left_open_is_ended() -> None:
    log = MemoryLog()
    await run(
        yielding(
            TextMessageStartEvent(message_id="m"),
            {"type": "STEP_STARTED", "stepName": "s"},
            {"type": "REASONING_START", "messageId": "r"},
            ToolCallStartEvent(tool_call_id="c", tool_call_name="t"),
        ),
        log,
    )
    assert sorted(types(log.lines)[4:]) == ["REASONING_END", "STEP_FINISHED", "TEXT_MESSAGE_END", "TOOL_CALL_END"]


async def test_chunks_become_messages_and_calls() -> None:
    log = MemoryLog()
    await run(
        yielding(
            TextMessageChunkEvent(message_id="m", role="assistant", delta="a"),
            TextMessageChunkEvent(delta="b"),
            ToolCallChunkEvent(tool_call_id="c", tool_call_name="t", parent_message_id="m", delta="{"),
            ToolCallChunkEvent(tool_call_id="c", delta="}"),
            TextMessageChunkEvent(message_id="n", delta="c"),
        ),
        log,
    )
    check_rules(log.lines)
    assert transcript(log.lines) == {"m": "ab", "n": "c"}
    assert types(log.lines)[4:8] == ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_ARGS", "TOOL_CALL_END"]


WAITS = {
    "type": "RUN_FINISHED",
    "threadId": "t",
    "runId": "r",
    "outcome": {"type": "success", "pendingToolCallIds": ["c"]},
}


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ((TextMessageContentEvent(message_id="m", delta="x"),), "TEXT_MESSAGE_CONTENT, but no message 'm' is open"),
        ((TextMessageEndEvent(message_id="m"),), "no message 'm' is open"),
        ((TextMessageStartEvent(message_id="m"),) * 2, "message 'm' is open already"),
        ((ToolCallEndEvent(tool_call_id="c"),), "no tool call 'c' is open"),
        ((ToolCallStartEvent(tool_call_id="c", tool_call_name="t"),) * 2, "tool call 'c' is open already"),
        ((ToolCallResultEvent(message_id="r", tool_call_id="c", content=""),), "there is no tool call 'c'"),
        (({"type": "STEP_FINISHED", "stepName": "s"},), "no step 's' is open"),
        (({"type": "REASONING_END", "messageId": "r"},), "no reasoning 'r' is open"),
        ((CustomEvent(name="perdure.step", value=1),), "are the server's"),
        ((TextMessageChunkEvent(delta="x"),), "the first chunk needs an id"),
        ((ToolCallChunkEvent(tool_call_id="c", delta="x"),), "needs a name"),
        (({"type": "TEXT_MESSAGE_START"},), "no AG-UI event: Field required (TEXT_MESSAGE_START.messageId)"),
        (({"type": "NONSENSE"},), "no AG-UI event"),
        (("hello",), "str, which is no AG-UI event"),
        ((None,), "NoneType, which is no AG-UI event"),
        ((WAITS,), "cannot wait"),
    ],
)
async def test_what_is_no_event_or_out_of_order_fails_the_run(items: tuple[object, ...], problem: str) -> None:
    with pytest.raises(RunFailed) as failed:
        await run(yielding(*items), MemoryLog())
    assert failed.value.code == "INVALID_EVENT"
    assert problem in str(failed.value)


async def test_an_exception_fails_the_run_and_the_function_is_closed() -> None:
    closed: list[bool] = []

    async def function(ctx: RunContext) -> Events:
        try:
            yield TextMessageStartEvent(message_id="m")
            raise ZeroDivisionError("oh")
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        await run(function, MemoryLog())
    with pytest.raises(Killed):
        await run(function, MemoryLog(kill_at=1))
    assert closed == [True, True]


def worker(ran: Counter[str], keys: set[str]) -> FunctionAgent:
    async def function(ctx: RunContext) -> Events:
        async def charge() -> dict[str, object]:
            ran["charge"] += 1
            keys.add(ctx.idempotency_key("charge"))
            return {"receipt": ran["charge"]}

        ran["function"] += 1
        yield TextMessageStartEvent(message_id="m")
        yield TextMessageContentEvent(message_id="m", delta="Charging. ")
        receipt = await ctx.step("charge", charge)
        yield TextMessageContentEvent(message_id="m", delta=f"Receipt {receipt['receipt']}.")
        yield TextMessageEndEvent(message_id="m")
        yield ToolCallStartEvent(tool_call_id="c", tool_call_name="t", parent_message_id="m")
        yield ToolCallEndEvent(tool_call_id="c")
        yield ToolCallResultEvent(message_id="r", tool_call_id="c", content="ok")
        yield RunFinishedEvent(thread_id="t", run_id="r", result="bye")

    return function


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("eager", [False, True], ids=["gathered", "at-once"])
async def test_killed_at_every_write_and_run_again(eager: bool, late: bool) -> None:
    whole = MemoryLog()
    assert await run(worker(Counter(), set()), whole) == Completed("bye")
    for kill_at in range(1, whole.writes + 1):
        ran, keys = Counter[str](), set[str]()
        function = worker(ran, keys)
        first = MemoryLog(kill_at=kill_at, late=late, eager=eager)
        with pytest.raises(Killed):
            await run(function, first)
        charged = ran["charge"] if "step:charge" in recorded(first.lines) else None
        second = MemoryLog(first.lines)
        assert await run(function, second, 2) == Completed("bye")
        check_rules(second.lines)
        assert len(keys) == 1
        assert charged in (None, ran["charge"])
        assert list(transcript(second.lines).values()) == [f"Charging. Receipt {ran['charge']}."]
        assert list(results(second.lines).values()) == ["ok"]
        assert recorded(second.lines) == ["step:charge"]


async def test_a_step_gives_what_json_keeps_the_first_time_too() -> None:
    async def pair() -> tuple[int, int]:
        return (1, 2)

    log = MemoryLog()
    first = await context(log).step("pair", pair)
    again = await context(MemoryLog(log.lines)).step("pair", pair)
    given: list[object] = [first, again]
    assert given == [[1, 2], [1, 2]], "JSON has no tuples"


event = st.one_of(
    st.builds(lambda i: {"type": "TEXT_MESSAGE_START", "messageId": i}, st.sampled_from("ab")),
    st.builds(lambda i: {"type": "TEXT_MESSAGE_CONTENT", "messageId": i, "delta": "x"}, st.sampled_from("ab")),
    st.builds(lambda i: {"type": "TEXT_MESSAGE_END", "messageId": i}, st.sampled_from("ab")),
    st.builds(
        lambda i, p: {"type": "TOOL_CALL_START", "toolCallId": i, "toolCallName": "t", "parentMessageId": p},
        st.sampled_from("cd"),
        st.sampled_from("ab"),
    ),
    st.builds(lambda i: {"type": "TOOL_CALL_END", "toolCallId": i}, st.sampled_from("cd")),
    st.builds(lambda i: {"type": "TOOL_CALL_CHUNK", "toolCallId": i, "toolCallName": "t"}, st.sampled_from("cd")),
    st.builds(lambda i: {"type": "TEXT_MESSAGE_CHUNK", "messageId": i, "delta": "x"}, st.sampled_from("ab")),
)


@given(st.lists(event, max_size=15), st.lists(event, max_size=15))
def test_every_id_is_used_once_whatever_two_attempts_yield(
    first: list[dict[str, object]], second: list[dict[str, object]]
) -> None:
    fold = LogFold()
    started: list[str] = []
    for attempt in (first, second):
        events = FunctionEvents(fold)
        for item in attempt:
            try:
                for accepted in events.accept(parse_event(item)):
                    fold.observe(accepted)
                    if isinstance(accepted, TextMessageStartEvent):
                        started.append(accepted.message_id)
                    if isinstance(accepted, ToolCallStartEvent):
                        started.append(accepted.tool_call_id)
            except RunFailed:
                break
    assert len(started) == len(set(started))


async def test_what_an_agent_logs_is_told_once_and_it_sees_that_it_is_being_stopped() -> None:
    seen: list[bool] = []

    async def logging(run: RunContext) -> Events:
        await run.log("before")
        await run.step("one", lambda: asyncio.sleep(0, 1))
        await run.log(f"attempt {run.attempt}")
        seen.append(run.cancelled)
        yield TextMessageStartEvent(message_id="m")
        if run.attempt == 1:
            raise Killed
        yield TextMessageEndEvent(message_id="m")

    first = MemoryLog(eager=True)
    agent = app_of(logging).agents["tested"]
    with pytest.raises(Killed):
        await run_attempt(agent, context(first))
    second = MemoryLog(first.lines, eager=True)
    await run_attempt(agent, replace(context(second, attempt=2), stopping=lambda: True))
    lines = [event["value"] for event in public(second.lines) if event.get("name") == "perdure.log"]
    assert lines == [{"stream": "log", "text": "before\n"}, {"stream": "log", "text": "attempt 1\n"}]
    assert seen == [False, True]
