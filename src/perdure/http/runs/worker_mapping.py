"""Between external workers' dialect and the domain: pure functions."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from perdure.domain.conversation import StoredMessage
from perdure.domain.external_worker import ClaimedRun, ExternalWorker, WorkerSession
from perdure.domain.message import parse_messages
from perdure.http.runs.mapping import iso
from perdure.http.runs.worker_schemas import (
    ClaimedRunView,
    MessageView,
    RegisterBody,
    SessionView,
    SnapshotView,
    WorkerView,
)
from perdure.services.external_workers import Registration


def registration(body: RegisterBody) -> Registration:
    """What a worker says of itself."""
    return Registration(
        implementation_kind=body.implementation_kind,
        worker_key=body.worker_key,
        implementation_display_name=body.implementation_display_name,
        display_name=body.display_name,
        metadata=json_or_none(body.metadata),
    )


def json_or_none(value: dict[str, object] | None) -> str | None:
    """A member as JSON text."""
    return None if value is None else msgspec.json.encode(value).decode()


def worker_view(worker: ExternalWorker) -> WorkerView:
    """A worker as it is answered."""
    return WorkerView(
        id=str(worker.id),
        project_id=str(worker.project_id),
        implementation_kind=worker.implementation_kind,
        implementation_display_name=worker.implementation_display_name,
        worker_key=worker.worker_key,
        display_name=worker.display_name,
        status="active",
        metadata=_raw(worker.metadata),
        last_heartbeat_at=iso(worker.last_heartbeat_at),
        created_at=iso(worker.created_at),
    )


def session_view(session: WorkerSession) -> SessionView:
    """A session as it is answered."""
    return SessionView(
        id=str(session.id),
        run_id=session.run_id,
        implementation_kind=session.implementation_kind,
        worker_id=str(session.worker_id),
        session_key=session.session_key,
        status=session.status,
        metadata=_raw(session.metadata),
        created_at=iso(session.created_at),
        updated_at=iso(session.updated_at),
        ended_at=None if session.ended_at is None else iso(session.ended_at),
    )


def claimed_view(claimed: ClaimedRun | None) -> ClaimedRunView | None:
    """A claimed run as it is answered."""
    if claimed is None:
        return None
    run, targets = claimed.run, claimed.run.spec.targets
    return ClaimedRunView(
        run_id=run.run_id,
        conversation_id=_text(run.conversation_id),
        message_id=_text(run.message_id),
        project_id=str(run.project_id),
        agent_id=run.agent_id,
        status=run.status,
        request_snapshot=_snapshot(claimed),
        source_target_kind=targets.source_kind,
        source_target_environment_id=targets.source_environment_id,
        source_target_branch_id=targets.source_branch_id,
        source_target_release_version=targets.source_release_version,
        runtime_target_kind=targets.runtime_kind,
        runtime_target_environment_id=targets.runtime_environment_id,
        runtime_target_branch_id=targets.runtime_branch_id,
        latest_event_id=run.latest_event_id,
        latest_external_event_sequence=run.latest_external_sequence,
        lease_owner=claimed.lease_owner,
        lease_expires_at=iso(claimed.lease_expires_at),
        worker_session=None if claimed.session is None else session_view(claimed.session),
        attempt=run.attempt,
        fence=run.fence,
    )


def _snapshot(claimed: ClaimedRun) -> SnapshotView:
    """What the run is asked to do: its own input, and without messages there, what the conversation says before it."""
    asked: dict[str, Any] = {} if claimed.run.input is None else msgspec.json.decode(claimed.run.input)
    given = asked.get("messages")
    context = asked.get("context", [])
    return SnapshotView(
        messages=[_past(message) for message in claimed.messages] if not given else _given(claimed.run.run_id, given),
        tools=asked.get("tools", []),
        context=context if isinstance(context, list) else [context],
        forwarded_props=asked.get("forwarded_props", UNSET),
    )


def _past(message: StoredMessage) -> MessageView:
    return MessageView(
        id=str(message.id),
        role=message.role,
        parts=Raw(message.parts),
        metadata=UNSET if message.metadata is None else Raw(message.metadata),
        created_at=iso(message.created_at),
    )


def _given(run_id: str, messages: list[object]) -> list[MessageView]:
    return [
        MessageView(id=message.id or f"{run_id}-{index}", role=message.role, parts=list(message.parts))
        for index, message in enumerate(parse_messages(messages, "/request/input/messages"))
    ]


def _raw(stored: str | None) -> Raw | None:
    return None if stored is None else Raw(stored)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
