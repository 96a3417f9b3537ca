"""What the canonical runs dialect answers, as structs; `response_schemas.py` describes the same for /openapi.json."""

from __future__ import annotations

from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType

from perdure.domain.run import Kind, Status, WaitingReason
from perdure.http.pagination import PageInfo


class Owner(msgspec.Struct, frozen=True):
    """What a run belongs to."""

    kind: str
    id: UUID


class ErrorView(msgspec.Struct, frozen=True):
    """Why a run failed or was cancelled."""

    message: str
    code: str | UnsetType = UNSET


class OpenCall(msgspec.Struct, frozen=True):
    """A tool call that a waiting run wants answered: what POST /runs/{run_id}/resume needs to know."""

    tool_call_id: str
    tool_name: str
    reason: WaitingReason


class WaitingView(msgspec.Struct, frozen=True):
    """What a waiting run waits for."""

    reason: WaitingReason
    calls: tuple[OpenCall, ...]


class CanonicalRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as GET /runs/{run_id} answers it (seed 002, veryfront.md 1.4).

    What follows `completed_at` is ours. Members that are unset are absent.
    """

    run_id: str
    kind: Kind
    status: Status
    owner: Owner
    parent_run_id: str | None
    root_run_id: str
    waiting_reason: WaitingReason | None
    target: str | None
    workflow_id: str | None
    schedule_id: str | None
    batch_id: UUID | None
    runtime_target_kind: str | None
    runtime_target_environment_id: str | None
    runtime_target_branch_id: str | None
    metadata: Raw | UnsetType
    input: Raw | UnsetType
    config: dict[str, object] | UnsetType
    output: Raw | UnsetType
    error: ErrorView | None
    logs: str | None
    artifacts: tuple[object, ...]
    duration_ms: int | None
    exit_code: int | None
    start_mode: str | None
    timeout_seconds: int | None
    backoff_limit: int | None
    trigger_kind: str | None
    trigger_id: str | None
    created_by: str | None
    updated_at: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    agent_id: str | None
    project_id: UUID
    conversation_id: UUID | None
    message_id: UUID | None
    attempt: int
    cancelling: bool
    waiting: WaitingView | None
    latest_event_id: int
    tags: tuple[str, ...]
    held_by: str | None
    priority: int
    run_after: str | None
    deadline: str | None


class ProjectionHead(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its conversation sees it (seed 003, veryfront.md 1.4), but for the counters, which each append moves."""

    run_id: str
    conversation_id: UUID | None
    message_id: UUID | None
    project_id: UUID
    requested_by_user_id: str | None
    agent_id: str | None
    status: str
    runtime_target_kind: str | None
    created_at: str
    source_target_kind: str | None
    source_target_environment_id: str | None
    source_target_branch_id: str | None
    runtime_target_environment_id: str | None
    runtime_target_branch_id: str | None
    parent_conversation_id: str | None
    parent_run_id: str | None
    spawned_from_message_id: str | None
    spawned_from_tool_call_id: str | None
    input_anchor_message_id: str | None
    handoff_message_id: str | None
    resolved_deployment_id: str | None
    waiting_tool_call_id: str | None
    waiting_tool_name: str | None
    terminal_error_code: str | None
    terminal_error_message: str | None
    started_at: str | None
    finished_at: str | None
    metadata: Raw | None


class Accepted(msgspec.Struct, frozen=True):
    """The answer of POST /runs (seed 002)."""

    accepted: bool
    run: CanonicalRun
    duplicate: bool
    conversation_id: UUID | None
    message_id: UUID | None


class RunPage(msgspec.Struct, frozen=True):
    """A page of runs."""

    data: tuple[CanonicalRun, ...]
    page_info: PageInfo
