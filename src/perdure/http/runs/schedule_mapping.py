"""Between the schedules' dialect and the domain: pure functions."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET

from perdure.domain.schedule import Schedule, ScheduleSpec
from perdure.http.runs.mapping import iso
from perdure.http.runs.schedule_schemas import ChangeBody, CreateBody, ScheduleView
from perdure.http.runs.target_schemas import target_view
from perdure.services.schedules import Wanted


def wanted(body: CreateBody) -> Wanted:
    """What a new schedule is to be."""
    spec = ScheduleSpec(
        cron=body.cron,
        target=body.target,
        timeout_seconds=int(body.timeout_seconds),
        time_zone=body.time_zone,
        concurrency=body.concurrency,
        input=body.input,
        config=body.config,
    )
    return Wanted(body.name, body.status, spec, None if body.max_runs is None else int(body.max_runs))


def changed(known: Schedule, body: ChangeBody) -> Wanted:
    """What a schedule is to be after a change."""
    old = known.spec
    spec = ScheduleSpec(
        cron=old.cron if body.cron is UNSET else body.cron,
        target=old.target if body.target is UNSET else body.target,
        timeout_seconds=old.timeout_seconds if body.timeout_seconds is UNSET else int(body.timeout_seconds),
        time_zone=old.time_zone if body.time_zone is UNSET else body.time_zone,
        concurrency=old.concurrency if body.concurrency is UNSET else body.concurrency,
        input=old.input if body.input is UNSET else body.input,
        config=old.config if body.config is UNSET else body.config,
    )
    return Wanted(
        name=known.name if body.name is UNSET else body.name,
        status=known.status if body.status is UNSET else body.status,
        spec=spec,
        max_runs=_limit(known, body),
    )


def schedule_view(schedule: Schedule) -> ScheduleView:
    """A schedule as it is answered."""
    spec = schedule.spec
    return ScheduleView(
        id=str(schedule.id),
        project_id=str(schedule.project_id),
        name=schedule.name,
        status=schedule.status,
        cron=spec.cron,
        time_zone=spec.time_zone,
        concurrency=spec.concurrency,
        max_runs=schedule.max_runs,
        run_count=schedule.run_count,
        target=target_view(spec.target),
        input=spec.input,
        config=spec.config,
        definition_source=schedule.definition_source,
        source_trigger_id=schedule.source_trigger_id,
        timeout_seconds=spec.timeout_seconds,
        next_fire_at=_time(schedule.next_fire_at),
        last_fire_at=_time(schedule.last_fire_at),
        last_run_id=schedule.last_run_id,
        last_error=schedule.last_error,
        created_by=schedule.created_by,
        created_at=iso(schedule.created_at),
        updated_at=iso(schedule.updated_at),
    )


def _limit(known: Schedule, body: ChangeBody) -> int | None:
    if body.max_runs is UNSET:
        return known.max_runs
    return None if body.max_runs is None else int(body.max_runs)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
