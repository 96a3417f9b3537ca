"""Messages: every form that callers send becomes the canonical one, and everything else is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from ag_ui.core import Message as AgUiMessage
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from perdure.domain.errors import InvalidRequest
from perdure.domain.message import Message, Role, last_user_text, parse_messages, text_of
from perdure.domain.part import PART_MEMBERS

HERE = "/request/input/messages"
AG_UI = TypeAdapter[Any](AgUiMessage)


def parse(*messages: object) -> tuple[Message, ...]:
    return parse_messages(list(messages), HERE)


def parts(message: object) -> list[dict[str, object]]:
    return [dict(part) for part in parse(message)[0].parts]


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


# --- the forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_text_in_its_three_forms(role: str) -> None:
    expected = (Message("m1", Role(role), (text("hello"),)),)
    assert parse({"id": "m1", "role": role, "content": "hello"}) == expected
    assert parse({"id": "m1", "role": role, "content": [text("hello")]}) == expected
    assert parse({"id": "m1", "role": role, "parts": [text("hello")]}) == expected


def test_the_id_is_optional_and_other_members_do_not_matter() -> None:
    assert parse({"role": "user", "content": "a", "createdAt": "now", "metadata": {}}) == (
        Message(None, Role.USER, (text("a"),)),
    )
    assert parse({"role": "user", "content": "a", "id": None})[0].id is None


def test_a_message_may_say_nothing() -> None:
    assert parts({"role": "user", "content": ""}) == []
    assert parts({"role": "assistant"}) == []
    assert parts({"role": "assistant", "content": None, "toolCalls": []}) == []


def test_content_that_repeats_the_parts_is_no_contradiction() -> None:
    two = [text("a"), text("b")]
    for content in ("ab", "a\nb", "", None):
        assert parts({"role": "user", "parts": two, "content": content}) == two
    assert parts({"role": "user", "parts": [], "content": "a"}) == [text("a")]


def test_canonical_parts_pass_with_their_other_members() -> None:
    given_parts: list[dict[str, object]] = [
        text("a"),
        {"type": "image", "upload_id": "u", "media_type": "image/png"},
        {"type": "file", "url": "https://example.com/a.pdf", "media_type": "application/pdf", "filename": "a.pdf"},
        {"type": "tool_call", "id": "c", "name": "f", "input": {"a": 1}, "state": "error", "title": "F"},
        {"type": "tool_result", "tool_call_id": "c", "output": None, "is_error": True},
        {"type": "reasoning", "text": "hm", "signature": "s"},
        {"type": "citation", "source_id": "s", "url": None, "quote": "q"},
        {"type": "source_document", "title": "t"},
        {"type": "step_start"},
        {"type": "error", "message": "m", "code": "c"},
        {"type": "data", "name": "n", "value": [1]},
    ]
    assert {part["type"] for part in given_parts} == set(PART_MEMBERS)
    assert parts({"role": "assistant", "parts": given_parts}) == given_parts
    assert parts({"role": "assistant", "content": given_parts}) == given_parts


def test_what_a_part_may_leave_out_is_filled_in() -> None:
    assert parts({"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f", "input": None}]}) == [
        {"type": "tool_call", "id": "c", "name": "f", "input": {}, "state": "pending"}
    ]
    assert parts({"role": "tool", "parts": [{"type": "tool_result", "tool_call_id": "c"}]}) == [
        {"type": "tool_result", "tool_call_id": "c", "output": None, "is_error": False}
    ]


def test_ag_ui_tool_calls_and_their_results() -> None:
    calls = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": arguments}}
        for name, arguments in (("one", '{"a": 1}'), ("two", ""), ("three", "[1"), ("four", '{"a": "\\u0000"}'))
    ]
    assistant, result, failure = parse(
        {"id": "1", "role": "assistant", "content": "wait", "toolCalls": calls},
        {"id": "2", "role": "tool", "toolCallId": "one", "content": "sunny"},
        {"id": "3", "role": "tool", "tool_call_id": "two", "content": "", "error": "no such place"},
    )
    call: dict[str, object] = {"type": "tool_call", "name": "f", "state": "pending"}
    assert [dict(part) for part in assistant.parts] == [
        text("wait"),
        {**call, "id": "one", "input": {"a": 1}, "state": "completed"},
        {**call, "id": "two", "input": {}, "state": "completed"},
        {**call, "id": "three", "input": {}, "arguments": "[1"},
        {**call, "id": "four", "input": {}, "arguments": '{"a": "\\u0000"}'},
    ]
    assert result.parts == ({"type": "tool_result", "tool_call_id": "one", "output": "sunny", "is_error": False},)
    assert failure.parts == (
        {"type": "tool_result", "tool_call_id": "two", "output": "", "is_error": True, "error": "no such place"},
    )


def test_an_ag_ui_tool_may_answer_in_parts() -> None:
    source = {"type": "url", "value": "https://example.com/a.png"}
    answer = {"id": "1", "role": "tool", "toolCallId": "c", "content": [text("a"), {"type": "image", "source": source}]}
    assert parts(answer)[0]["output"] == [text("a"), {"type": "image", "media": "image", "url": source["value"]}]


def test_ag_ui_reasoning_and_activity() -> None:
    thought = {"id": "1", "role": "reasoning", "content": "hm", "encryptedValue": "x"}
    assert parts(thought) == [{"type": "reasoning", "text": "hm", "signature": "x"}]
    plan = {"id": "1", "role": "activity", "activityType": "PLAN", "content": {"steps": []}}
    assert parts(plan) == [{"type": "data", "name": "PLAN", "value": {"steps": []}}]


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ({"type": "data", "value": "AAAA", "mimeType": "audio/wav"}, {"data": "AAAA", "media_type": "audio/wav"}),
        ({"type": "data", "value": "AAAA", "mime_type": "audio/wav"}, {"data": "AAAA", "media_type": "audio/wav"}),
        ({"type": "url", "value": "https://example.com"}, {"url": "https://example.com"}),
        ({"type": "file", "value": "f", "provider": "openai"}, {"file_id": "f", "provider": "openai"}),
    ],
)
@pytest.mark.parametrize("media", ["image", "audio", "video", "document"])
def test_ag_ui_media(media: str, source: dict[str, str], made: dict[str, str]) -> None:
    kind = "image" if media == "image" else "file"
    message = {"id": "1", "role": "user", "content": [{"type": media, "source": source}]}
    assert parts(message) == [{"type": kind, "media": media, **made}]
    AG_UI.validate_python(message)


# --- what ag_ui accepts, we accept -----------------------------------------------------------------------------------

_WORDS = st.text(max_size=5)
_NAMES = st.text(min_size=1, max_size=5)
_ID = {"id": _NAMES}
_SOURCES = st.one_of(
    st.fixed_dictionaries({"type": st.just("data"), "value": _NAMES, "mimeType": _WORDS}),
    st.fixed_dictionaries({"type": st.just("url"), "value": _NAMES}, optional={"mimeType": _WORDS}),
    st.fixed_dictionaries({"type": st.just("file"), "value": _NAMES}, optional={"provider": _WORDS}),
)
_CONTENT_PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": _WORDS}),
    *(
        st.fixed_dictionaries({"type": st.just(media), "source": _SOURCES})
        for media in ("image", "audio", "video", "document")
    ),
)
_SAID = _WORDS | st.lists(_CONTENT_PARTS, max_size=3)
_CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": _NAMES,
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": _NAMES, "arguments": _WORDS | st.just('{"a": 1}')}),
        }
    ),
    max_size=2,
)
AG_UI_MESSAGES = st.one_of(
    st.fixed_dictionaries({**_ID, "role": st.sampled_from(["system", "developer"]), "content": _WORDS}),
    st.fixed_dictionaries({**_ID, "role": st.just("user"), "content": _SAID}, optional={"name": _WORDS}),
    st.fixed_dictionaries(
        {**_ID, "role": st.just("assistant")}, optional={"content": _WORDS | st.none(), "toolCalls": _CALLS}
    ),
    st.fixed_dictionaries(
        {**_ID, "role": st.just("tool"), "toolCallId": _NAMES, "content": _SAID}, optional={"error": _WORDS}
    ),
    st.fixed_dictionaries({**_ID, "role": st.just("reasoning"), "content": _WORDS}),
    st.fixed_dictionaries(
        {**_ID, "role": st.just("activity"), "activityType": _NAMES, "content": st.dictionaries(_WORDS, _WORDS)}
    ),
)


def test_the_roles_are_those_of_ag_ui() -> None:
    union = get_args(get_args(AgUiMessage)[0])
    assert {model.model_fields["role"].default for model in union} == {role.value for role in Role}


@given(st.lists(AG_UI_MESSAGES, max_size=4))
def test_every_ag_ui_message_is_accepted(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        AG_UI.validate_python(message)
    made = parse_messages(messages, HERE)
    assert [message.role for message in made] == [message["role"] for message in messages]
    again = [{"id": message.id, "role": message.role.value, "parts": list(message.parts)} for message in made]
    assert all(part["type"] in PART_MEMBERS for message in made for part in message.parts)
    assert parse_messages(json.loads(json.dumps(again)), HERE) == made, "the canonical form is a form, too"


@given(st.lists(AG_UI_MESSAGES, min_size=1, max_size=2), st.data())
def test_a_spoiled_message_is_refused_at_a_place_that_is_there(messages: list[Any], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(messages) - 1))
    name = data.draw(st.sampled_from(sorted(messages[index])))
    spoiled = data.draw(st.sampled_from([3, True, [3], {"type": "text"}, None, "", [{"type": "binary"}]]))
    messages[index] = {**messages[index], name: spoiled}
    try:
        parse_messages(messages, HERE)
    except InvalidRequest as error:
        assert error.pointer is not None
        assert error.pointer.startswith(f"{HERE}/{index}/{name}") or error.pointer == f"{HERE}/{index}"
        assert error.pointer in error.detail
    else:
        _lenient(messages[index], name)


def _lenient(message: Mapping[str, object], name: str) -> None:
    """What ag_ui refuses and we accept is only what its own rules call absent, or parts where it wants text."""
    try:
        AG_UI.validate_python(message)
    except ValidationError:
        assert message[name] in (None, "") or name in ("content", "name", "metadata")


# --- refusals --------------------------------------------------------------------------------------------------------

CALL = {"id": "c", "function": {"name": "f", "arguments": "{}"}}


def user(part: object) -> dict[str, object]:
    return {"role": "user", "content": [part]}


@pytest.mark.parametrize(
    ("message", "place", "says"),
    [
        ("hello", "", 'must be an object with `role` and `content` or `parts`, not "hello"'),
        ({}, "/role", 'Add `/request/input/messages/2/role`, one of "system", "developer", "user", '),
        ({"role": "robot", "content": "a"}, "/role", 'not "robot"'),
        ({"role": ["user"], "content": "a"}, "/role", "not an array"),
        ({"role": "user"}, "/content", "Add `/request/input/messages/2/content`, a string or an array of parts."),
        ({"role": "user", "content": None}, "/content", "must be a string or an array of parts, not null"),
        ({"role": "user", "content": {"a": 1}}, "/content", "not an object"),
        ({"role": "user", "content": ["a"]}, "/content/0", 'must be an object with a `type`, not "a"'),
        ({"role": "user", "content": "a", "id": 3}, "/id", "must be a string, not a number"),
        ({"role": "user", "parts": "a"}, "/parts", "must be an array of parts"),
        ({"role": "user", "parts": [text("a"), {"type": "text"}]}, "/parts/1/text", "Add "),
        ({"role": "user", "parts": [{"type": "text", "text": 3}]}, "/parts/0/text", "must be a string, not a number"),
        ({"role": "user", "parts": [text("a")], "content": "b"}, "", "different things in `content` and in `parts`"),
        (user({"text": "a"}), "/content/0/type", "Add "),
        (user({"type": "image_url", "image_url": {}}), "/content/0/type", 'one of "audio", "citation", '),
        (user({"type": {}}), "/content/0/type", "not an object"),
        (user({"type": "image"}), "/content/0", "add `url`, `upload_id` or `data`"),
        (user({"type": "image", "url": 3}), "/content/0/url", "must be a string"),
        (user({"type": "audio"}), "/content/0/source", "Add "),
        (user({"type": "image", "source": "a"}), "/content/0/source", "an object with `type` and `value`"),
        (user({"type": "image", "source": {"value": "a"}}), "/content/0/source/type", 'one of "data", "url", "file"'),
        (user({"type": "image", "source": {"type": "url"}}), "/content/0/source/value", "Add "),
        (
            user({"type": "image", "source": {"type": "data", "value": "AAAA"}}),
            "/content/0/source/mimeType",
            "Add ",
        ),
        (user({"type": "tool_call", "id": "c"}), "/content/0/name", "Add "),
        (user({"type": "tool_call", "id": "", "name": "f"}), "/content/0/id", "a non-empty string"),
        (user({"type": "tool_call", "id": "c", "name": "f", "input": "{}"}), "/content/0/input", "an object"),
        (
            user({"type": "tool_call", "id": "c", "name": "f", "state": "done"}),
            "/content/0/state",
            'one of "streaming", "pending", "completed", "error", not "done"',
        ),
        (user({"type": "tool_result", "tool_call_id": "c", "is_error": 1}), "/content/0/is_error", "true or false"),
        (
            {"role": "user", "content": "a", "toolCalls": [CALL]},
            "/toolCalls",
            "only an assistant's message calls tools",
        ),
        ({"role": "assistant", "toolCalls": CALL}, "/toolCalls", "an array of tool calls"),
        ({"role": "assistant", "toolCalls": ["c"]}, "/toolCalls/0", "an object with `id` and `function`"),
        ({"role": "assistant", "tool_calls": [{**CALL, "id": 1}]}, "/tool_calls/0/id", "a non-empty string"),
        ({"role": "assistant", "toolCalls": [{**CALL, "type": "x"}]}, "/toolCalls/0/type", '"function", not "x"'),
        ({"role": "assistant", "toolCalls": [{"id": "c"}]}, "/toolCalls/0/function", "Add "),
        (
            {"role": "assistant", "toolCalls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]},
            "/toolCalls/0/function/arguments",
            "must be a string, not an object",
        ),
        ({"role": "tool", "content": "a"}, "/toolCallId", "Add "),
        ({"role": "tool", "toolCallId": "c"}, "/content", "Add "),
        ({"role": "tool", "toolCallId": "c", "content": "a", "error": True}, "/error", "must be a string, not true"),
        ({"role": "tool", "parts": [text("a")]}, "/parts/0/type", 'must be "tool_result"'),
        ({"role": "activity", "content": {}}, "/activityType", "Add "),
        ({"role": "activity", "activityType": "a", "content": "a"}, "/content", "must be an object"),
        ({"role": "reasoning"}, "/content", "Add "),
        ({"role": "reasoning", "content": "a", "encryptedValue": 1}, "/encryptedValue", "must be a string"),
    ],
)
def test_a_refusal_names_the_place(message: object, place: str, says: str) -> None:
    fine = {"role": "user", "content": "fine"}
    with pytest.raises(InvalidRequest) as caught:
        parse(fine, fine, message, fine)
    assert caught.value.pointer == f"{HERE}/2{place}"
    assert f"`{HERE}/2{place}`" in caught.value.detail
    assert says in caught.value.detail


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_text_of_a_message() -> None:
    (message,) = parse({"role": "assistant", "parts": [text("a"), {"type": "reasoning", "text": "hm"}, text("b")]})
    assert text_of(message) == "a\nb"
    assert text_of(Message(None, Role.USER, ())) == ""


def test_the_last_user_text() -> None:
    messages = parse(
        {"role": "user", "content": "first"},
        {"role": "user", "content": "second"},
        {"role": "assistant", "content": "answer"},
    )
    assert last_user_text(messages) == "second"
    assert last_user_text(()) == ""
    assert last_user_text(messages[2:]) == ""
