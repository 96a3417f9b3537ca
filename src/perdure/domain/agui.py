"""AG-UI events as Perdure writes them: with the members that its clients need besides, and within the size limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    EventType,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallResultEvent,
)

MAX_DELTA: Final = 32_768
"""Characters of a delta in one event: even if each is escaped, the event stays below 256 KB."""

MAX_RESULT_BYTES: Final = 200_000
"""Bytes of a tool result's text in its event. The model gets all of it; the event has a size limit."""


RESERVED: Final = "perdure."
"""Names of CUSTOM events that begin with it are the server's."""

_CLIENT_TYPES: Final = frozenset(
    {
        EventType.STATE_SNAPSHOT,
        EventType.STATE_DELTA,
        EventType.CUSTOM,
        EventType.RAW,
        EventType.ACTIVITY_SNAPSHOT,
        EventType.ACTIVITY_DELTA,
    }
)


class TextStart(TextMessageStartEvent):
    """TEXT_MESSAGE_START with the `contentId` that some clients need beside the message id (veryfront.md 2.5)."""

    content_id: str


class TextContent(TextMessageContentEvent):
    """TEXT_MESSAGE_CONTENT with `contentId`."""

    content_id: str


class TextEnd(TextMessageEndEvent):
    """TEXT_MESSAGE_END with `contentId`."""

    content_id: str


class ToolResult(ToolCallResultEvent):
    """TOOL_CALL_RESULT that can say that the call failed, or that it was cancelled and has no result."""

    is_error: bool | None = None
    cancelled: bool | None = None


def content_id(message_id: str) -> str:
    """The `contentId` of a text message."""
    return f"{message_id}:text"


def result_message_id(parent: str, call_id: str) -> str:
    """The message id of a tool call's result (veryfront.md 2.4)."""
    return f"{parent}:tool:{call_id}"


def clip(text: str) -> str:
    """`text`, or as much of its beginning as an event has room for and a note of how long it is."""
    if len(text) * 6 <= MAX_RESULT_BYTES:
        return text
    kept = len(text)
    while (size := len(msgspec.json.encode(text[:kept]))) > MAX_RESULT_BYTES:
        kept = min(kept - 1, kept * MAX_RESULT_BYTES // size)
    return text if kept == len(text) else f"{text[:kept]}\n… ({len(text)} characters)"


def pieces(delta: str) -> Iterator[str]:
    """A delta in pieces that fit into an event each; nothing for an empty one."""
    return (delta[start : start + MAX_DELTA] for start in range(0, len(delta), MAX_DELTA))


def client_event(event: BaseEvent) -> BaseEvent:
    """`event`, when it is one that a tool may send to the client: state, activity, or CUSTOM. Raises TypeError."""
    if event.type not in _CLIENT_TYPES:
        raise TypeError(f"A tool cannot send {event.type.value}: only {', '.join(sorted(_CLIENT_TYPES))}.")
    if isinstance(event, CustomEvent) and event.name.startswith(RESERVED):
        raise TypeError(f"CUSTOM events named {RESERVED}… are the server's, so a tool cannot send {event.name!r}.")
    return event


def custom_event(name: str, payload: object) -> BaseEvent:
    """An application's own event: an AG-UI event as it is, anything else as CUSTOM. Raises TypeError."""
    return client_event(payload if isinstance(payload, BaseEvent) else CustomEvent(name=name, value=payload))
