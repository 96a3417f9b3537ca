"""What a person types or names as a file, as values."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from perdure.cli.output import fail


def value_of(text: str | None) -> Any:
    """JSON as its value, any other text as itself; None for nothing."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def read_text(path: Path) -> str:
    """A file's text; `-` is standard input. Ends the command where it is no text."""
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"Cannot read {path}: {error}.")


def object_of(text: str) -> dict[str, Any]:
    """A JSON object, from itself or from the file of that name (`-`: standard input). Ends the command where there is
    none."""
    literal = text.lstrip().startswith("{")
    try:
        return msgspec.json.decode(text if literal else read_text(Path(text)), type=dict[str, Any])
    except msgspec.DecodeError as error:
        fail(f"{'This' if literal else text} does not hold a JSON object: {error}.")
