"""When runs are executed: what every call that starts some takes, and how it is said in a query."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Scheduling(TypedDict, total=False):
    """`priority` (-100 to 100): a higher one goes first among the project's runs. `run_after`, `deadline` (aware
    datetimes): no worker gets a run before the one, and it fails when it has not ended at the other."""

    priority: int | None
    run_after: datetime | None
    deadline: datetime | None


def query_of(said: Scheduling) -> dict[str, str | int | None]:
    """The query parameters."""
    return {
        "priority": said.get("priority"),
        "run_after": iso(said.get("run_after")),
        "deadline": iso(said.get("deadline")),
    }


def iso(moment: datetime | None) -> str | None:
    """A moment as the server reads it."""
    return None if moment is None else moment.isoformat()
