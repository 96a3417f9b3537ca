"""Schedules (veryfront.md 1.10 and 6): kept, changed, triggered by hand, and fired by the clock.

A fire is two steps. First a compare-and-set on `next_fire_at` takes it: the row then says which fire is under way and
when the next one is. Then its run is created, whose idempotency key is the schedule's id with the time of the fire, and
the row is told. However many servers do this, and wherever one of them dies, a fire has one run: the second step can be
repeated by anybody. Of the fires that were missed while no server ran, the latest is made up for.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from perdure.domain.errors import Conflict, PerdureError, RunNotFound, Unavailable
from perdure.domain.ids import ProjectId, RunId, new_uuid
from perdure.domain.schedule import (
    Concurrency,
    Schedule,
    ScheduleId,
    ScheduleNotFound,
    ScheduleSpec,
    ScheduleStatus,
    check_spec,
    latest_fire,
    next_fire,
)
from perdure.domain.stored_run import Origin, Run
from perdure.services import lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import RunRequest
from perdure.services.triggered import Content, Occasion, run_request
from perdure.store import schedules as store
from perdure.store.runs import at
from perdure.telemetry import LogLine, get_logger

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a schedule is to be, whole."""

    name: str
    status: ScheduleStatus
    spec: ScheduleSpec
    max_runs: int | None


async def create(
    core: Core, project_id: ProjectId, wanted: Wanted, *, source_trigger_id: str | None, created_by: str | None
) -> Schedule:
    """A new schedule. Raises InvalidRequest."""
    check_spec(wanted.spec)
    now = at(core.clock())
    new = Schedule(
        id=ScheduleId(new_uuid(core.clock())),
        project_id=project_id,
        name=wanted.name,
        status=wanted.status,
        definition_source="manual" if source_trigger_id is None else "source",
        source_trigger_id=source_trigger_id,
        spec=wanted.spec,
        max_runs=wanted.max_runs,
        run_count=0,
        next_fire_at=_next(wanted, now),
        firing_at=None,
        claimed_at=None,
        last_fire_at=None,
        last_run_id=None,
        last_error=None,
        created_by=created_by,
        created_at=now,
        updated_at=now,
        revision=0,
    )
    await store.create(core.database, new)
    return new


async def get(core: Core, project_id: ProjectId, schedule_id: ScheduleId) -> Schedule:
    """One schedule. Raises ScheduleNotFound."""
    found = await store.get(core.database, project_id, schedule_id)
    if found is None:
        raise ScheduleNotFound
    return found


async def list_all(
    core: Core, project_id: ProjectId, *, status: ScheduleStatus | None, source_trigger_id: str | None
) -> list[Schedule]:
    """The schedules of a project, oldest first."""
    return await store.list_all(core.database, project_id, status, source_trigger_id)


async def change(core: Core, known: Schedule, wanted: Wanted) -> Schedule | None:
    """Change a schedule that was read; None when it was changed meanwhile, so that it is to be read again.

    One that pauses forgets its next fire, and goes on with the first one after it is resumed: what a pause swallowed is
    not made up for. Raises InvalidRequest, and Conflict for one that has had its `max_runs` and is to go on.
    """
    check_spec(wanted.spec)
    if wanted.status is ScheduleStatus.ACTIVE and wanted.max_runs is not None and known.run_count >= wanted.max_runs:
        raise Conflict(f"The schedule has had {known.run_count} runs: raise max_runs to go on.")
    now = at(core.clock())
    same = (
        known.next_fire_at is not None
        and wanted.status is ScheduleStatus.ACTIVE
        and (wanted.spec.cron, wanted.spec.time_zone) == (known.spec.cron, known.spec.time_zone)
    )
    changed = replace(
        known,
        name=wanted.name,
        status=wanted.status,
        spec=wanted.spec,
        max_runs=wanted.max_runs,
        next_fire_at=known.next_fire_at if same else _next(wanted, now),
        updated_at=now,
    )
    return await store.change(core.database, changed)


async def delete(core: Core, project_id: ProjectId, schedule_id: ScheduleId) -> None:
    """Delete a schedule; its runs stay. Raises ScheduleNotFound."""
    if not await store.delete(core.database, project_id, schedule_id):
        raise ScheduleNotFound


async def trigger(
    core: Core, schedule: Schedule, *, run_name: str, idempotency_key: str, created_by: str | None
) -> Run:
    """Start a run of a schedule by hand, paused or not; the same `idempotency_key` answers the same run.

    Its concurrency and `max_runs` are rules for the clock only, which does see this run. Raises what
    `services.runs.create` does.
    """
    request = _request(schedule, f"manual:{idempotency_key}", run_name, created_by)
    return await _start(core, schedule, request, at(core.clock()))


async def fire_due(core: Core) -> int:
    """Fire what is due, and finish what a server that died left behind; how many fires were seen to.

    A fire whose run cannot be created leaves the reason in the schedule's `last_error`. Raises Unavailable.
    """
    now = at(core.clock())
    fired = 0
    for known in await store.due(core.database, now, _AT_ONCE):
        taken: Schedule | None = known
        if known.firing_at is None and known.next_fire_at is not None:
            fire_at = latest_fire(known.spec, known.next_fire_at, now)
            taken = await store.claim_fire(core.database, known, fire_at, next_fire(known.spec, now), now)
        if taken is not None and taken.firing_at is not None:
            await _fire(core, taken, taken.firing_at)
            fired += 1
    return fired


async def _fire(core: Core, schedule: Schedule, fire_at: datetime) -> None:
    run_id: RunId | None = None
    error: str | None = None
    try:
        if await _may_start(core, schedule):
            name = fire_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
            request = _request(schedule, f"fire:{name}", f"{schedule.name} {name}", schedule.created_by)
            run_id = (await _start(core, schedule, request, fire_at)).run_id
    except Unavailable:
        raise
    except PerdureError as refused:
        error = refused.detail
    if await store.finish_fire(core.database, schedule, run_id, error, at(core.clock())):
        _say(core, schedule, fire_at, run_id, error)


def _say(core: Core, schedule: Schedule, fire_at: datetime, run_id: RunId | None, error: str | None) -> None:
    """One log line and one count for each fire, by the server that finished it."""
    log = get_logger().bind(schedule_id=str(schedule.id), fire_at=fire_at.isoformat())
    if error is not None:
        core.metrics.schedule_fired("failed")
        log.warning(LogLine.SCHEDULE_FAILED, error=error)
    elif run_id is None:
        core.metrics.schedule_fired("skipped")
        log.info(LogLine.SCHEDULE_SKIPPED)
    else:
        core.metrics.schedule_fired("started")
        log.info(LogLine.SCHEDULE_FIRED, run_id=run_id)


async def _may_start(core: Core, schedule: Schedule) -> bool:
    """Whether the fire may have a run beside the earlier ones that go on; those that it replaces are cancelled."""
    if schedule.spec.concurrency is Concurrency.ALLOW:
        return True
    going_on = await store.live_runs_before(core.database, schedule)
    if schedule.spec.concurrency is Concurrency.FORBID:
        return not going_on
    for key in going_on:
        with suppress(RunNotFound):
            await lifecycle.cancel(core, key, "The next run of its schedule replaces it.")
    return True


async def _start(core: Core, schedule: Schedule, request: RunRequest, fired_at: datetime) -> Run:
    created = await run_service.create(core, schedule.project_id, request)
    await store.note_run(core.database, created.run.key, schedule.id, fired_at)
    return created.run


def _request(schedule: Schedule, occasion: str, name: str, created_by: str | None) -> RunRequest:
    spec = schedule.spec
    origin = Origin(
        trigger_kind="manual" if occasion.startswith("manual:") else "schedule",
        trigger_id=schedule.source_trigger_id,
        schedule_id=str(schedule.id),
    )
    return run_request(
        schedule.project_id,
        spec.target,
        Occasion(f"schedule:{schedule.id}:{occasion}", name, origin, created_by),
        Content(spec.input, spec.config, spec.timeout_seconds),
    )


def _next(wanted: Wanted, now: datetime) -> datetime | None:
    return next_fire(wanted.spec, now) if wanted.status is ScheduleStatus.ACTIVE else None
