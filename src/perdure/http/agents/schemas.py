"""What the Agent Runs dialect answers (vertesia.md 2.2). What is not known is left out, never null."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, UnsetType

from perdure.http.agents.create_schema import (
    APPROVAL_MODES,
    SOURCE_TYPES,
    config_properties,
    content_type_schema,
    source_schema,
)
from perdure.http.json_schema import (
    JsonSchema,
    anything,
    array,
    boolean,
    choice,
    free_object,
    members,
    nullable,
    number,
    text,
)

STATUSES = ("created", "running", "completed", "failed", "cancelled")


class InteractionRef(msgspec.Struct, frozen=True):
    """The agent. Ours are code, which has no versions of its own here."""

    id: str
    name: str
    endpoint: str
    updated_at: str
    status: str = "code"
    version: int = 0
    tags: tuple[str, ...] = ()


class ResourceRef(msgspec.Struct, frozen=True):
    """Something by its name."""

    id: str
    name: str
    type: str


class AgentRunView(msgspec.Struct, frozen=True, kw_only=True):
    """An agent run. What creation said and the server only keeps is merged in by `mapping.agent_run`."""

    id: str
    account: str
    project: str
    interaction: str
    interaction_name: str
    interactionRef: InteractionRef
    environment: str
    run_kind: str = "agent"
    run_type: str = "autonomous"
    status: str
    started_by: str
    started_at: str
    created_at: str
    updated_at: str
    visibility: str
    interactive: bool
    config: dict[str, object]
    source: dict[str, object]
    source_type: str
    type: str
    tags: Sequence[str] | UnsetType = UNSET
    categories: Sequence[str] | UnsetType = UNSET
    model: str | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    activity_state: str | UnsetType = UNSET
    completed_at: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    topic: str | UnsetType = UNSET
    parent_run_id: str | UnsetType = UNSET
    schedule_id: str | UnsetType = UNSET
    forked_from: str | UnsetType = UNSET
    environmentRef: ResourceRef | UnsetType = UNSET


def agent_run_schema() -> JsonSchema:
    """An agent run."""
    time = text(description="ISO 8601 with milliseconds and `Z`.")
    required = {
        "id": text(1),
        "account": text(),
        "project": text(),
        "interaction": text(),
        "interaction_name": text(),
        "interactionRef": free_object("The agent."),
        "environment": text(),
        "run_kind": choice("agent"),
        "run_type": choice("autonomous"),
        "status": choice(*STATUSES),
        "started_by": text(description="`<type>:<id>` of who started it."),
        "started_at": time,
        "created_at": time,
        "updated_at": time,
        "visibility": choice("private", "project"),
        "interactive": boolean(),
        "config": members(config_properties()),
        "source": source_schema(),
        "source_type": choice(*SOURCE_TYPES),
        "type": choice(*SOURCE_TYPES),
    }
    words = array(text())
    optional = {
        **dict.fromkeys(("tags", "categories", "tool_names", "excluded_tools", "initial_skills"), words),
        **dict.fromkeys(("disabled_mcp_collections", "lessons_learned"), words),
        **dict.fromkeys(("model", "name", "title", "topic", "collection_id", "schedule_id"), text()),
        **dict.fromkeys(("parent_run_id", "forked_from", "workstream_id"), text(1)),
        "completed_at": time,
        "activity_state": choice("working", "idle"),
        "tool_approval_mode": choice(*APPROVAL_MODES),
        "initial_tool_calls": array(free_object()),
        "content_type": content_type_schema(),
        "data": free_object(),
        "properties": free_object(),
        "environmentRef": free_object(),
    }
    return members({**required, **optional}, required=tuple(required), closed=False, title="AgentRun")


def agent_runs_schema() -> JsonSchema:
    """A page of agent runs."""
    known = {"items": array(agent_run_schema()), "total_count": number(), "next_cursor": nullable(text())}
    return members(known, required=tuple(known))


def error_schema() -> JsonSchema:
    """Every error of this dialect (vertesia.md 1.10)."""
    known = {"error": text(1), "status": {"type": "integer", "minimum": 400}, "message": text(), "details": text()}
    return members(known, required=("error", "status"), title="AgentError")


def token_error_schema() -> JsonSchema:
    """Every error of the token exchange (vertesia.md section 7)."""
    known: JsonSchema = error_schema()["properties"]
    code = choice("no_accessible_account", "token_issuance_forbidden", description="Why there is no token.")
    return members({**known, "errorCode": code}, required=("error", "status"), title="TokenError")


def message_schema() -> JsonSchema:
    """A message in the compact form (vertesia.md 3.3)."""
    return members(
        {
            "t": {"type": "integer", "minimum": 0, "maximum": 14},
            "m": text(),
            "w": text(),
            "d": anything(),
            "f": {"type": "integer", "enum": [0, 1]},
            "ts": {"type": "integer"},
            "i": text(),
        },
        required=("t",),
        title="AgentMessage",
    )
