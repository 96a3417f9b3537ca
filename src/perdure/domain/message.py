"""The canonical message of a conversation, and how the forms that callers send become one.

A message has a role and parts, in the vocabulary of veryfront.md 1.5. Accepted are `{role, content: text}`,
`{role, content: [parts]}`, `{role, parts: [parts]}` and the messages of AG-UI 1.0 (whose members may also be spelled in
snake_case); anything else is refused with the place where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

from perdure.domain.errors import InvalidRequest
from perdure.domain.json_text import decode
from perdure.domain.part import (
    NAME,
    TEXT,
    Member,
    Part,
    Sort,
    ToolCallState,
    check,
    either,
    one_of,
    parse_parts,
    refuse,
)


class Role(StrEnum):
    """Who a message is from (the roles of AG-UI 1.0)."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    REASONING = "reasoning"
    ACTIVITY = "activity"


_ROLES: Final = MappingProxyType({role.value: role for role in Role})


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `parts` may be empty: an assistant's turn can say nothing."""

    id: str | None
    role: Role
    parts: tuple[Part, ...]


def parse_messages(value: Sequence[object], pointer: str) -> tuple[Message, ...]:
    """The messages of `value`, a decoded JSON array that stands at JSON pointer `pointer`.

    A tool call that says nothing about its state is `completed` when its result is there, and `pending` otherwise.
    Raises InvalidRequest with the pointer of the offending place.
    """
    messages = [_message(entry, f"{pointer}/{index}") for index, entry in enumerate(value)]
    answered = {part["tool_call_id"] for message in messages for part in message.parts if part["type"] == "tool_result"}
    return tuple(
        replace(message, parts=tuple(_with_state(part, answered) for part in message.parts)) for message in messages
    )


def text_of(message: Message) -> str:
    """What the message says: its text parts, a line break between two."""
    return "\n".join(_texts(message.parts))


def last_user_text(messages: Sequence[Message]) -> str:
    """What the last user message says; empty when there is none."""
    return next((text_of(message) for message in reversed(messages) if message.role is Role.USER), "")


def _message(value: object, pointer: str) -> Message:
    if not isinstance(value, dict):
        refuse(pointer, "an object with `role` and `content` or `parts`", value)
    role = _role(value, pointer)
    check(value, "id", Member(Sort.TEXT), pointer)
    return Message(value.get("id"), role, (*_body(role, value, pointer), *_tool_calls(role, value, pointer)))


def _role(value: dict[str, object], pointer: str) -> Role:
    role = value.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        refuse(f"{pointer}/role", one_of(_ROLES), role, missing="role" not in value)
    return _ROLES[role]


def _body(role: Role, value: dict[str, object], pointer: str) -> tuple[Part, ...]:
    """What the message says. Some clients send `parts` and repeat the text as `content`; a contradiction is refused."""
    said, content = value.get("parts"), value.get("content")
    if said is None or (said == [] and content):
        return _content(role, value, pointer)
    parts = parse_parts(said, f"{pointer}/parts")
    if role is Role.TOOL:
        _only_results(parts, f"{pointer}/parts")
    texts = _texts(parts)
    if content and content not in ("".join(texts), "\n".join(texts)):
        detail = f"`{pointer}` says different things in `content` and in `parts`: send one of the two."
        raise InvalidRequest(detail, pointer=pointer)
    return parts


def _content(role: Role, value: dict[str, object], pointer: str) -> tuple[Part, ...]:
    """The `content` of a message, as AG-UI understands it for the role."""
    match role:
        case Role.ASSISTANT if value.get("content") is None:
            return ()
        case Role.ACTIVITY:
            return (_activity(value, pointer),)
        case Role.TOOL:
            return (_tool_result(value, pointer),)
        case Role.REASONING:
            return _reasoning(value, pointer)
        case Role.SYSTEM | Role.DEVELOPER | Role.USER | Role.ASSISTANT:
            said = _text_or_parts(value, pointer)
            if isinstance(said, tuple):
                return said
            return ({"type": "text", "text": said},) if said else ()
        case _:
            assert_never(role)


def _text_or_parts(value: dict[str, object], pointer: str) -> str | tuple[Part, ...]:
    content = value.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        refuse(f"{pointer}/content", "a string or an array of parts", content, missing="content" not in value)
    return parse_parts(content, f"{pointer}/content")


def _only_results(parts: tuple[Part, ...], pointer: str) -> None:
    for index, part in enumerate(parts):
        if part["type"] != "tool_result":
            place = f"{pointer}/{index}/type"
            raise InvalidRequest(f'`{place}` must be "tool_result": the message is a tool\'s.', pointer=place)


# --- what AG-UI keeps outside of the content -------------------------------------------------------------------------


def _tool_calls(role: Role, value: dict[str, object], pointer: str) -> tuple[Part, ...]:
    name, calls = either(value, "toolCalls", "tool_calls")
    if calls is None or calls == []:
        return ()
    place = f"{pointer}/{name}"
    if role is not Role.ASSISTANT:
        raise InvalidRequest(f"Remove `{place}`: only an assistant's message calls tools.", pointer=place)
    if not isinstance(calls, list):
        refuse(place, "an array of tool calls", calls)
    return tuple(_tool_call(call, f"{place}/{index}") for index, call in enumerate(calls))


def _tool_call(call: object, pointer: str) -> Part:
    if not isinstance(call, dict):
        refuse(pointer, "an object with `id` and `function`", call)
    if call.get("type", "function") != "function":
        refuse(f"{pointer}/type", '"function"', call["type"])
    function = call.get("function")
    if not isinstance(function, dict):
        expected = "an object with `name` and `arguments`"
        refuse(f"{pointer}/function", expected, function, missing="function" not in call)
    check(call, "id", NAME, pointer)
    check(function, "name", NAME, f"{pointer}/function")
    check(function, "arguments", TEXT, f"{pointer}/function")
    return {"type": "tool_call", "id": call["id"], "name": function["name"], **arguments_of(function["arguments"])}


def arguments_of(text: str) -> dict[str, object]:
    """A tool call's input. A model can write arguments that are no JSON object; those are kept as it wrote them."""
    try:
        value = decode(text or "{}")
    except InvalidRequest:
        return {"input": {}, "arguments": text}
    return {"input": value} if isinstance(value, dict) else {"input": {}, "arguments": text}


def _tool_result(value: dict[str, object], pointer: str) -> Part:
    name, call_id = either(value, "toolCallId", "tool_call_id")
    check(value, name, NAME, pointer)
    check(value, "error", Member(Sort.TEXT), pointer)
    output, error = _text_or_parts(value, pointer), value.get("error")
    return {
        "type": "tool_result",
        "tool_call_id": call_id,
        "output": list(output) if isinstance(output, tuple) else output,
        "is_error": error is not None,
        **({} if error is None else {"error": error}),
    }


def _activity(value: dict[str, object], pointer: str) -> Part:
    name, activity = either(value, "activityType", "activity_type")
    check(value, name, NAME, pointer)
    check(value, "content", Member(Sort.OBJECT, required=True), pointer)
    return {"type": "data", "name": activity, "value": value["content"]}


def _reasoning(value: dict[str, object], pointer: str) -> tuple[Part, ...]:
    said = _text_or_parts(value, pointer)
    if isinstance(said, tuple):
        return said
    name, signature = either(value, "encryptedValue", "encrypted_value")
    check(value, name, Member(Sort.TEXT), pointer)
    return ({"type": "reasoning", "text": said, **({} if signature is None else {"signature": signature})},)


def _with_state(part: Part, answered: set[object]) -> Part:
    if part["type"] != "tool_call" or part.get("state") is not None:
        return part
    state = ToolCallState.COMPLETED if part["id"] in answered else ToolCallState.PENDING
    return {**part, "state": state.value}


def _texts(parts: tuple[Part, ...]) -> list[str]:
    return [str(part["text"]) for part in parts if part["type"] == "text"]
