"""What a log says as the parts of a message."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.transcript import parts_of


def said(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(part) for part in parts_of(json.dumps(event) for event in events)]


def text(message_id: str, *deltas: str, content_id: str | None = None) -> list[dict[str, Any]]:
    names = {"messageId": message_id, **({} if content_id is None else {"contentId": content_id})}
    return [
        {"type": "TEXT_MESSAGE_START", **names, "role": "assistant"},
        *({"type": "TEXT_MESSAGE_CONTENT", **names, "delta": delta} for delta in deltas),
        {"type": "TEXT_MESSAGE_END", **names},
    ]


def call(call_id: str, arguments: str = '{"a":1}', name: str = "look") -> list[dict[str, Any]]:
    return [
        {"type": "TOOL_CALL_START", "toolCallId": call_id, "toolCallName": name},
        {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": arguments[:3]},
        {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": arguments[3:]},
        {"type": "TOOL_CALL_END", "toolCallId": call_id},
    ]


def result(call_id: str, content: object, message_id: str = "r", **more: object) -> dict[str, Any]:
    return {"type": "TOOL_CALL_RESULT", "toolCallId": call_id, "messageId": message_id, "content": content, **more}


def superseded(message_id: str, *call_ids: str) -> dict[str, Any]:
    value = {"messageId": message_id, "reason": "lost", "toolCallIds": list(call_ids)}
    return {"type": "CUSTOM", "name": "perdure.message.superseded", "value": value}


def test_a_turn_in_the_order_in_which_its_parts_began() -> None:
    thought = [
        {"type": "REASONING_MESSAGE_START", "messageId": "m0"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "m0", "delta": "hm"},
        {"type": "REASONING_MESSAGE_END", "messageId": "m0"},
    ]
    assert said(
        {"type": "RUN_STARTED"}, *thought, *text("m1", "Let ", "me."), *call("c1"), result("c1", "done"),
        *text("m2", "Here."), {"type": "RUN_FINISHED"},
    ) == [
        {"type": "reasoning", "text": "hm"},
        {"type": "text", "text": "Let me."},
        {"type": "tool_call", "id": "c1", "name": "look", "input": {"a": 1}, "state": "completed"},
        {"type": "tool_result", "tool_call_id": "c1", "output": "done", "is_error": False},
        {"type": "text", "text": "Here."},
    ]  # fmt: skip


def test_how_far_a_call_is() -> None:
    assert [part["state"] for part in said(*call("c")[:2])] == ["streaming"]
    assert [part["state"] for part in said(*call("c"))] == ["pending"]
    assert said(*call("c"), result("c", "no", isError=True))[0]["state"] == "error"


def test_texts_of_one_message_are_told_apart_by_their_content_id() -> None:
    both = [*text("m", "a", content_id="1"), *text("m", "b", content_id="2")]
    assert [part["text"] for part in said(*both)] == ["a", "b"]
    late = {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "1", "delta": "!"}
    assert [part["text"] for part in said(*both, late)] == ["a!", "b"]


def test_what_is_superseded_is_left_out() -> None:
    lost = [*text("m1", "half"), *call("c1"), result("c1", "lost", "m1:tool:c1"), superseded("m1", "c1")]
    assert said(*lost) == []
    again = said(*lost, *text("m2", "whole"), *call("c2"), result("c2", "found"))
    assert [part["type"] for part in again] == ["text", "tool_call", "tool_result"]
    kept = said(*call("c1"), result("c1", "cancelled", "gone"), superseded("gone"))
    assert [(part["type"], part["state"]) for part in kept] == [("tool_call", "pending")]


def test_a_later_result_takes_the_place_of_an_earlier_one() -> None:
    parts = said(*call("c"), result("c", "cancelled", isError=True, cancelled=True), *text("m", "x"), result("c", "ok"))
    assert [part["type"] for part in parts] == ["tool_call", "tool_result", "text"]
    assert (parts[0]["state"], parts[1]["output"]) == ("completed", "ok")


def test_outputs_and_arguments_that_are_json() -> None:
    assert said(result("c", '{"a": [1]}'))[0]["output"] == {"a": [1]}
    assert said(result("c", "[broken"))[0]["output"] == "[broken"
    assert said(result("c", "12"))[0]["output"] == "12"
    assert said({"type": "TOOL_CALL_RESULT", "toolCallId": "c", "result": {"a": 1}})[0]["output"] == {"a": 1}
    wrong = said(*call("c", "{nope"))[0]
    assert (wrong["input"], wrong["arguments"]) == ({}, "{nope")
    assert said(*call("c", ""))[0]["input"] == {}


def test_chunks_go_on_with_the_last_one() -> None:
    assert said(
        {"type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": "a"},
        {"type": "TEXT_MESSAGE_CHUNK", "delta": "b"},
        {"type": "TOOL_CALL_CHUNK", "toolCallId": "c", "toolCallName": "look", "delta": "{}"},
        {"type": "TOOL_CALL_CHUNK", "delta": " "},
    ) == [
        {"type": "text", "text": "ab"},
        {"type": "tool_call", "id": "c", "name": "look", "input": {}, "state": "streaming"},
    ]


def test_a_message_without_a_word_is_no_part() -> None:
    assert said(*text("m")) == []


def custom(name: str, value: object) -> dict[str, Any]:
    return {"type": "CUSTOM", "name": name, "value": value}


def test_files_sources_and_data_are_parts() -> None:
    assert said(
        custom("file", {"type": "file", "url": "https://a/b.png", "mediaType": "image/png"}),
        custom("file", {"url": "https://a/b.csv", "mediaType": "text/csv", "filename": "b.csv", "uploadId": "u"}),
        custom("source-url", {"type": "source-url", "sourceId": "s1", "url": "https://a", "title": "A"}),
        custom("anything", {"type": "source-url", "url": "https://b"}),
        custom("source-document", {"sourceId": "s2", "title": "B", "mediaType": "text/plain"}),
        custom("data-weather", {"sun": True}),
        custom("weather", [1]),
        custom("file", "no file"),
    ) == [
        {"type": "image", "media_type": "image/png", "url": "https://a/b.png"},
        {"type": "file", "media_type": "text/csv", "url": "https://a/b.csv", "filename": "b.csv", "upload_id": "u"},
        {"type": "citation", "source_id": "s1", "url": "https://a", "title": "A"},
        {"type": "citation", "source_id": "https://b", "url": "https://b"},
        {"type": "citation", "source_id": "s2", "title": "B", "media_type": "text/plain"},
        {"type": "data", "name": "weather", "value": {"sun": True}},
        {"type": "data", "name": "weather", "value": [1]},
        {"type": "data", "name": "file", "value": "no file"},
    ]


def test_of_a_state_the_newest_counts() -> None:
    assert said(
        custom("tool-call-status", {"toolCallId": "c1", "status": "streaming_input"}),
        custom("message-metadata", {"modelId": "a"}),
        custom("tool-call-status", {"toolCallId": "c2", "status": "streaming_input"}),
        custom("data-tool-call-status", {"toolCallId": "c1", "status": "pending_input"}),
        custom("message-metadata", {"modelId": "b"}),
        superseded("m", "c2"),
    ) == [
        {"type": "data", "name": "tool-call-status", "value": {"toolCallId": "c1", "status": "pending_input"}},
        {"type": "data", "name": "message-metadata", "value": {"modelId": "b"}},
    ]


def test_what_tells_of_the_run_is_no_part() -> None:
    names = ("perdure.signal", "veryfront.input_request.lifecycle", "conversation-run-event-omitted", "", "data-")
    assert said(*(custom(name, {"a": 1}) for name in names)) == []


ODD = st.one_of(
    st.none(), st.text(max_size=3), st.integers(), st.lists(st.text(max_size=2)), st.dictionaries(st.text(), st.none())
)
TYPES = st.sampled_from(
    [
        "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_CHUNK", "REASONING_MESSAGE_CONTENT",
        "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_CHUNK", "TOOL_CALL_END", "TOOL_CALL_RESULT", "CUSTOM",
    ]
)  # fmt: skip
NAMES = (
    "messageId",
    "contentId",
    "toolCallId",
    "toolCallName",
    "delta",
    "content",
    "result",
    "isError",
    "name",
    "value",
)


@given(
    st.lists(
        st.builds(
            lambda kind, more: {"type": kind, **more},
            TYPES,
            st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ODD)),
        ),
        max_size=12,
    )
)
def test_events_of_any_shape_do_no_harm(events: list[dict[str, Any]]) -> None:
    types = {part["type"] for part in said(*events)}
    assert types <= {"text", "reasoning", "tool_call", "tool_result", "data"}
