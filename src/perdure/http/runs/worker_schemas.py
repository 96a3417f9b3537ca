"""What external workers send and get (veryfront.md 1.7): JSON Schemas, which are published, and structs."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from perdure.domain.external_worker import (
    DEFAULT_LEASE_SECONDS,
    MAX_LEASE_SECONDS,
    MAX_WAIT_SECONDS,
    MIN_LEASE_SECONDS,
    SessionStatus,
)
from perdure.domain.run import Status
from perdure.http.json_schema import (
    JsonSchema,
    anything,
    array,
    choice,
    free_object,
    integer,
    members,
    nullable,
    text,
    uuid,
)
from perdure.http.schema_check import SchemaCheck

KIND: Final = "^[a-zA-Z0-9_-]+$"
KEY: Final = "^[a-zA-Z0-9_.:-]+$"
_TARGETS: Final = (
    "source_target_kind",
    "source_target_environment_id",
    "source_target_branch_id",
    "source_target_release_version",
    "runtime_target_kind",
    "runtime_target_environment_id",
    "runtime_target_branch_id",
)


class RegisterBody(msgspec.Struct, frozen=True):
    """POST /agent-workers/projects/{ref}/workers."""

    implementation_kind: str
    worker_key: str
    implementation_display_name: str | None = None
    display_name: str | None = None
    metadata: dict[str, object] | None = None


class LeaseBody(msgspec.Struct, frozen=True):
    """POST …/claim and …/lease. Seconds; JSON Schema counts 60.0 as an integer."""

    lease_duration_seconds: float = DEFAULT_LEASE_SECONDS
    wait_seconds: float = 0


class SessionBody(msgspec.Struct, frozen=True):
    """PUT …/session."""

    session_key: str
    status: SessionStatus = SessionStatus.ACTIVE
    metadata: dict[str, object] | None = None


class WorkerView(msgspec.Struct, frozen=True):
    """A worker."""

    id: str
    project_id: str
    implementation_kind: str
    implementation_display_name: str | None
    worker_key: str
    display_name: str | None
    status: str
    metadata: Raw | None
    last_heartbeat_at: str
    created_at: str


class SessionView(msgspec.Struct, frozen=True):
    """A worker's session with a run."""

    id: str
    run_id: str
    implementation_kind: str
    worker_id: str
    session_key: str
    status: str
    metadata: Raw | None
    created_at: str
    updated_at: str
    ended_at: str | None


class MessageView(msgspec.Struct, frozen=True, rename="camel"):
    """A message of a request snapshot."""

    id: str
    role: str
    parts: Raw | list[Any]
    metadata: Raw | UnsetType = UNSET
    created_at: str | UnsetType = UNSET


class SnapshotView(msgspec.Struct, frozen=True, rename="camel"):
    """What a run is asked to do."""

    messages: list[MessageView]
    tools: list[Any]
    context: list[Any]
    forwarded_props: dict[str, Any] | UnsetType = UNSET


class ClaimedRunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a worker's hands."""

    run_id: str
    conversation_id: str | None
    message_id: str | None
    project_id: str
    agent_id: str | None
    status: str
    request_snapshot: SnapshotView
    source_target_kind: str | None
    source_target_environment_id: str | None
    source_target_branch_id: str | None
    source_target_release_version: str | None
    runtime_target_kind: str | None
    runtime_target_environment_id: str | None
    runtime_target_branch_id: str | None
    latest_event_id: int
    latest_external_event_sequence: int
    lease_owner: str
    lease_expires_at: str
    worker_session: SessionView | None
    attempt: int
    fence: int


def register_schema() -> JsonSchema:
    """The schema of RegisterBody."""
    return members(
        {
            "implementation_kind": text(1, 64, pattern=KIND, description="Which runs it takes."),
            "implementation_display_name": nullable(text(max_length=255)),
            "worker_key": text(1, 128, pattern=KEY, description="It gets the runs that name this key, too."),
            "display_name": nullable(text(max_length=255)),
            "metadata": nullable(free_object()),
        },
        required=("implementation_kind", "worker_key"),
    )


def lease_schema() -> JsonSchema:
    """The schema of LeaseBody for a renewal."""
    return members({"lease_duration_seconds": _lease()})


def claim_schema() -> JsonSchema:
    """The schema of LeaseBody for a claim."""
    wait = {
        **integer(0, description="How long the answer may wait for work."),
        "maximum": MAX_WAIT_SECONDS,
        "default": 0,
    }
    return members({"lease_duration_seconds": _lease(), "wait_seconds": wait})


def _lease() -> JsonSchema:
    return {**integer(MIN_LEASE_SECONDS), "maximum": MAX_LEASE_SECONDS, "default": DEFAULT_LEASE_SECONDS}


def session_schema() -> JsonSchema:
    """The schema of SessionBody."""
    return members(
        {
            "session_key": text(1, 512),
            "status": choice(*SessionStatus),
            "metadata": nullable(free_object("Unset or null: what was there stays.")),
        },
        required=("session_key",),
    )


REGISTER: Final = SchemaCheck(register_schema())
CLAIM: Final = SchemaCheck(claim_schema())
LEASE: Final = SchemaCheck(lease_schema())
SESSION: Final = SchemaCheck(session_schema())


# --- answers -------------------------------------------------------------------------------------


def worker_schema() -> JsonSchema:
    """A worker."""
    known = {
        "id": uuid(),
        "project_id": uuid(),
        "implementation_kind": text(1),
        "implementation_display_name": nullable(text()),
        "worker_key": text(1),
        "display_name": nullable(text()),
        "status": choice("active"),
        "metadata": nullable(free_object()),
        "last_heartbeat_at": text(),
        "created_at": text(),
    }
    return members(known, required=tuple(known), closed=False)


def worker_session_schema() -> JsonSchema:
    """A worker's session with a run."""
    known = {
        "id": uuid(),
        "run_id": text(1),
        "implementation_kind": text(1),
        "worker_id": uuid(),
        "session_key": text(1),
        "status": choice(*SessionStatus),
        "metadata": nullable(free_object()),
        "created_at": text(),
        "updated_at": text(),
        "ended_at": nullable(text()),
    }
    return members(known, required=tuple(known), closed=False)


def claimed_run_schema() -> JsonSchema:
    """A run in a worker's hands, or null."""
    known = {
        "run_id": text(1),
        "conversation_id": nullable(uuid()),
        "message_id": nullable(uuid()),
        "project_id": uuid(),
        "agent_id": nullable(text()),
        "status": choice(*Status),
        "request_snapshot": _snapshot_schema(),
        **{name: nullable(text()) for name in _TARGETS},
        "latest_event_id": integer(0),
        "latest_external_event_sequence": integer(0),
        "lease_owner": text(1, description="The worker's id."),
        "lease_expires_at": text(),
        "worker_session": nullable(worker_session_schema()),
        "attempt": integer(1, description="How often the run was started."),
        "fence": integer(1, description="Send it as X-Perdure-Fence to have nothing stored once the lease is lost."),
    }
    return nullable(members(known, required=tuple(known), closed=False))


def _snapshot_schema() -> JsonSchema:
    part = members({"type": text(1)}, required=("type",), closed=False)
    message = members(
        {"id": text(1), "role": text(1), "parts": array(part), "metadata": free_object(), "createdAt": text()},
        required=("id", "role", "parts"),
        closed=False,
    )
    known = {"messages": array(message), "tools": array(anything()), "context": array(anything())}
    return members({**known, "forwardedProps": free_object()}, required=tuple(known), closed=False)
