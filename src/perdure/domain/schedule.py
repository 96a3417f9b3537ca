"""A schedule: a run that a clock starts (veryfront.md 1.10 and 6), and the rules of its times.

Times follow Debian's cron, in the schedule's time zone. Where the clocks go forward, a schedule at a fixed time within
the missing hour fires when that hour is over; where they go back, one at a fixed time fires once, in the first of the
two hours. A schedule whose minute or hour begins with `*` follows the time that passes instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from perdure.domain.errors import InvalidRequest, NotFound
from perdure.domain.ids import ProjectId, RunId
from perdure.domain.target import RunTarget, check_target

ScheduleId = NewType("ScheduleId", UUID)

MAX_CRON: Final = 256
MAX_ZONE: Final = 64
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


class ScheduleNotFound(NotFound):
    """There is no such schedule."""

    code = "schedule_not_found"


class ScheduleStatus(StrEnum):
    """Whether it fires. `deleting` is a word of the protocol that this server has no use for: a delete is at once."""

    ACTIVE = "active"
    PAUSED = "paused"
    DELETING = "deleting"


class Concurrency(StrEnum):
    """What happens at a fire while earlier runs of the schedule go on: start too, skip the fire, or cancel those."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class ScheduleSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a schedule fires and what it starts; stored as JSON in `schedules.spec`."""

    cron: str
    target: RunTarget
    timeout_seconds: int
    time_zone: str = "UTC"
    concurrency: Concurrency = Concurrency.ALLOW
    input: dict[str, object] | None = None
    config: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A stored schedule.

    `next_fire_at` is None unless it is active. `firing_at` is the fire that a server has taken (at `claimed_at`) and
    whose run is not yet known to exist. `run_count` counts the runs that the clock started, which `max_runs` limits.
    """

    id: ScheduleId
    project_id: ProjectId
    name: str
    status: ScheduleStatus
    definition_source: str
    source_trigger_id: str | None
    spec: ScheduleSpec
    max_runs: int | None
    run_count: int
    next_fire_at: datetime | None
    firing_at: datetime | None
    claimed_at: datetime | None
    last_fire_at: datetime | None
    last_run_id: RunId | None
    last_error: str | None
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    revision: int


def check_spec(spec: ScheduleSpec) -> None:
    """Refuse times that never come, unknown time zones, and a target that cannot be. Raises InvalidRequest."""
    _zone(spec.time_zone)
    next_fire(spec, datetime(2000, 1, 1, tzinfo=UTC))
    check_target(spec.target, "/target")


def next_fire(spec: ScheduleSpec, after: datetime) -> datetime:
    """The first fire later than `after`, in UTC. Raises InvalidRequest for an expression that never comes."""
    try:
        if len(spec.cron.split()) != 5:
            raise CronSimError("Five fields are needed: minute, hour, day, month, weekday")
        for moment in CronSim(spec.cron, after.astimezone(_zone(spec.time_zone))):
            # Within the second of two equal hours the library begins anew at the first of them.
            if (found := moment.astimezone(UTC)) > after:
                return found
    except (CronSimError, OverflowError) as error:
        raise InvalidRequest(f"`/cron` is not valid: {error}.", pointer="/cron") from None
    raise InvalidRequest("`/cron` names a time that never comes.", pointer="/cron")


def latest_fire(spec: ScheduleSpec, known: datetime, now: datetime) -> datetime:
    """The last fire up to `now`, of those that begin with `known` (which is not later): earlier ones were missed."""
    second = now.replace(microsecond=0) + timedelta(seconds=1)
    back = next(CronSim(spec.cron, second.astimezone(_zone(spec.time_zone)), reverse=True), None)
    latest = known if back is None or back.astimezone(UTC) > now else max(known, back.astimezone(UTC))
    # Around a change of the clocks, backwards and forwards may differ: forwards counts.
    while (later := next_fire(spec, latest)) <= now:
        latest = later
    return latest


def _zone(name: str) -> ZoneInfo:
    try:
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    raise InvalidRequest(f"`/time_zone` must be a name of the IANA database, not {name!r}.", pointer="/time_zone")
