"""Runs whose time is over."""

from __future__ import annotations

from decimal import Decimal

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("deadlines")
_AT_ONCE = 500


async def overdue(database: Database, now_ms: int) -> list[RunKey]:
    """The runs that go on although their timeout has passed, longest overdue first."""
    rows = await database.fetch(_SQL["overdue_runs"], Decimal(now_ms) / 1000, _AT_ONCE)
    return [RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])) for row in rows]
