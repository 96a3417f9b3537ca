"""Calls of models and tools, as analytics count them (vertesia.md 1.9): what the log says, or what a caller told."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

MAX_MESSAGE: Final = 1_000
MAX_PARAMETERS: Final = 30
MAX_VALUE: Final = 200

AGGREGATE: Final = "aggregate"
"""`call_type` of what a caller's last event says of all its model calls together."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call that has ended. `key` names it within its run; `at` is its start in ms since 1970, sizes are in bytes.

    `nested`: made by a tool for itself. `parameters`: the short ones of a tool's arguments, by name.
    """

    key: str
    source: Literal["log", "told"] = "log"
    kind: Literal["llm", "tool", "run"]
    at: int
    event_id: int | None = None
    duration_ms: int | None = None
    success: bool
    error_type: str | None = None
    error_message: str | None = None
    model: str | None = None
    environment: str | None = None
    tool: str | None = None
    tool_type: str | None = None
    tool_call_id: str | None = None
    iteration: int | None = None
    call_type: str | None = None
    nested: bool = False
    attempt: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    input_bytes: int | None = None
    output_bytes: int | None = None
    tool_use_count: int | None = None
    parameters: dict[str, object] | None = None


def tool_key(tool_call_id: str) -> str:
    """The key of a tool call: the same from the log and from a caller, so that it counts once."""
    return f"tool:{tool_call_id}"


def countable(arguments: object) -> dict[str, object] | None:
    """The arguments of a tool call whose values can be counted: short texts, numbers, true and false."""
    if not isinstance(arguments, dict):
        return None
    short = {
        name: value
        for name, value in arguments.items()
        if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= MAX_VALUE)
    }
    return dict(list(short.items())[:MAX_PARAMETERS])


def clipped(text: str) -> str:
    """An error's message, as long as it is kept; without the character that PostgreSQL refuses."""
    return text.replace("\x00", "")[:MAX_MESSAGE]
