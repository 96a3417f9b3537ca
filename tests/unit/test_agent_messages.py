"""From a log to the messages of the Agent Runs API (vertesia.md section 3)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.event import StoredEvents
from perdure.http.agents.message import CompactMessage, MessageType
from perdure.http.agents.messages import Messages, messages_of

BEGAN = 1_000_000


def custom(name: str, value: object) -> dict[str, Any]:
    return {"type": "CUSTOM", "name": name, "value": value}


def said(message_id: str, *deltas: str) -> list[dict[str, Any]]:
    return [
        {"type": "TEXT_MESSAGE_START", "messageId": message_id, "role": "assistant"},
        *({"type": "TEXT_MESSAGE_CONTENT", "messageId": message_id, "delta": delta} for delta in deltas),
        {"type": "TEXT_MESSAGE_END", "messageId": message_id},
    ]


def called(call_id: str, name: str, parent: str, content: str, **more: object) -> list[dict[str, Any]]:
    return [
        {"type": "TOOL_CALL_START", "toolCallId": call_id, "toolCallName": name, "parentMessageId": parent},
        {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": '{"a":1}'},
        {"type": "TOOL_CALL_END", "toolCallId": call_id},
        {"type": "TOOL_CALL_RESULT", "toolCallId": call_id, "messageId": f"r:{call_id}", "content": content, **more},
    ]


def rows_of(events: list[dict[str, Any]], cuts: Iterable[int] = (), external: bool = False) -> list[StoredEvents]:
    """A log of these events, cut into rows after so many events."""
    places = [0, *sorted({cut for cut in cuts if 0 < cut < len(events)}), len(events)]
    return [
        StoredEvents(
            start + 1,
            BEGAN + start,
            start + 1 if external else None,
            True,
            tuple(event["type"] for event in events[start:stop]),
            "[" + ",\n".join(json.dumps(event) for event in events[start:stop]) + "]",
        )
        for start, stop in pairwise(places)
        if stop > start
    ]


def read(rows: list[StoredEvents]) -> list[CompactMessage]:
    async def each() -> AsyncIterator[StoredEvents]:
        for row in rows:
            yield row

    return asyncio.run(messages_of(each()))


def brief(messages: list[CompactMessage]) -> list[tuple[int, str]]:
    return [(message.t, message.m) for message in messages]


STORY = [
    {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
    {"type": "REASONING_MESSAGE_START", "messageId": "think"},
    {"type": "REASONING_MESSAGE_CONTENT", "messageId": "think", "delta": "hm"},
    {"type": "REASONING_MESSAGE_END", "messageId": "think"},
    *said("m1", "Let me ", "look."),
    *called("c1", "look", "m1", "found"),
    *called("c2", "break", "m1", "no", isError=True),
    *said("m2", "Done."),
    custom("perdure.turn.ended", {"turn": 1, "status": "completed"}),
    custom("perdure.run.waiting", {"reason": "input", "calls": []}),
    custom("perdure.signal", {"name": "UserInput", "payload": {"message": "thanks", "client_message_id": "x"}}),
    *said("m3", "Welcome."),
    {"type": "RUN_FINISHED", "threadId": "t", "runId": "r", "metadata": {"inputTokens": 3, "outputTokens": 4}},
]


def test_a_story() -> None:
    found = read(rows_of(STORY))
    assert brief(found) == [
        (1, "hm"), (7, "Let me look."), (1, "look"), (1, "look"), (1, "break"), (1, "break"), (7, "Done."), (10, ""),
        (8, "thanks"), (7, "Welcome."), (4, "The run is completed."),
    ]  # fmt: skip
    details = [message.d or {} for message in found]
    assert details[0]["display_role"] == "thinking"
    assert details[1]["streaming_id"] == found[1].i == "m1"
    assert (details[2]["tool_event"], details[2]["tool_status"], details[2]["input"]) == (
        "started",
        "running",
        {"a": 1},
    )
    assert (details[3]["tool_event"], details[3]["observation"]) == ("completed", "found")
    assert details[3]["duration_ms"] > 0
    assert (details[5]["tool_event"], details[5]["tool_status"]) == ("failed", "error")
    assert details[8] == {"event_class": "user_content", "_deliveryStatus": "consumed", "ack": "x"}
    assert details[10]["token_usage"] == {"prompt": 3, "result": 4, "total": 7}


@given(st.lists(st.integers(0, len(STORY)), max_size=10))
def test_messages_do_not_depend_on_how_the_log_is_cut(cuts: list[int]) -> None:
    found = read(rows_of(STORY, cuts))
    assert found == read(rows_of(STORY))
    times = [message.ts or 0 for message in found]
    assert times == sorted(set(times))


def test_what_was_taken_back_is_not_told() -> None:
    events = [
        *said("m1", "wrong"),
        *called("c1", "look", "m1", "found"),
        custom("perdure.message.superseded", {"messageId": "m1", "reason": "attempt_lost", "toolCallIds": ["c1"]}),
        *called("c2", "look", "m2", "first"),
        custom("perdure.message.superseded", {"messageId": "r:c2", "reason": "attempt_lost"}),
        {"type": "TOOL_CALL_RESULT", "toolCallId": "c2", "messageId": "r2:c2", "content": "second"},
        *said("m3", "right"),
    ]
    for cuts in ((), range(len(events))):
        found = read(rows_of(events, cuts))
        assert [message.m for message in found] == ["look", "", "right"]
        assert (found[1].d or {})["observation"] == "second"


def test_a_failure_is_an_error_and_an_end_which_share_no_time() -> None:
    found = read(rows_of([{"type": "RUN_ERROR", "message": "broken", "code": "FAILED"}]))
    assert brief(found) == [(MessageType.ERROR, "broken"), (MessageType.TERMINATED, "broken")]
    assert [message.ts for message in found] == [BEGAN, BEGAN + 1]
    assert brief(read(rows_of([{"type": "RUN_ERROR", "message": "enough", "code": "CANCELLED"}]))) == [(11, "enough")]


def test_each_open_call_is_a_question_of_its_own() -> None:
    calls = [
        {"toolCallId": "c1", "toolCallName": "pay", "reason": "approval"},
        {"toolCallId": "c2", "toolCallName": "ask", "reason": "tool"},
    ]
    found = read(rows_of([custom("perdure.run.waiting", {"reason": "approval", "calls": calls})]))
    assert [message.t for message in found] == [MessageType.REQUEST_INPUT] * 2
    assert [(message.d or {})["request_id"] for message in found] == ["c1", "c2"]
    assert [message.ts for message in found] == [BEGAN, BEGAN + 1]


def test_chunks_are_live_only_and_name_their_text() -> None:
    state = Messages()
    (row,) = rows_of(said("m", "a", "b")[:-1])
    frames = state.add(row)
    assert [(frame.message.t, frame.message.m, frame.message.i, frame.live_only) for frame in frames] == [
        (12, "a", "m", True),
        (12, "b", "m", True),
    ]
    assert read([row]) == []


def test_a_text_in_chunks_ends_when_something_else_is_said() -> None:
    chunk = {"type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": "a"}
    events = [chunk, {**chunk, "delta": "b"}, *said("n", "c")]
    assert brief(read(rows_of(events, external=True))) == [(7, "ab"), (7, "c")]


@pytest.mark.parametrize("name", ["perdure.signal", "perdure.run.waiting", "perdure.run.restarted"])
def test_outside_writers_do_not_speak_for_the_server(name: str) -> None:
    value = {"name": "UserInput", "payload": {"message": "x"}, "reason": "input"}
    assert read(rows_of([custom(name, value)], external=True)) == []


def test_a_message_of_the_agents_own() -> None:
    value = {"type": 5, "message": "careful", "details": {"a": 1}, "workstreamId": "w"}
    (found,) = read(rows_of([custom("perdure.message", value)]))
    assert msgspec.to_builtins(found) == {"t": 5, "m": "careful", "w": "w", "d": {"a": 1}, "ts": BEGAN}
    chunk = {"type": 12, "message": "live"}
    assert read(rows_of([custom("perdure.message", chunk)])) == []


def test_a_plan_that_is_published() -> None:
    plan = {"plan": [{"id": 1, "goal": "look"}], "comment": "so"}
    (found,) = read(rows_of([custom("perdure.published", {"name": "AgentPlan", "value": plan})]))
    assert (found.t, found.m, found.d) == (MessageType.PLAN, "so", plan)
