"""Schedules, and the runs of theirs that may still go on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.schedule import Schedule, ScheduleId, ScheduleSpec, ScheduleStatus
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("schedules")


async def create(database: Database, new: Schedule) -> None:
    """Store a new schedule."""
    await database.execute(
        _SQL["create_schedule"],
        new.project_id, new.id, new.name, new.status, new.definition_source, new.source_trigger_id, _json(new.spec),
        new.max_runs, new.next_fire_at, new.created_by, new.created_at,
    )  # fmt: skip


async def get(database: Database, project_id: ProjectId, schedule_id: ScheduleId) -> Schedule | None:
    """One schedule of a project."""
    row = await database.fetchrow(_SQL["get_schedule"], project_id, schedule_id)
    return None if row is None else _schedule(row)


async def list_all(
    database: Database, project_id: ProjectId, status: ScheduleStatus | None, source_trigger_id: str | None
) -> list[Schedule]:
    """The schedules of a project, oldest first."""
    return [
        _schedule(row) for row in await database.fetch(_SQL["list_schedules"], project_id, status, source_trigger_id)
    ]


async def change(database: Database, changed: Schedule) -> Schedule | None:
    """Store what was changed in a schedule that was read; None when somebody else changed it meanwhile."""
    row = await database.fetchrow(
        _SQL["change_schedule"],
        changed.project_id, changed.id, changed.revision, changed.name, changed.status, _json(changed.spec),
        changed.max_runs, changed.next_fire_at, changed.updated_at,
    )  # fmt: skip
    return None if row is None else _schedule(row)


async def delete(database: Database, project_id: ProjectId, schedule_id: ScheduleId) -> bool:
    """Delete a schedule; whether there was one."""
    return await database.fetchrow(_SQL["delete_schedule"], project_id, schedule_id) is not None


async def due(database: Database, now: datetime, limit: int) -> list[Schedule]:
    """The schedules of all projects that are to fire, or whose fire is not finished."""
    return [_schedule(row) for row in await database.fetch(_SQL["due_schedules"], now, limit)]


async def claim_fire(
    database: Database, known: Schedule, fire_at: datetime, next_at: datetime, now: datetime
) -> Schedule | None:
    """Take a fire; None when another server took it, or somebody changed the schedule."""
    row = await database.fetchrow(
        _SQL["claim_fire"],
        known.project_id, known.id, known.next_fire_at, fire_at, next_at, now, known.revision,
    )  # fmt: skip
    return None if row is None else _schedule(row)


async def finish_fire(
    database: Database, fired: Schedule, run_id: RunId | None, error: str | None, now: datetime
) -> bool:
    """The fire's run exists, or there is none to be; whether nobody said so before."""
    values = (fired.project_id, fired.id, fired.firing_at, run_id, error, now)
    return await database.fetchrow(_SQL["finish_fire"], *values) is not None


async def note_run(database: Database, key: RunKey, schedule_id: ScheduleId, fired_at: datetime) -> None:
    """Remember a schedule's run."""
    await database.execute(_SQL["note_run"], key.project_id, schedule_id, key.run_id, fired_at)


async def live_runs_before(database: Database, fired: Schedule) -> list[RunKey]:
    """The schedule's runs that go on and were there when the fire was taken."""
    rows = await database.fetch(_SQL["live_runs_before"], fired.project_id, fired.id, fired.claimed_at, fired.firing_at)
    return [RunKey(fired.project_id, RunId(row["run_id"])) for row in rows]


def _json(spec: ScheduleSpec) -> str:
    return msgspec.json.encode(spec).decode()


def _schedule(row: asyncpg.Record) -> Schedule:
    return Schedule(
        id=ScheduleId(row["id"]),
        project_id=ProjectId(row["project_id"]),
        name=row["name"],
        status=ScheduleStatus(row["status"]),
        definition_source=row["definition_source"],
        source_trigger_id=row["source_trigger_id"],
        spec=msgspec.json.decode(row["spec"], type=ScheduleSpec),
        max_runs=row["max_runs"],
        run_count=row["run_count"],
        next_fire_at=row["next_fire_at"],
        firing_at=row["firing_at"],
        claimed_at=row["claimed_at"],
        last_fire_at=row["last_fire_at"],
        last_run_id=None if row["last_run_id"] is None else RunId(row["last_run_id"]),
        last_error=row["last_error"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        revision=row["revision"],
    )
