"""Pydantic AI's stream events as AG-UI events."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.messages import (
    BinaryImage,
    FilePart,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    NativeToolReturnPart,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

from perdure.domain.agui import clip
from perdure.domain.fold import LogFold
from perdure.execution.translate import ResponseTranslator
from tests.unit.execution.memory_log import check_rules, public, transcript, types


def translated(
    events: Iterable[ModelResponseStreamEvent], response: ModelResponse | None = None
) -> tuple[list[str], ModelResponse]:
    fold = LogFold()
    translator = ResponseTranslator("m", fold.unused)
    lines: list[str] = []
    batches = [*((event,) for event in events), ()]
    for batch in batches:
        made = [made for event in batch for made in translator.translate(event)] if batch else translator.finish()
        for event in made:
            fold.observe(event)
            lines.append(event.model_dump_json(by_alias=True))
    check_rules(lines)
    return lines, translator.renamed(response or ModelResponse(parts=[]))


def start(index: int, part: ModelResponsePart) -> PartStartEvent:
    return PartStartEvent(index=index, part=part)


def text(index: int, delta: str) -> PartDeltaEvent:
    return PartDeltaEvent(index=index, delta=TextPartDelta(delta))


def arguments(index: int, delta: str | dict[str, object]) -> PartDeltaEvent:
    return PartDeltaEvent(index=index, delta=ToolCallPartDelta(args_delta=delta))


def brief(lines: list[str]) -> list[str]:
    said = []
    for event in public(lines):
        name = event.get("toolCallId") or event.get("messageId")
        said.append(f"{event['type']} {name} {event.get('delta', '')}".strip())
    return said


def test_text() -> None:
    lines, _ = translated([start(0, TextPart("")), text(0, "a"), text(0, ""), text(0, "b")])
    assert brief(lines) == [
        "TEXT_MESSAGE_START m",
        "TEXT_MESSAGE_CONTENT m a",
        "TEXT_MESSAGE_CONTENT m b",
        "TEXT_MESSAGE_END m",
    ]
    assert {event["contentId"] for event in public(lines)} == {"m:text"}
    assert public(lines)[0]["role"] == "assistant"


def test_nothing_said_is_no_message() -> None:
    lines, _ = translated([start(0, TextPart("")), start(1, ThinkingPart("")), start(2, ToolCallPart("t", {}, "c"))])
    assert types(lines) == ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END"]


def test_reasoning_then_text_then_calls_then_text() -> None:
    lines, _ = translated(
        [
            start(0, ThinkingPart("h")),
            PartDeltaEvent(index=0, delta=ThinkingPartDelta(content_delta="m")),
            PartDeltaEvent(index=0, delta=ThinkingPartDelta(signature_delta="s")),
            start(1, TextPart("a")),
            start(2, ToolCallPart("t", '{"x"', "c")),
            arguments(2, ": 1}"),
            PartEndEvent(index=2, part=ToolCallPart("t", '{"x": 1}', "c")),
            start(3, TextPart("b")),
        ]
    )
    assert brief(lines) == [
        "REASONING_MESSAGE_START m.reasoning",
        "REASONING_MESSAGE_CONTENT m.reasoning h",
        "REASONING_MESSAGE_CONTENT m.reasoning m",
        "REASONING_MESSAGE_END m.reasoning",
        "TEXT_MESSAGE_START m",
        "TEXT_MESSAGE_CONTENT m a",
        "TEXT_MESSAGE_END m",
        "TOOL_CALL_START c",
        'TOOL_CALL_ARGS c {"x"',
        "TOOL_CALL_ARGS c : 1}",
        "TOOL_CALL_END c",
        "TEXT_MESSAGE_START m.text",
        "TEXT_MESSAGE_CONTENT m.text b",
        "TEXT_MESSAGE_END m.text",
    ]


def test_calls_streamed_side_by_side_end_when_they_are_complete() -> None:
    lines, _ = translated(
        [
            start(0, ToolCallPart("t", '{"a"', "c0")),
            PartEndEvent(index=0, part=ToolCallPart("t", '{"a"', "c0"), next_part_kind="tool-call"),
            start(1, ToolCallPart("t", None, "c1")),
            arguments(0, ": 1}"),
            arguments(1, '{"b": 2}'),
            PartEndEvent(index=1, part=ToolCallPart("t", '{"b": 2}', "c1")),
        ]
    )
    assert arguments_of(lines) == {"c0": '{"a": 1}', "c1": '{"b": 2}'}


def arguments_of(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for event in public(lines):
        if event["type"] == "TOOL_CALL_ARGS":
            name = str(event["toolCallId"])
            found[name] = found.get(name, "") + str(event["delta"])
    return found


def test_a_call_that_is_sent_again_as_a_whole() -> None:
    lines, _ = translated(
        [
            start(0, ToolCallPart("t", '{"a"', "c")),
            start(0, ToolCallPart("t", '{"a": 1}', "c")),
            PartEndEvent(index=0, part=ToolCallPart("t", '{"a": 1}', "c")),
        ]
    )
    assert arguments_of(lines) == {"c": '{"a": 1}'}


def test_equal_ids_are_told_apart_in_the_events_and_in_the_response() -> None:
    parts: list[ModelResponsePart] = [ToolCallPart("t", {}, "c"), TextPart("x"), ToolCallPart("t", {}, "c")]
    lines, response = translated([start(i, part) for i, part in enumerate(parts)], ModelResponse(parts=parts))
    assert [e["toolCallId"] for e in public(lines) if e["type"] == "TOOL_CALL_START"] == ["c", "c_2"]
    assert [part.tool_call_id for part in response.parts if isinstance(part, ToolCallPart)] == ["c", "c_2"]


def test_tools_of_the_provider() -> None:
    lines, _ = translated(
        [
            start(0, NativeToolCallPart("web_search", {"q": "x"}, "n")),
            start(1, NativeToolReturnPart("web_search", {"hits": 3}, "n")),
            start(2, TextPart("Found.")),
        ]
    )
    [result] = [event for event in public(lines) if event["type"] == "TOOL_CALL_RESULT"]
    assert result == {
        "type": "TOOL_CALL_RESULT",
        "messageId": "m:tool:n",
        "toolCallId": "n",
        "content": '{"hits":3}',
        "role": "tool",
    }


def test_files_are_sent_along_if_they_fit() -> None:
    small, large = BinaryImage(b"png", media_type="image/png"), BinaryImage(b"x" * 300_000, media_type="image/png")
    lines, _ = translated([start(0, FilePart(small)), start(1, FilePart(large))])
    assert [event["value"] for event in public(lines)] == [
        {"messageId": "m", "mediaType": "image/png", "size": 3, "data": "cG5n"},
        {"messageId": "m", "mediaType": "image/png", "size": 300_000},
    ]


def test_no_event_is_too_large() -> None:
    long = "\x01" * 100_000
    lines, _ = translated(
        [start(0, TextPart(long)), start(1, ToolCallPart("t", msgspec.json.encode(long).decode(), "c"))]
    )
    assert max(len(line.encode()) for line in lines) < 256 * 1024
    assert transcript(lines) == {"m": long}


@given(st.text(min_size=1, max_size=9), st.integers(1, 300_000))
def test_a_clipped_text_fits_and_begins_as_it_did(sample: str, length: int) -> None:
    value = (sample * (length // len(sample) + 1))[:length]
    clipped = clip(value)
    assert len(msgspec.json.encode(clipped)) < 210_000
    assert clipped == value or (value.startswith(clipped.rpartition("\n… ")[0]) and len(clipped) > 30_000)


step = st.one_of(
    st.builds(lambda i, s: start(i, TextPart(s)), st.integers(0, 5), st.sampled_from(["", "x"])),
    st.builds(lambda i, s: start(i, ThinkingPart(s)), st.integers(0, 5), st.sampled_from(["", "x"])),
    st.builds(lambda i, c: start(i, ToolCallPart("t", None, c)), st.integers(0, 5), st.sampled_from(["c", "d"])),
    st.builds(text, st.integers(0, 5), st.sampled_from(["", "x"])),
    st.builds(arguments, st.integers(0, 5), st.sampled_from(["", "{}", "{"])),
    st.builds(lambda i: PartEndEvent(index=i, part=ToolCallPart("t", "{}", "c")), st.integers(0, 5)),
    st.builds(lambda i: PartEndEvent(index=i, part=TextPart("x")), st.integers(0, 5)),
    st.just(start(9, NativeToolReturnPart("t", "x", "c"))),
)


@given(st.lists(step, max_size=20))
def test_whatever_a_provider_streams_the_events_are_in_order(events: list[ModelResponseStreamEvent]) -> None:
    translated(events)
