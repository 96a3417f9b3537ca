"""The log as frames of server-sent events (veryfront.md 2.5)."""

from __future__ import annotations

import re
from collections.abc import Container
from functools import partial
from types import MappingProxyType
from typing import Final

from perdure.domain.event import StoredEvents
from perdure.http.sse import Render

_UPPER_SNAKE: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def event_name(kind: str) -> str:
    """The `event:` of an event type: `TEXT_MESSAGE_CONTENT` is `TextMessageContent`, as clients of the protocol expect.

    A type of another spelling is its own name: decoders of the protocol leave out names that they do not know, while an
    EventSource can listen to it.
    """
    if not _UPPER_SNAKE.fullmatch(kind):
        return kind
    return "".join(part.capitalize() for part in kind.split("_"))


def frames(events: StoredEvents, hidden: Container[str] = ()) -> bytes:
    """A row's frames; none for a private row, and none for events of `hidden` types."""
    if not events.public:
        return b""
    return "".join(
        f"id: {event_id}\nevent: {event_name(kind)}\ndata: {line}\n\n"
        for event_id, (kind, line) in enumerate(zip(events.types, events.lines(), strict=True), events.first_event_id)
        if kind not in hidden
    ).encode()


def timed_frames(events: StoredEvents) -> bytes:
    """A row's frames with a field of ours, `time`, which readers that do not know it leave out."""
    if not events.public:
        return b""
    return "".join(
        f"id: {events.first_event_id + place}\nevent: {event_name(kind)}\n"
        f"time: {events.first_ts + place}\ndata: {line}\n\n"
        for place, (kind, line) in enumerate(zip(events.types, events.lines(), strict=True))
    ).encode()


_HIDDEN_FROM_CONVERSATIONS: Final = frozenset({"STEP_STARTED", "STEP_FINISHED", "REASONING_START", "REASONING_END"})
"""Stored, and not in the public stream of a conversation's run (veryfront.md 2.4)."""

WHOLE: Final = "runs"
TIMED: Final = "runs/timed"
CONVERSATION: Final = "runs/conversation"

RENDERERS: Final = MappingProxyType[str, Render](
    {WHOLE: frames, TIMED: timed_frames, CONVERSATION: partial(frames, hidden=_HIDDEN_FROM_CONVERSATIONS)}
)
"""What the dialect's streams make of a row, by the name under which a delivery keeps it."""
