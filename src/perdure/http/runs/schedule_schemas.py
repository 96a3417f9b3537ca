"""What a schedule's callers send and get (veryfront.md 1.10): JSON Schemas, which are published, and structs."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from perdure.domain.run import Kind
from perdure.domain.schedule import (
    MAX_CRON,
    MAX_ZONE,
    Concurrency,
    ScheduleStatus,
)
from perdure.domain.target import RunTarget
from perdure.http.json_schema import JsonSchema, choice, free_object, integer, members, nullable, text, uuid
from perdure.http.runs.target_schemas import TargetView, limit_schema, target_schema
from perdure.http.schema_check import SchemaCheck

DEFAULT_TIMEOUT_SECONDS: Final = 3600
_KINDS: Final = (Kind.TASK, Kind.WORKFLOW, Kind.AGENT)
_SETTABLE: Final = (ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED)


class CreateBody(msgspec.Struct, frozen=True):
    """POST …/schedules. JSON Schema counts 60.0 as an integer, so a number is read as a float."""

    name: str
    cron: str
    target: RunTarget
    time_zone: str = "UTC"
    concurrency: Concurrency = Concurrency.ALLOW
    max_runs: float | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    input: dict[str, object] | None = None
    config: dict[str, object] | None = None
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    source_trigger_id: str | None = None


class ChangeBody(msgspec.Struct, frozen=True):
    """PATCH …/schedules/{schedule_id}: what is absent stays."""

    name: str | UnsetType = UNSET
    cron: str | UnsetType = UNSET
    target: RunTarget | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    concurrency: Concurrency | UnsetType = UNSET
    max_runs: float | UnsetType | None = UNSET
    timeout_seconds: float | UnsetType = UNSET
    input: dict[str, object] | UnsetType | None = UNSET
    config: dict[str, object] | UnsetType | None = UNSET
    status: ScheduleStatus | UnsetType = UNSET


class TriggerBody(msgspec.Struct, frozen=True):
    """POST …/schedules/{schedule_id}/runs."""

    run_name: str
    idempotency_key: str


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule."""

    id: str
    project_id: str
    name: str
    status: ScheduleStatus
    cron: str
    time_zone: str
    concurrency: Concurrency
    max_runs: int | None
    run_count: int
    target: TargetView
    input: dict[str, object] | None
    config: dict[str, object] | None
    definition_source: str
    source_trigger_id: str | None
    timeout_seconds: int
    next_fire_at: str | None
    last_fire_at: str | None
    last_run_id: str | None
    last_error: str | None
    created_by: str | None
    created_at: str
    updated_at: str


def _changeable() -> dict[str, JsonSchema]:
    return {
        "name": text(1, 200),
        "cron": text(9, MAX_CRON, description="Minute, hour, day of the month, month, weekday."),
        "target": target_schema(*_KINDS, closed=True),
        "time_zone": text(1, MAX_ZONE, description="A name of the IANA database. UTC where it is not said."),
        "concurrency": choice(
            *Concurrency, description="What a fire does while earlier runs go on: start, start nothing, or cancel them."
        ),
        "max_runs": nullable(limit_schema("It pauses after so many fires.")),
        "timeout_seconds": limit_schema("A run that takes longer, from its start, fails with code TIMEOUT."),
        "input": nullable(free_object("The input of its runs.")),
        "config": nullable(free_object("The config of its runs.")),
        "status": choice(*_SETTABLE),
    }


def create_schema() -> JsonSchema:
    """The schema of CreateBody."""
    known = {**_changeable(), "source_trigger_id": nullable(text(1, 200))}
    known["timeout_seconds"]["default"] = DEFAULT_TIMEOUT_SECONDS
    return members(known, required=("name", "cron", "target"))


def change_schema() -> JsonSchema:
    """The schema of ChangeBody."""
    return members(_changeable())


def trigger_schema() -> JsonSchema:
    """The schema of TriggerBody."""
    known = {"run_name": text(1, 200), "idempotency_key": text(1, 200)}
    return members(known, required=("run_name", "idempotency_key"))


CREATE: Final = SchemaCheck(create_schema())
CHANGE: Final = SchemaCheck(change_schema())
TRIGGER: Final = SchemaCheck(trigger_schema())


def schedule_schema() -> JsonSchema:
    """A schedule as it is answered."""
    known = {
        "id": uuid(),
        "project_id": uuid(),
        "name": text(1),
        "status": choice(*ScheduleStatus),
        "cron": text(1),
        "time_zone": text(1),
        "concurrency": choice(*Concurrency),
        "max_runs": nullable(integer(1)),
        "run_count": integer(0, description="How many runs the clock started."),
        "target": target_schema(*_KINDS, closed=False),
        "input": nullable(free_object()),
        "config": nullable(free_object()),
        "definition_source": choice("manual", "source"),
        "source_trigger_id": nullable(text()),
        "timeout_seconds": integer(1),
        "next_fire_at": nullable(text()),
        "last_fire_at": nullable(text()),
        "last_run_id": nullable(text()),
        "last_error": nullable(text(description="Why the last fire has no run.")),
        "created_by": nullable(text()),
        "created_at": text(),
        "updated_at": text(),
    }
    return members(known, required=tuple(known), closed=False)
