"""Between the canonical runs dialect and the domain: pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType

from perdure.domain.artifact import Artifact
from perdure.domain.conversation import RunPolicy
from perdure.domain.errors import InvalidRequest
from perdure.domain.message import parse_messages
from perdure.domain.run import Kind, Status, Waiting
from perdure.domain.scheduling import UNSCHEDULED, Scheduling
from perdure.domain.stored_run import Origin, Run, RunSpec, Targets
from perdure.http.pagination import PageInfo, encode_cursor
from perdure.http.runs.create_body import AgentVariant, ConversationMode, CreateRunBody, OwnerKind
from perdure.http.runs.schemas import (
    Accepted,
    CanonicalRun,
    ErrorView,
    OpenCall,
    Owner,
    ProjectionHead,
    RunPage,
    WaitingView,
)
from perdure.services.events import Page
from perdure.services.runs import Created, RunRequest

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TRIGGER_KIND: Final = "api"


# --- requests ------------------------------------------------------------------------------------


def run_request(
    body: CreateRunBody,
    *,
    idempotency_key: str | None,
    created_by: str,
    policy: RunPolicy | None = None,
    scheduling: Scheduling = UNSCHEDULED,
) -> RunRequest:
    """What a POST /runs body and query ask for. Raises InvalidRequest for what the schema cannot say."""
    conversation_id, new_conversation = _conversation(body)
    return RunRequest(
        kind=body.kind,
        owner_kind=body.owner_kind,
        owner_id=body.owner_id,
        fingerprint=fingerprint_of(body, scheduling),
        agent_id=body.agent_id,
        target=body.target,
        public_id=_public_id(body),
        idempotency_key=idempotency_key,
        parent_run_id=body.parent_run_id,
        initial_status=None if body.initial_status is None else Status(body.initial_status),
        conversation_id=conversation_id,
        new_conversation=new_conversation,
        batch_id=body.batch_id,
        spec=_spec(body),
        input=_input(body),
        created_by=created_by,
        conversation_policy=policy,
        scheduling=scheduling,
    )


def fingerprint_of(body: object, scheduling: Scheduling) -> bytes:
    """A hash of a whole request: its body, and its query where that says anything."""
    said = body if scheduling == UNSCHEDULED else (body, scheduling)
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).digest()


def _conversation(body: CreateRunBody) -> tuple[UUID | None, bool]:
    """The conversation that a run writes to, and whether it is made with the run.

    An agent run that names none gets a new one, unless it asks for `none`: the conversation routes work for it then.
    """
    owner = body.owner_id if body.owner_kind is OwnerKind.CONVERSATION else None
    named = body.conversation_id or owner
    if body.conversation_mode is ConversationMode.EXISTING:
        named = named or body.trigger_conversation_id
        if named is None:
            detail = 'Add `/conversation_id`: with conversation_mode "existing" the run needs a conversation.'
            raise InvalidRequest(detail, pointer="/conversation_id")
    mode = body.conversation_mode
    unsaid = mode is None and named is None and body.kind is Kind.AGENT
    return named, unsaid or mode is ConversationMode.CREATE_NEW


def _public_id(body: CreateRunBody) -> str | None:
    """The id that the caller chose; the second phase of a two-phase start names it once more (veryfront.md 1.2)."""
    started = None if body.durable_root_run is None else body.durable_root_run.run_id
    if body.public_id is not None and started is not None and started != body.public_id:
        pointer = "/request/input/durable_root_run/run_id"
        raise InvalidRequest(f"`{pointer}` must be the public_id: a request starts its own run.", pointer=pointer)
    return body.public_id or started


def _input(body: CreateRunBody) -> bytes | None:
    if body.input is None:
        return None
    if body.variant is AgentVariant.HOSTED:
        parse_messages(body.input["messages"], "/request/input/messages")
    return msgspec.json.encode(body.input)


def _spec(body: CreateRunBody) -> RunSpec:
    return RunSpec(
        name=body.name,
        workflow_id=body.workflow_id,
        implementation_kind=body.implementation_kind,
        worker_key=body.worker_key,
        start_mode=body.start_mode,
        timeout_seconds=body.timeout_seconds,
        backoff_limit=body.backoff_limit,
        config=None if body.config is None else dict(body.config),
        targets=Targets(
            source_kind=body.source_target_kind,
            source_environment_id=_text(body.source_target_environment_id),
            source_branch_id=_text(body.source_target_branch_id),
            source_release_version=body.source_target_release_version,
            runtime_kind=body.runtime_target_kind,
            runtime_environment_id=_text(body.runtime_target_environment_id),
            runtime_branch_id=_text(body.runtime_target_branch_id),
        ),
        origin=Origin(
            trigger_kind=_TRIGGER_KIND,
            conversation_id=_text(body.trigger_conversation_id),
            message_id=_text(body.trigger_message_id),
            tool_call_id=body.trigger_tool_call_id,
        ),
    )


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


# --- answers -------------------------------------------------------------------------------------


def accepted(created: Created) -> Accepted:
    """The answer of POST /runs."""
    run = created.run
    return Accepted(
        True, canonical(run, held_by=created.held_by), created.duplicate, run.conversation_id, run.message_id
    )


def canonical(
    run: Run,
    *,
    whole: bool = True,
    artifacts: Iterable[Artifact] = (),
    logs: str | None = None,
    held_by: str | None = None,
) -> CanonicalRun:
    """A run in the canonical form; in lists not `whole`: without its input, config and output, which may be large.

    `artifacts`: its files, `logs`: what its process said; `held_by`: the run that it waits for in its
    conversation. They are answered where one run is read.
    """
    spec, origin, targets = run.spec, run.spec.origin, run.spec.targets
    return CanonicalRun(
        run_id=run.run_id,
        kind=run.kind,
        status=run.status,
        owner=Owner(run.owner_kind, run.owner_id),
        parent_run_id=run.parent_run_id,
        root_run_id=run.root_run_id,
        waiting_reason=run.waiting.reason if run.waiting else None,
        target=run.target,
        workflow_id=spec.workflow_id,
        schedule_id=origin.schedule_id,
        batch_id=run.batch_id,
        runtime_target_kind=targets.runtime_kind,
        runtime_target_environment_id=targets.runtime_environment_id,
        runtime_target_branch_id=targets.runtime_branch_id,
        metadata=_raw(run.metadata),
        input=_raw(run.input) if whole else UNSET,
        config=spec.config if whole and spec.config is not None else UNSET,
        output=_raw(run.output) if whole else UNSET,
        error=None if run.error is None else ErrorView(run.error.message, run.error.code or UNSET),
        logs=logs,
        artifacts=tuple(map(artifact_view, artifacts)),
        duration_ms=_duration(run),
        exit_code=_exit_code(run),
        start_mode=spec.start_mode,
        timeout_seconds=spec.timeout_seconds,
        backoff_limit=spec.backoff_limit,
        trigger_kind=origin.trigger_kind,
        trigger_id=origin.trigger_id,
        created_by=run.created_by,
        updated_at=iso(run.updated_at),
        created_at=iso(run.created_at),
        started_at=iso_or_none(run.started_at),
        completed_at=iso_or_none(run.completed_at),
        agent_id=run.agent_id,
        project_id=run.project_id,
        conversation_id=run.conversation_id,
        message_id=run.message_id,
        attempt=run.attempt,
        cancelling=run.cancelling,
        waiting=None if run.waiting is None else _waiting(run.waiting),
        latest_event_id=run.latest_event_id,
        tags=run.tags,
        held_by=held_by,
        priority=run.scheduling.priority,
        run_after=iso_or_none(run.scheduling.run_after),
        deadline=iso_or_none(run.scheduling.deadline),
    )


def artifact_view(artifact: Artifact) -> dict[str, object]:
    """A file in a run's `artifacts` (veryfront.md 1.4, 6)."""
    kind = {"kind": "eval-report"} if artifact.path.startswith("evals/reports/") else {}
    return {**kind, "path": artifact.path, "contentType": artifact.content_type, "size": artifact.size}


def run_page(runs: list[Run], limit: int, cursor: str | None) -> RunPage:
    """A page of at most `limit` of the runs; one more among them says that another page follows."""
    shown = runs[:limit]
    following = encode_cursor(shown[-1].created_at, shown[-1].run_id) if len(runs) > limit else None
    return RunPage(tuple(canonical(run, whole=False) for run in shown), PageInfo(cursor, following))


def projection_head(run: Run) -> bytes:
    """A run as its conversation sees it, as a JSON object that `with_counters` completes."""
    origin, targets = run.spec.origin, run.spec.targets
    spawned = run.spawned_from or Origin()
    call = run.waiting.calls[0] if run.waiting and run.waiting.calls else None
    head = ProjectionHead(
        run_id=run.run_id,
        conversation_id=run.conversation_id,
        message_id=run.message_id,
        project_id=run.project_id,
        requested_by_user_id=run.created_by,
        agent_id=run.agent_id,
        status="waiting_for_tool" if run.status is Status.WAITING else run.status,
        runtime_target_kind=targets.runtime_kind,
        created_at=iso(run.created_at),
        source_target_kind=targets.source_kind,
        source_target_environment_id=targets.source_environment_id,
        source_target_branch_id=targets.source_branch_id,
        runtime_target_environment_id=targets.runtime_environment_id,
        runtime_target_branch_id=targets.runtime_branch_id,
        parent_conversation_id=spawned.conversation_id,
        parent_run_id=run.parent_run_id,
        spawned_from_message_id=spawned.message_id,
        spawned_from_tool_call_id=spawned.tool_call_id,
        input_anchor_message_id=origin.message_id if run.spawned_from is None else None,
        handoff_message_id=None,
        resolved_deployment_id=None,
        waiting_tool_call_id=call.id if call else None,
        waiting_tool_name=call.name if call else None,
        terminal_error_code=run.error.code if run.error else None,
        terminal_error_message=run.error.message if run.error else None,
        started_at=iso_or_none(run.started_at),
        finished_at=iso_or_none(run.completed_at),
        metadata=None if run.metadata is None else Raw(run.metadata),
    )
    return msgspec.json.encode(head)


def with_counters(head: bytes, latest_event_id: int, latest_external_sequence: int) -> bytes:
    """A projection, whole."""
    return b'%b,"latest_event_id":%d,"latest_external_event_sequence":%d}' % (
        head[:-1],
        latest_event_id,
        latest_external_sequence,
    )


def projection_page(runs: list[Run], limit: int, cursor: str | None) -> bytes:
    """A page of at most `limit` of the runs as their conversations see them, as JSON."""
    shown = runs[:limit]
    following = encode_cursor(shown[-1].created_at, shown[-1].run_id) if len(runs) > limit else None
    info = msgspec.json.encode(PageInfo(cursor, following))
    return b'{"data":[%b],"page_info":%b}' % (b",".join(map(projection, shown)), info)


def projection(run: Run) -> bytes:
    """A run as its conversation sees it (veryfront.md 1.4), as JSON."""
    return with_counters(projection_head(run), run.latest_event_id, run.latest_external_sequence)


def events_page(page: Page, after: int, member: str) -> bytes:
    """A page of events after a cursor, as JSON; the events stand in it as they were stored, under `member`."""
    items: list[str] = []
    last = after
    for row in page.rows:
        for offset, (kind, line) in enumerate(zip(row.types, row.lines(), strict=True)):
            last = row.first_event_id + offset
            items.append(
                f'{{"event_id":{last},"event_type":{msgspec.json.encode(kind).decode()},"{member}":{line},'
                f'"created_at":"{iso(_EPOCH + timedelta(milliseconds=row.first_ts + offset))}"}}'
            )
    info = msgspec.json.encode(PageInfo(str(after), str(last) if page.more else None)).decode()
    return f'{{"data":[{",".join(items)}],"page_info":{info}}}'.encode()


def iso(moment: datetime) -> str:
    """A time as the dialect writes it: ISO 8601 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def iso_or_none(moment: datetime | None) -> str | None:
    """A time that there may not be, as the dialect writes it."""
    return None if moment is None else iso(moment)


def _duration(run: Run) -> int | None:
    """Milliseconds from start to end, a whole number (veryfront.md 1.4)."""
    if run.started_at is None or run.completed_at is None:
        return None
    return max(0, (run.completed_at - run.started_at) // timedelta(milliseconds=1))


def _exit_code(run: Run) -> int | None:
    """That of a task's process, which its executor has left in the metadata."""
    if run.kind is not Kind.TASK or run.metadata is None or run.status not in (Status.COMPLETED, Status.FAILED):
        return None
    return msgspec.json.decode(run.metadata, type=_Exited).exit_code


class _Exited(msgspec.Struct):
    exit_code: int | None = None


def _raw(stored: str | None) -> Raw | UnsetType:
    return UNSET if stored is None else Raw(stored)


def _waiting(waiting: Waiting) -> WaitingView:
    return WaitingView(waiting.reason, tuple(OpenCall(call.id, call.name, call.reason) for call in waiting.calls))
