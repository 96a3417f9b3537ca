"""Values and texts on one line, and nothing that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPACE: Final = re.compile(r"\s+")


def printable(text: str) -> str:
    """`text` without control characters but newline and tab: what an agent says must not steer the terminal."""
    return _CONTROL.sub("", text)


def folded(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters."""
    line = _SPACE.sub(" ", printable(text)).strip()
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def folded_value(value: object, width: int) -> str:
    """Any JSON value on one line: a text as it is, the rest as JSON."""
    return folded(value if isinstance(value, str) else _json(value), width)


def arguments(text: str, width: int) -> str:
    """A tool call's arguments (JSON text) as one writes a call: `city="Lisbon", days=2`."""
    try:
        value: object = msgspec.json.decode(text) if text.strip() else {}
    except msgspec.DecodeError:
        return folded(text, width)
    if not isinstance(value, Mapping):
        return folded_value(value, width)
    return folded(", ".join(f"{name}={_json(member)}" for name, member in value.items()), width)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
