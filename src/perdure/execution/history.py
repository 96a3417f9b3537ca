"""A conversation's messages as a model library's history."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
    VideoUrl,
    repair_messages,
)

from perdure.domain.message import Message, Role, text_of
from perdure.domain.part import Part

_ARTIFACT: Final = "artifact:"
"""What references to the run's own files begin with."""


@dataclass(frozen=True, slots=True)
class History:
    """What to run an agent with: the messages before, and the prompt if the conversation ends with the user's."""

    messages: list[ModelMessage]
    prompt: str | list[UserContent] | None
    call_ids: frozenset[str]


def history_of(messages: Sequence[Message]) -> History:
    """The history of a conversation. Tool calls that were never answered are closed where the user has gone on.

    Reasoning is left out: it is only valid for the model that it came from.
    """
    before, prompt = list(messages), None
    if before and before[-1].role is Role.USER:
        prompt = _prompt(before.pop().parts)
    calls = {str(part["id"]): str(part["name"]) for message in before for part in message.parts if _is_call(part)}
    converted = [made for message in before for made in _convert(message, calls)]
    history = repair_messages(converted) if prompt is not None else converted
    return History(history, prompt, frozenset(calls))


def _is_call(part: Part) -> bool:
    return part["type"] == "tool_call"


def _convert(message: Message, calls: dict[str, str]) -> Iterator[ModelMessage]:
    match message.role:
        case Role.SYSTEM | Role.DEVELOPER:
            yield ModelRequest(parts=[SystemPromptPart(text_of(message))])
        case Role.USER:
            yield ModelRequest(parts=[UserPromptPart(_prompt(message.parts))])
        case Role.ASSISTANT | Role.TOOL:
            yield from _turns(message.parts, calls)
        case Role.REASONING | Role.ACTIVITY:
            pass
        case _:
            assert_never(message.role)


def _turns(parts: Iterable[Part], calls: dict[str, str]) -> Iterator[ModelMessage]:
    """An assistant's message may hold results between what it says: they were requests to the model."""
    said: list[ModelResponsePart] = []
    returned: list[ModelRequestPart] = []
    for part in parts:
        match part["type"]:
            case "tool_result":
                if said:
                    yield ModelResponse(parts=said)
                    said = []
                returned.append(_tool_return(part, calls))
            case "text" | "tool_call":
                if returned:
                    yield ModelRequest(parts=returned)
                    returned = []
                said.append(_said(part))
            case _:
                pass
    if said:
        yield ModelResponse(parts=said)
    if returned:
        yield ModelRequest(parts=returned)


def _said(part: Part) -> ModelResponsePart:
    if part["type"] == "text":
        return TextPart(str(part["text"]))
    arguments = part.get("arguments")
    given = part.get("input")
    return ToolCallPart(
        tool_name=str(part["name"]),
        args=arguments if isinstance(arguments, str) else given if isinstance(given, dict) else {},
        tool_call_id=str(part["id"]),
    )


def _tool_return(part: Part, calls: dict[str, str]) -> ToolReturnPart:
    call_id = str(part["tool_call_id"])
    failed = part.get("is_error") is True
    return ToolReturnPart(
        tool_name=calls.get(call_id, "tool"),
        content=part.get("error") if failed and not part.get("output") else part.get("output"),
        tool_call_id=call_id,
        outcome="failed" if failed else "success",
    )


def _prompt(parts: Sequence[Part]) -> str | list[UserContent]:
    if all(part["type"] == "text" for part in parts):
        return "\n".join(str(part["text"]) for part in parts)
    return [content for part in parts if (content := _content(part)) is not None]


def _content(part: Part) -> UserContent | None:
    match part["type"]:
        case "text":
            return str(part["text"])
        case "image" | "file":
            return _media(part)
        case _:
            return None


def _media(part: Part) -> UserContent:
    url, data = part.get("url"), part.get("data")
    media_type = str(part.get("media_type") or ("image/png" if part["type"] == "image" else "application/octet-stream"))
    if isinstance(data, str):
        return BinaryContent(base64.b64decode(data), media_type=media_type)
    if not isinstance(url, str) or url.startswith(_ARTIFACT):
        # An upload, or a handle of a provider: its bytes are not here, but the model should know that there is a file.
        # The same goes for a file of the run, which its tools read.
        if url:
            return f"[attached file: {part.get('filename') or url} ({url})]"
        return f"[attached file: {part.get('filename') or part.get('upload_id') or part.get('file_id')}]"
    match media_type.partition("/")[0]:
        case "image":
            return ImageUrl(url)
        case "audio":
            return AudioUrl(url)
        case "video":
            return VideoUrl(url)
        case _:
            return DocumentUrl(url)
