"""Runs that a schedule or a webhook starts (veryfront.md 1.10 and 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from perdure.domain.ids import ProjectId
from perdure.domain.run import Kind
from perdure.domain.stored_run import Origin, RunSpec
from perdure.domain.target import RunTarget, TargetMode
from perdure.services.runs import RunRequest


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a run starts. All requests with one `key` are the same request: they have one run, within a project."""

    key: str
    name: str
    origin: Origin
    created_by: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into the run; None where nothing is said."""

    input: dict[str, object] | None
    config: dict[str, object] | None
    timeout_seconds: int | None


def run_request(project_id: ProjectId, target: RunTarget, occasion: Occasion, content: Content) -> RunRequest:
    """The request for the run of an occasion. An agent always has an input, be it without messages."""
    agent = target.kind is Kind.AGENT
    given = {"messages": [], **(content.input or {})} if agent else content.input
    return RunRequest(
        kind=target.kind,
        owner_kind="project",
        owner_id=project_id,
        fingerprint=hashlib.sha256(occasion.key.encode()).digest(),
        agent_id=target.id if agent else None,
        target=None if agent else f"{target.kind}:{target.id.removeprefix(f'{target.kind}:')}",
        idempotency_key=occasion.key,
        conversation_id=target.conversation_id,
        new_conversation=agent and target.conversation_mode in (None, TargetMode.CREATE_NEW),
        spec=RunSpec(
            name=occasion.name,
            workflow_id=target.id if target.kind is Kind.WORKFLOW else None,
            timeout_seconds=content.timeout_seconds,
            config=content.config,
            origin=occasion.origin,
        ),
        input=None if given is None else msgspec.json.encode(given),
        created_by=occasion.created_by,
    )
