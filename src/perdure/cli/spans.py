"""Spans of time in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def seconds(span: float) -> str:
    """A span in seconds, in its largest unit that fits: `42 s`, `3 m`, `5 h`, `2 d`."""
    whole = max(0, int(span))
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def milliseconds(span: int) -> str:
    """A span in milliseconds: `250 ms`, `1.2 s`, `3 m`."""
    if span < 1_000:
        return f"{span} ms"
    return f"{span / 1_000:.1f} s" if span < 60_000 else seconds(span / 1_000)


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment is."""
    return f"{seconds((now - moment) / timedelta(seconds=1))} ago"
