"""When waiting runs go on by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("timers")


@dataclass(frozen=True, slots=True)
class Timer:
    """A run that waits, and the time until which it does."""

    key: RunKey
    wake_at: datetime


async def due(database: Database, now: datetime, limit: int) -> list[Timer]:
    """Waiting runs whose time has come, the longest overdue first."""
    rows = await database.fetch(_SQL["due_timers"], now, limit)
    return [Timer(RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])), row["wake_at"]) for row in rows]


async def remove(database: Database, gone: Sequence[Timer]) -> None:
    """Forget timers that went off; one that was set anew meanwhile stays."""
    await database.execute(
        _SQL["remove_timers"],
        [timer.key.project_id for timer in gone],
        [timer.key.run_id for timer in gone],
        [timer.wake_at for timer in gone],
    )


async def remove_of_ended(database: Database, now: datetime) -> None:
    """Forget the due timers of runs that have ended."""
    await database.execute(_SQL["remove_timers_of_ended_runs"], now)
