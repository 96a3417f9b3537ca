"""From what programs say of the runs that they execute to the domain: pure (vertesia.md 1.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from perdure.domain.errors import Conflict, InvalidRequest
from perdure.domain.principal import Principal
from perdure.domain.run import Executor, Kind, Status
from perdure.domain.stored_run import About, Origin, Run, RunSpec, Visibility
from perdure.http.agents.mapping import source_of
from perdure.services.runs import RunRequest

MERGED: Final = ("properties",)
"""What is merged into what is known, member by member; everything else takes its place."""

_FACTS: Final = (
    "lessons_learned", "properties", "disabled_mcp_collections", "tool_approval_mode", "archive_state", "archived_at",
    "archive_version", "last_archive_error", "model", "effort", "activity_state",
)  # fmt: skip
_PROCESS: Final = ("process_state", "sequence")
_TARGETS: Final = MappingProxyType(
    {
        "running": Status.RUNNING,
        "completed": Status.COMPLETED,
        "failed": Status.FAILED,
        "cancelled": Status.CANCELLED,
    }
)


def record_request(body: Mapping[str, Any], principal: Principal, client_ip: str) -> RunRequest:
    """What a POST …/record body asks for. Recorded twice, an execution is one run."""
    execution = msgspec.json.encode([body["workflow_id"], body["first_workflow_run_id"]])
    said = {name: body[name] for name in ("interaction", "workstream_id", "type") if name in body}
    profile = {
        name: body[name]
        for name in ("workflow_id", "first_workflow_run_id", "generate_topic", "generate_lessons")
        if name in body
    }
    return RunRequest(
        kind=Kind.AGENT,
        owner_kind="project",
        owner_id=principal.project_id,
        fingerprint=hashlib.sha256(msgspec.json.encode(body, order="deterministic")).digest(),
        agent_id=body["interaction"].partition("@")[0] or body["interaction"],
        idempotency_key=f"record:{hashlib.sha256(execution).hexdigest()}",
        parent_run_id=body.get("parent_run_id"),
        initial_status=Status.RUNNING,
        spec=RunSpec(
            interactive=True,
            agent_run={**said, "config": {}, "source": source_of(principal, client_ip)},
            origin=Origin(trigger_kind="api", schedule_id=body.get("schedule_id")),
        ),
        input=msgspec.json.encode({"data": body.get("data", {})}),
        created_by=principal.subject,
        about=About(
            visibility=Visibility(body.get("visibility", Visibility.PROJECT)),
            title=body.get("title"),
            topic=body.get("topic"),
            profile=msgspec.json.encode(profile).decode(),
        ),
    )


def target_status(body: Mapping[str, Any]) -> Status | None:
    """The status that a body asks for; None where it asks for none, or for the one with which a run begins."""
    return _TARGETS.get(body.get("status", ""))


def facts_of(run: Run, body: Mapping[str, Any]) -> dict[str, object]:
    """What a body says of a run beside its status and its names. Raises InvalidRequest, and Conflict for an activity
    that this server knows better."""
    for name in _PROCESS:
        if name in body:
            raise InvalidRequest(f"This is not a process run: `/{name}` says nothing of it.", pointer=f"/{name}")
    if "archived_at" in body:
        _check_time(body["archived_at"])
    if "activity_state" in body and run.executor is not Executor.CALLER:
        raise Conflict("A worker of this server executes the run: whether it works or waits is known from it.")
    facts = {name: body[name] for name in _FACTS if name in body}
    return {**facts, **({"search_content": body["content"]} if "content" in body else {})}


def binding_of(run: Run, body: Mapping[str, Any]) -> dict[str, object]:
    """What a POST …/workflow body says: the ids of what executes a run. Raises what `facts_of` raises."""
    bound = {name: body[name] for name in ("workflow_id", "first_workflow_run_id")}
    return {**bound, **facts_of(run, body)}


def _check_time(value: str) -> None:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise InvalidRequest("`/archived_at` must be a time in ISO 8601.", pointer="/archived_at") from None
