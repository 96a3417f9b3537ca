"""A conversation as a model's history, and what a request says about how its agent runs."""

from __future__ import annotations

import base64

import pytest
from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
    VideoUrl,
)

from perdure.domain.message import parse_messages
from perdure.execution.history import history_of
from perdure.execution.overrides import ClientTool, Overrides, overrides_of


def brief(value: list[object]) -> list[list[object]]:
    """Each message's parts as (kind, what they hold)."""
    found: list[list[object]] = []
    for message in history_of(parse_messages(value, "")).messages:
        assert isinstance(message, ModelRequest | ModelResponse)
        parts: list[object] = []
        for part in message.parts:
            match part:
                case ToolCallPart():
                    parts.append((part.part_kind, part.tool_name, part.args, part.tool_call_id))
                case ToolReturnPart():
                    parts.append((part.part_kind, part.tool_name, part.content, part.tool_call_id, part.outcome))
                case TextPart() | UserPromptPart() | SystemPromptPart():
                    parts.append((part.part_kind, part.content))
                case _:
                    parts.append(part)
        found.append(parts)
    return found


def test_the_users_last_message_is_the_prompt() -> None:
    messages: list[object] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    history = history_of(parse_messages(messages, ""))
    assert history.prompt == "Hello"
    assert brief(messages) == [[("system-prompt", "Be kind.")]]
    assert history_of(()).prompt is None


def test_calls_and_results_in_one_message_or_in_several() -> None:
    parts: list[object] = [
        {"type": "reasoning", "text": "hm"},
        {"type": "text", "text": "I look."},
        {"type": "tool_call", "id": "c", "name": "look", "input": {"at": "x"}},
        {"type": "tool_result", "tool_call_id": "c", "output": {"seen": 1}},
        {"type": "text", "text": "Seen."},
    ]
    expected = [
        [("text", "I look."), ("tool-call", "look", {"at": "x"}, "c")],
        [("tool-return", "look", {"seen": 1}, "c", "success")],
        [("text", "Seen.")],
    ]
    assert brief([{"role": "assistant", "parts": parts}]) == expected
    ag_ui: list[object] = [
        {
            "role": "assistant",
            "content": "I look.",
            "toolCalls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at": "x"}'}}],
        },
        {"role": "tool", "toolCallId": "c", "content": '{"seen":1}'},
        {"role": "assistant", "content": "Seen."},
    ]
    expected[1] = [("tool-return", "look", '{"seen":1}', "c", "success")]
    assert brief(ag_ui) == expected
    assert history_of(parse_messages(ag_ui, "")).call_ids == {"c"}


def test_a_result_at_the_end_is_for_the_model_to_go_on_with() -> None:
    messages: list[object] = [
        {"role": "user", "content": "Ask her."},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "ask"}]},
        {"role": "tool", "parts": [{"type": "tool_result", "tool_call_id": "c", "output": "no", "is_error": True}]},
    ]
    history = history_of(parse_messages(messages, ""))
    assert history.prompt is None
    assert brief(messages)[-1] == [("tool-return", "ask", "no", "c", "failed")]


def test_a_call_that_was_never_answered_is_closed_when_the_user_goes_on() -> None:
    call: object = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "ask"}]}
    assert len(brief([call])) == 1
    closed = brief([call, {"role": "user", "content": "Never mind."}])
    assert [part[0] for message in closed for part in message if isinstance(part, tuple)] == [
        "tool-call",
        "tool-return",
    ]


def test_arguments_that_are_no_json_are_kept() -> None:
    function = {"name": "look", "arguments": "{oops"}
    message = {"role": "assistant", "toolCalls": [{"id": "c", "type": "function", "function": function}]}
    assert brief([message]) == [[("tool-call", "look", "{oops", "c")]]


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ({"type": "image", "url": "https://x.test/a"}, ImageUrl("https://x.test/a")),
        ({"type": "file", "url": "https://x.test/a", "media_type": "audio/mpeg"}, AudioUrl("https://x.test/a")),
        ({"type": "file", "url": "https://x.test/a", "media_type": "video/mp4"}, VideoUrl("https://x.test/a")),
        ({"type": "file", "url": "https://x.test/a.pdf"}, DocumentUrl("https://x.test/a.pdf")),
        (
            {"type": "file", "data": base64.b64encode(b"%PDF").decode(), "media_type": "application/pdf"},
            BinaryContent(b"%PDF", media_type="application/pdf"),
        ),
        ({"type": "file", "upload_id": "u1", "filename": "plan.pdf"}, "[attached file: plan.pdf]"),
        ({"type": "file", "upload_id": "u1"}, "[attached file: u1]"),
    ],
)
def test_media(part: dict[str, object], content: object) -> None:
    parts = [{"type": "text", "text": "See:"}, part, {"type": "step_start"}]
    assert history_of(parse_messages([{"role": "user", "parts": parts}], "")).prompt == ["See:", content]


def test_nothing_is_overridden_by_a_request_that_says_nothing() -> None:
    assert overrides_of({}) == Overrides()
    assert overrides_of({"context": {"project_id": None}, "runtime_overrides": None, "tools": None}) == Overrides()


def test_everything_a_request_may_say() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    request = {
        "model": "openai:gpt-5.2",
        "runtime_overrides": {"allowed_tools": ["a", "b"], "thinking": 2048, "max_steps": 3},
        "tools": [{"name": "ask", "description": "Asks.", "inputSchema": schema}, {"name": "tell"}, "odd"],
        "context": [
            {"type": "text", "title": "page", "text": "orders"},
            {"type": "resource", "uri": "file:///x"},
            {"description": "empty"},
            {},
            7,
        ],
    }
    assert overrides_of(request) == Overrides(
        model="openai:gpt-5.2",
        allowed_tools=frozenset({"a", "b"}),
        thinking=2048,
        max_steps=3,
        tools=(
            ClientTool("ask", "Asks.", schema),
            ClientTool("tell", None, {"type": "object", "properties": {}}),
        ),
        context="Context from the application:\n\npage:\norders\n\nfile:///x\n\nempty",
    )
