"""The query parameters of POST /runs and POST /batches: when runs are executed. The seed closes the body (seed 002)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from perdure.domain.errors import InvalidRequest
from perdure.domain.scheduling import HIGHEST_PRIORITY, LOWEST_PRIORITY, UNSCHEDULED, Scheduling
from perdure.http.json_schema import JsonSchema
from perdure.http.operations import query

_NAMES: Final = ("priority", "run_after", "deadline")
_PRIORITY: Final = re.compile(r"[+-]?[0-9]{1,3}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

PARAMETERS: Final[tuple[JsonSchema, ...]] = (
    query(
        "priority",
        {"type": "integer", "minimum": LOWEST_PRIORITY, "maximum": HIGHEST_PRIORITY, "default": 0},
        "A higher one goes first among the runs of one project.",
    ),
    query(
        "run_after",
        {"type": "string", "format": "date-time"},
        "No worker gets the run before this time. Not for runs that the caller executes.",
    ),
    query(
        "deadline",
        {"type": "string", "format": "date-time"},
        "When it passes before the run has ended, the run fails with the code `DEADLINE_EXCEEDED`.",
    ),
)


def scheduling_of(request: Request) -> Scheduling:
    """What the request's query says. Raises InvalidRequest, which names the parameter."""
    given = {name: _only(request, name) for name in _NAMES}
    if all(value is None for value in given.values()):
        return UNSCHEDULED
    return Scheduling(
        _priority(given["priority"]), _time("run_after", given["run_after"]), _time("deadline", given["deadline"])
    )


def _only(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise InvalidRequest(f"The query parameter `{name}` must stand once.")
    return values[0] if values else None


def _priority(value: str | None) -> int:
    if value is None:
        return 0
    value = value.replace(" ", "+")  # in a query a `+` that was not encoded arrives as a space
    if not (value.isascii() and _PRIORITY.fullmatch(value) and LOWEST_PRIORITY <= int(value) <= HIGHEST_PRIORITY):
        raise InvalidRequest(
            f"The query parameter `priority` must be an integer from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}."
        )
    return int(value)


def _time(name: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    value = value.replace(" ", "+")
    try:
        if not (value.isascii() and _TIME.fullmatch(value)):
            raise ValueError
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"The query parameter `{name}` must be a date and time of RFC 3339, such as 2030-01-31T12:00:00Z."
        ) from None
