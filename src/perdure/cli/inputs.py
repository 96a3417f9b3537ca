"""What a person types or names as a file, as values."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.cli.output import fail

if TYPE_CHECKING:
    from perdure.client.scheduling import Scheduling


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


def read_time(option: str, text: str | None) -> datetime | None:
    """A time in ISO 8601, local where it has no offset; None for nothing. Ends the command where it is none."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        fail(f"{option} must be a time, such as 2030-01-31T12:00 or 2030-01-31T12:00:00+01:00.")


def scheduling_of(priority: int | None, run_after: str | None, deadline: str | None) -> Scheduling:
    """What the options of a command that starts runs say. Ends the command where a time is none."""
    return {
        "priority": priority,
        "run_after": read_time("--run-after", run_after),
        "deadline": read_time("--deadline", deadline),
    }
