"""From the bytes of a POST /runs request to the typed value that the service layer takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Literal, assert_never
from uuid import UUID

import msgspec

from perdure.domain.errors import PayloadTooLarge
from perdure.domain.ids import ConversationId, MessageId, RunId
from perdure.domain.json_text import decode
from perdure.domain.run import Kind
from perdure.http.runs.create_schema import create_run_schema
from perdure.http.schema_check import SchemaCheck

SNAPSHOT_BYTES: Final = 2 * 1024 * 1024
"""A run's request, as compact JSON, must be smaller (veryfront.md 1.2)."""

BODY_BYTES: Final = 8 * SNAPSHOT_BYTES
"""A longer body is not looked at: even one that escapes every character is shorter."""

LARGEST_INTEGER: Final = 2**31 - 1
"""Larger values of `timeout_seconds` and `backoff_limit` mean the same as this one: 68 years, as good as no limit."""

_CHECK: Final = SchemaCheck(create_run_schema())


class OwnerKind(StrEnum):
    """What a run belongs to."""

    CONVERSATION = "conversation"
    PROJECT = "project"


class ConversationMode(StrEnum):
    """Which conversation an agent run writes to."""

    CREATE_NEW = "create_new"
    EXISTING = "existing"
    NONE = "none"


class AgentVariant(StrEnum):
    """The three forms of an agent run's request (seed 002)."""

    RUNTIME = "runtime"
    HOSTED = "hosted"
    PROJECT_STREAM = "project_stream"


@dataclass(frozen=True, slots=True)
class DurableRootRun:
    """The pending run that a second create starts, and the message that it writes (veryfront.md 1.2)."""

    run_id: RunId
    message_id: MessageId


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRunBody:
    """A valid POST /runs body, flattened; None stands for a member that is absent or null.

    `request` is the request as it came, for the run's snapshot. The `variant` and what follows it up to
    `initial_status` is for agents only; `agent_id` is never None then. `timeout_seconds` is in seconds.
    """

    kind: Kind
    owner_kind: OwnerKind
    owner_id: UUID
    request: Mapping[str, Any] = field(repr=False)
    public_id: RunId | None = None
    parent_run_id: RunId | None = None
    trigger_conversation_id: ConversationId | None = None
    trigger_message_id: MessageId | None = None
    trigger_tool_call_id: str | None = None
    conversation_mode: ConversationMode | None = None
    conversation_id: ConversationId | None = None

    variant: AgentVariant | None = None
    agent_id: str | None = None
    implementation_kind: str | None = None
    worker_key: str | None = None
    initial_status: Literal["pending", "running"] | None = None

    source_target_kind: str | None = None
    source_target_environment_id: UUID | None = None
    source_target_branch_id: UUID | None = None
    source_target_release_version: str | None = None
    runtime_target_kind: str | None = None
    runtime_target_environment_id: UUID | None = None
    runtime_target_branch_id: UUID | None = None

    input: Mapping[str, Any] | None = field(default=None, repr=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False)
    durable_root_run: DurableRootRun | None = None
    workflow_id: str | None = None
    target: str | None = None
    name: str | None = None
    batch_id: UUID | None = None
    timeout_seconds: int | None = None
    backoff_limit: int | None = None
    start_mode: str | None = None


def parse_create(body: bytes) -> CreateRunBody:
    """Reads and checks a POST /runs body.

    Raises InvalidRequest, which names the place and what belongs there, and PayloadTooLarge.
    """
    if len(body) > BODY_BYTES:
        raise PayloadTooLarge(f"The body of POST /runs must be less than {BODY_BYTES // 2**20} MB")
    document: Any = decode(body)
    _CHECK.check(document)
    kind, request = Kind(document["kind"]), document["request"]
    if len(body) >= SNAPSHOT_BYTES and len(msgspec.json.encode(request)) >= SNAPSHOT_BYTES:
        detail = f"{kind.capitalize()} run request snapshot payload must be less than 2 MB"
        raise PayloadTooLarge(detail, pointer="/request")
    return _with_request(_envelope(kind, document), request)


def _envelope(kind: Kind, document: dict[str, Any]) -> CreateRunBody:
    """What all kinds have in common."""
    owner, trigger = document["owner"], document.get("trigger", {})
    mode = document.get("conversation_mode")
    return CreateRunBody(
        kind=kind,
        owner_kind=OwnerKind(owner["kind"]),
        owner_id=UUID(owner["id"]),
        request=document["request"],
        public_id=document.get("public_id"),
        parent_run_id=document.get("parent_run_id"),
        trigger_conversation_id=_conversation(trigger, "conversation_id"),
        trigger_message_id=_message(trigger, "message_id"),
        trigger_tool_call_id=trigger.get("tool_call_id"),
        conversation_mode=None if mode is None else ConversationMode(mode),
        conversation_id=_conversation(document, "conversation_id"),
    )


def _with_request(run: CreateRunBody, request: dict[str, Any]) -> CreateRunBody:
    match run.kind:
        case Kind.AGENT:
            return _agent(run, request)
        case Kind.WORKFLOW | Kind.TASK | Kind.EVAL:
            return _job(run, request)
        case _:
            assert_never(run.kind)


def _agent(run: CreateRunBody, request: dict[str, Any]) -> CreateRunBody:
    if "agent_id" not in request:
        return _project_stream(run, request["input"])
    given = request.get("input")
    return replace(
        _with_runtime_target(run, request),
        variant=AgentVariant.RUNTIME if "implementation_kind" in request else AgentVariant.HOSTED,
        agent_id=request["agent_id"],
        implementation_kind=request.get("implementation_kind"),
        worker_key=request.get("worker_key"),
        initial_status=request.get("initial_status"),
        source_target_kind=request.get("source_target_kind"),
        source_target_environment_id=_uuid(request, "source_target_environment_id"),
        source_target_branch_id=_uuid(request, "source_target_branch_id"),
        source_target_release_version=request.get("source_target_release_version"),
        input=given,
        durable_root_run=None if given is None else _durable_root_run(given.get("durable_root_run")),
    )


def _project_stream(run: CreateRunBody, given: dict[str, Any]) -> CreateRunBody:
    """Its one pair of target ids serves both targets: the source takes the id that its kind asks for."""
    environment_id, branch_id = _uuid(given, "target_environment_id"), _uuid(given, "target_branch_id")
    source_kind = given.get("source_target_kind")
    return replace(
        run,
        variant=AgentVariant.PROJECT_STREAM,
        agent_id=given["agent_id"],
        source_target_kind=source_kind,
        source_target_environment_id=environment_id if source_kind == "environment" else None,
        source_target_branch_id=branch_id if source_kind == "preview_branch" else None,
        runtime_target_kind=given.get("runtime_target_kind"),
        runtime_target_environment_id=environment_id,
        runtime_target_branch_id=branch_id,
        input=given,
    )


def task_body(owner_id: UUID, request: dict[str, Any]) -> CreateRunBody:
    """A task of a project as POST /runs would have it, from a `request` that its schema has let through."""
    return _job(
        CreateRunBody(kind=Kind.TASK, owner_kind=OwnerKind.PROJECT, owner_id=owner_id, request=request), request
    )


def _job(run: CreateRunBody, request: dict[str, Any]) -> CreateRunBody:
    """A workflow, task or eval: their requests share one vocabulary, and the schema has let through only their own."""
    return replace(
        _with_runtime_target(run, request),
        workflow_id=request.get("workflow_id"),
        target=request["target"],
        name=request.get("name"),
        batch_id=_uuid(request, "batch_id"),
        input=request.get("input"),
        config=request.get("config"),
        timeout_seconds=_whole(request, "timeout_seconds"),
        backoff_limit=_whole(request, "backoff_limit"),
        start_mode=request.get("start_mode"),
    )


def _with_runtime_target(run: CreateRunBody, request: dict[str, Any]) -> CreateRunBody:
    return replace(
        run,
        runtime_target_kind=request.get("runtime_target_kind"),
        runtime_target_environment_id=_uuid(request, "runtime_target_environment_id"),
        runtime_target_branch_id=_uuid(request, "runtime_target_branch_id"),
    )


def _durable_root_run(value: dict[str, str] | None) -> DurableRootRun | None:
    if value is None:
        return None
    return DurableRootRun(RunId(value["run_id"]), MessageId(UUID(value["message_id"])))


def _uuid(members: Mapping[str, Any], name: str) -> UUID | None:
    value = members.get(name)
    return None if value is None else UUID(value)


def _conversation(members: Mapping[str, Any], name: str) -> ConversationId | None:
    value = _uuid(members, name)
    return None if value is None else ConversationId(value)


def _message(members: Mapping[str, Any], name: str) -> MessageId | None:
    value = _uuid(members, name)
    return None if value is None else MessageId(value)


def _whole(members: Mapping[str, Any], name: str) -> int | None:
    """JSON Schema counts 30.0 as an integer; here it becomes one."""
    value = members.get(name)
    return None if value is None else min(int(value), LARGEST_INTEGER)
