"""Runs whose time is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("deadlines")
_AT_ONCE = 500


async def overdue(database: Database, now_ms: int, task_grace_seconds: float) -> list[RunKey]:
    """The runs that go on although their timeout has passed, longest overdue first.

    Running tasks are left out for the first `task_grace_seconds`.
    """
    rows = await database.fetch(_SQL["overdue_runs"], Decimal(now_ms) / 1000, _AT_ONCE, Decimal(task_grace_seconds))
    return [RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])) for row in rows]


async def past(database: Database, now: datetime, task_grace_seconds: float) -> list[RunKey]:
    """The live runs whose own deadline has passed, longest overdue first; running tasks later, as in `overdue`."""
    grace = now - timedelta(seconds=task_grace_seconds)
    rows = await database.fetch(_SQL["runs_past_deadline"], now, _AT_ONCE, grace)
    return [RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])) for row in rows]
