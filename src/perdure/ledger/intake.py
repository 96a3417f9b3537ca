"""Events that come in from outside: checked, and kept as the bytes they came in (veryfront.md 2.1, 2.4, 2.7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

import msgspec

from perdure.domain import json_text
from perdure.domain.errors import EventTooLarge, InvalidRequest
from perdure.domain.event import MAX_EVENT_BYTES, MAX_EVENTS, PRIVATE_EXTERNAL_TYPES, TERMINAL_TYPES, Segment

MAX_TYPE_LENGTH = 128


class _Body(msgspec.Struct):
    events: list[msgspec.Raw]
    expected_previous_event_id: int | None = None
    expected_previous_external_event_sequence: int | None = None


class _Typed(msgspec.Struct):
    type: str


_LARGE_NUMBER = re.compile(rb"[0-9][eE][+]?[0-9]{3}|[0-9]{200}")
"""May be out of range; most are within strings."""

_BODY = msgspec.json.Decoder(_Body)
_TYPED = msgspec.json.Decoder(_Typed)


@dataclass(frozen=True, slots=True)
class Incoming:
    """The body of an append: segments by visibility, and the cursors that the writer expects."""

    segments: tuple[Segment, ...]
    expected_event_id: int | None
    expected_external_sequence: int | None


def parse_append(body: bytes) -> Incoming:
    """Read the body of an append request.

    Raises InvalidRequest (naming the place) for anything malformed, EventTooLarge for an event of 256 KB or more.
    """
    try:
        read = _BODY.decode(body.decode())  # msgspec does not look at the text that it skips
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        json_text.decode(body)  # It says better what is wrong.
        raise InvalidRequest(f"The body is not JSON: {error}") from None
    if not 1 <= len(read.events) <= MAX_EVENTS:
        raise InvalidRequest(
            f"Send 1 to {MAX_EVENTS} events in one request, not {len(read.events)}.", pointer="/events"
        )
    for name in ("expected_previous_event_id", "expected_previous_external_event_sequence"):
        cursor = getattr(read, name)
        if cursor is not None and not 0 <= cursor < 1 << 62:
            raise InvalidRequest(f"{name} must be null or an integer from 0 up.", pointer=f"/{name}")
    return Incoming(
        segments=_segments([_event(bytes(raw), index) for index, raw in enumerate(read.events)]),
        expected_event_id=read.expected_previous_event_id,
        expected_external_sequence=read.expected_previous_external_event_sequence,
    )


def _segments(events: list[tuple[str, str]]) -> tuple[Segment, ...]:
    """Group consecutive events of one visibility; only public ones count as external (veryfront.md 2.2)."""
    return tuple(
        Segment(
            types=tuple(kind for kind, _ in group),
            lines=tuple(line for _, line in group),
            public=public,
            external=public,
        )
        for public, group in (
            (public, list(items))
            for public, items in groupby(events, lambda event: event[0] not in PRIVATE_EXTERNAL_TYPES)
        )
    )


def _event(raw: bytes, index: int) -> tuple[str, str]:
    """One event's type and its line."""
    pointer = f"/events/{index}"
    if len(raw) >= MAX_EVENT_BYTES:
        raise EventTooLarge
    if b"\\u" in raw or raw.count(b"[") + raw.count(b"{") > json_text.MAX_DEPTH or _LARGE_NUMBER.search(raw):
        _check_closely(raw, pointer)
    try:
        kind = _TYPED.decode(raw).type
        line = raw.decode()
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"An event is an object with a non-empty string `type`: {error}.", pointer=pointer
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The event is not UTF-8 JSON: {error}", pointer=pointer) from None
    _check_type(kind, f"{pointer}/type")
    if "\n" in line or "\r" in line:
        line = msgspec.json.format(raw, indent=-1).decode()
    return kind, line


def _check_closely(raw: bytes, pointer: str) -> None:
    """The rare event that may hold what cannot be stored and read again: NUL, deep nesting, numbers out of range."""
    try:
        json_text.decode(raw)
    except InvalidRequest as error:
        raise InvalidRequest(error.detail, pointer=pointer + (error.pointer or "")) from None


def _check_type(kind: str, pointer: str) -> None:
    if not kind or len(kind) > MAX_TYPE_LENGTH or not kind.isprintable():
        raise InvalidRequest(f"An event's type is 1 to {MAX_TYPE_LENGTH} printable characters.", pointer=pointer)
    if kind in TERMINAL_TYPES:
        raise InvalidRequest(
            f"{kind} is written by the server when the run ends: call /complete or /cancel instead.", pointer=pointer
        )
