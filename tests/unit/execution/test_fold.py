"""What a log says to the next attempt, and that it says the same however it is read."""

from __future__ import annotations

import msgspec
import pytest
from ag_ui.core import CustomEvent, TextMessageStartEvent, ToolCallStartEvent
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.closing import closing_events, supersede_events
from perdure.domain.fold import MAX_STEP_TEXT, LogFold, encode_step, fold
from perdure.domain.past import Answer, Past, StreamedCall, StreamedMessage


def log(*events: dict[str, object]) -> list[str]:
    return [msgspec.json.encode(event).decode() for event in events]


def custom(name: str, **value: object) -> dict[str, object]:
    return {"type": "CUSTOM", "name": name, "value": value}


def text(name: str, *, ended: bool = True) -> list[dict[str, object]]:
    events: list[dict[str, object]] = [
        {"type": "TEXT_MESSAGE_START", "messageId": name, "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": name, "delta": "x"},
    ]
    return [*events, {"type": "TEXT_MESSAGE_END", "messageId": name}] if ended else events


def call(name: str, parent: str | None = None, *, ended: bool = True) -> list[dict[str, object]]:
    start: dict[str, object] = {"type": "TOOL_CALL_START", "toolCallId": name, "toolCallName": f"tool of {name}"}
    events: list[dict[str, object]] = [start if parent is None else {**start, "parentMessageId": parent}]
    return [*events, {"type": "TOOL_CALL_END", "toolCallId": name}] if ended else events


def result(name: str, **more: object) -> dict[str, object]:
    return {"type": "TOOL_CALL_RESULT", "messageId": f"result:{name}", "toolCallId": name, "content": "ok", **more}


def step(key: str, value: bytes = b"1") -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in encode_step(key, value)]


def test_an_empty_log_says_nothing() -> None:
    assert fold([]) == Past()


def test_what_is_open_is_known() -> None:
    past = fold(log(*text("m1"), *text("m2", ended=False), *call("c1", "m1"), *call("c2", ended=False)))
    assert past.messages == (StreamedMessage("m1", "text", False, False), StreamedMessage("m2", "text", True, False))
    assert past.calls == (
        StreamedCall("c1", "tool of c1", "m1", False, False, None),
        StreamedCall("c2", "tool of c2", "c2", True, False, None),
    )
    assert past.open_messages == (StreamedMessage("m2", "text", True, False),)
    assert past.open_tool_calls == past.calls
    assert {"m1", "m2", "c1", "c2"} <= past.ids


def test_a_recorded_response_settles_what_was_streamed_before_it() -> None:
    past = fold(log(*text("m1"), *call("c1", "m1"), *step("model:1"), *text("m2"), *step("tool:c1")))
    assert [(message.id, message.settled) for message in past.messages] == [("m1", True), ("m2", False)]
    assert [call.settled for call in past.calls] == [True]
    assert set(past.steps) == {"model:1", "tool:c1"}


def test_answers_are_what_comes_for_a_call_that_is_waited_for() -> None:
    waiting = custom("perdure.run.waiting", reason="tool", calls=[{"toolCallId": "c1"}, {"toolCallId": "c2"}])
    approval = custom("perdure.run.approval", toolCallId="c2", value={"approved": True})
    lines = log(*call("c1"), *call("c2"), *call("c3"), result("c3"), waiting, result("c1", isError=True), approval)
    assert fold(lines).answers == {
        "c1": Answer("c1", "result", "ok", is_error=True),
        "c2": Answer("c2", "approval", {"approved": True}),
    }


def test_the_result_of_a_cancelled_call_is_no_answer() -> None:
    waiting = custom("perdure.run.waiting", reason="tool", calls=[{"toolCallId": "c1"}])
    assert fold(log(*call("c1"), waiting, result("c1", cancelled=True))).answers == {}


@pytest.mark.parametrize("fresh", [False, True])
def test_restarts(fresh: bool) -> None:
    before: list[dict[str, object]] = [
        *text("m1"),
        *step("model:1"),
        *step("error:tool:c1"),
        {"type": "RUN_ERROR", "message": "x"},
    ]
    past = fold(log(*before, custom("perdure.run.restarted", fresh=fresh)))
    assert past.restarted
    assert set(past.steps) == (set() if fresh else {"model:1"})
    assert past.generation == int(fresh)
    assert [message.settled for message in past.messages] == [not fresh]
    assert not fold(log(*before, custom("perdure.run.restarted"), custom("perdure.run.attempt", attempt=2))).restarted


def test_ids_stay_taken_when_their_message_is_taken_back() -> None:
    state = LogFold(fold(log(*text("m1"), custom("perdure.message.superseded", messageId="m1", reason="x"))))
    assert state.past().messages == ()
    assert [state.unused("m1"), state.unused("m2")] == ["m1_2", "m2"]
    state.observe(TextMessageStartEvent(message_id="m1_2"))
    assert state.unused("m1") == "m1_3"


@given(st.text(max_size=3) | st.just('\\"\x00é😀' * (MAX_STEP_TEXT // 4)), st.text(max_size=20))
def test_a_step_of_any_size_is_read_as_it_was_written(value: str, key: str) -> None:
    recorded = msgspec.json.encode([value])
    lines = encode_step(key, recorded)
    assert all(len(line.encode()) < 256 * 1024 for line in lines)
    assert all("\n" not in line for line in lines)
    assert fold([*log(*text("m1")), *lines, *log(*text("m2"))]).steps == {key: recorded}


def test_events_of_any_shape_are_read() -> None:
    odd: list[dict[str, object]] = [
        {"type": 7},
        {"type": "CUSTOM"},
        {"type": "CUSTOM", "name": 3, "value": None},
        {"type": "CUSTOM", "name": "perdure.run.waiting", "value": [1]},
        {"type": "CUSTOM", "name": "perdure.run.waiting", "value": {"calls": [1, {"toolCallId": 2}]}},
        {"type": "CUSTOM", "name": "perdure.run.approval", "value": {"toolCallId": 5}},
        {"type": "CUSTOM", "name": "perdure.message.superseded", "value": {"messageId": 5, "toolCallIds": "x"}},
        {"type": "TEXT_MESSAGE_START", "messageId": 1},
        {"type": "TEXT_MESSAGE_END", "messageId": [1]},
        {"type": "TOOL_CALL_START", "toolCallId": None},
        {"type": "TOOL_CALL_RESULT", "toolCallId": {}},
        {"type": "TOOL_CALL_RESULT", "toolCallId": "unknown"},
        {"type": "STEP_STARTED"},
        {"type": "perdure.step", "key": 3},
        {},
    ]
    assert fold(log(*odd)) == Past()


def test_observing_and_reading_say_the_same() -> None:
    read, observed = LogFold(), LogFold()
    for event in (
        TextMessageStartEvent(message_id="m1"),
        ToolCallStartEvent(tool_call_id="c1", tool_call_name="t", parent_message_id="m1"),
        CustomEvent(name="perdure.run.attempt", value={"attempt": 2}),
    ):
        observed.observe(event)
        read.add(event.model_dump_json(by_alias=True))
    assert observed.past() == read.past()
    assert LogFold(read.past()).past() == read.past()


names = st.sampled_from(["a", "b", "c"])
parts = st.one_of(
    st.builds(text, names, ended=st.booleans()),
    st.builds(call, names.map(str.upper), st.none() | names, ended=st.booleans()),
    names.map(lambda name: [result(name.upper())]),
    st.just(step("model:1")),
    names.map(lambda name: [{"type": "STEP_STARTED", "stepName": name}]),
    names.map(lambda name: [{"type": "REASONING_START", "messageId": name}]),
    st.booleans().map(lambda fresh: [custom("perdure.run.restarted", fresh=fresh)]),
)


@given(st.lists(parts, max_size=12))
def test_whatever_is_open_can_be_closed_and_taken_back(pieces: list[list[dict[str, object]]]) -> None:
    state = LogFold()
    for line in log(*(event for piece in pieces for event in piece)):
        state.add(line)
    taken_back, closed = LogFold(state.past()), LogFold(state.past())
    for event in closing_events(state.past()):
        closed.observe(event)
    past = closed.past()
    assert (past.open_messages, past.open_tool_calls, past.open_stages, past.open_spans) == ((), (), (), ())
    assert closing_events(past) == []
    for event in supersede_events(state.past(), "attempt_lost"):
        taken_back.observe(event)
    past = taken_back.past()
    assert all(message.settled for message in past.messages)
    assert all(call.settled for call in past.calls)
    assert past.open_stages == past.open_spans == ()
    assert supersede_events(past, "attempt_lost") == []
