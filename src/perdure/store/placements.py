"""Which pending runs the engine has been told of (ADR 0010)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.placement import Placement
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("placements")

AT_ONCE: Final = 100
"""How many runs `take` takes at most: a number in the statement, because its plan depends on it."""


async def take(database: Database, now: datetime, until: datetime, told_lately: datetime) -> list[Placement]:
    """Up to AT_ONCE due runs that nobody has told the engine of; no other process gets them before `until`.

    The engine has at most twice as many runs of a project and route before it as workers could execute (two at least).
    Runs that are taken already, or whose `again` is `told_lately` or later, are on their way: under limits they count
    as if they were executed.
    """
    rows = await database.fetch(_SQL["take_unplaced"], until, now, until, told_lately)
    return [
        Placement(
            RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])),
            row["route"], row["revision"],
        )
        for row in rows
    ]  # fmt: skip


async def mark(database: Database, keys: Sequence[RunKey], taken_until: datetime, again: datetime | None) -> None:
    """Say when the engine is told again of runs that were taken until `taken_until`; None: as soon as may be."""
    projects, runs = [key.project_id for key in keys], [key.run_id for key in keys]
    await database.execute(_SQL["set_placed"], projects, runs, taken_until, again)


async def hold_back(database: Database, key: RunKey) -> None:
    """The engine is told of a run again when its limits have room."""
    await database.execute(_SQL["hold_back"], key.project_id, key.run_id)


async def doubt(database: Database, routes: Collection[str], now: datetime) -> None:
    """Let those be placed again, up to AT_ONCE of each route, that are due and wait longest."""
    await database.execute(_SQL["doubt_placed"], sorted(routes), now)


async def forget(database: Database, now: datetime) -> None:
    """Let those be placed again whose time to be told again has come."""
    await database.execute(_SQL["forget_placed"], now)
