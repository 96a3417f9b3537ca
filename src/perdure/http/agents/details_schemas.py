"""What the routes about a run's execution answer (vertesia.md 2.4, 2.5)."""

from __future__ import annotations

from typing import Final

from perdure.http.agents.create_schema import PRINCIPAL_TYPES
from perdure.http.agents.schemas import STATUSES
from perdure.http.json_schema import (
    JsonSchema,
    anything,
    array,
    boolean,
    choice,
    free_object,
    integer,
    members,
    nullable,
    number,
    text,
)

HISTORY_FORMATS: Final = ("events", "tasks", "agent")


def internals_schema() -> JsonSchema:
    """What executes a run, and where its files are."""
    required = {
        "id": text(1),
        "status": choice(*STATUSES),
        "started_at": text(),
        "started_by": text(pattern=f"^({'|'.join(PRINCIPAL_TYPES)}):"),
        "created_at": text(),
        "updated_at": text(),
        "workflow_id": text(1),
        "first_workflow_run_id": text(1),
        "artifacts_path": text(1),
    }
    optional = {
        "run_kind": choice("agent"),
        "run_type": choice("autonomous"),
        "interaction": text(),
        "interaction_name": text(),
        "config": free_object(),
        "interactive": boolean(),
        "completed_at": text(),
    }
    return members({**required, **optional}, required=tuple(required))


def workflow_run_schema() -> JsonSchema:
    """A run as an execution."""
    return members(_workflow_run(), required=("started_at", "closed_at"), title="WorkflowRun")


def workflow_runs_schema() -> JsonSchema:
    """The runs that a run started."""
    return members({"runs": array(workflow_run_schema()), "has_more": boolean()}, required=("runs",))


def details_schema() -> JsonSchema:
    """A run as an execution, with what happened."""
    pending = members(
        {
            "activityId": text(),
            "activityType": text(),
            "attempt": integer(0),
            "maximumAttempts": integer(0),
            "lastStartedTime": nullable(text()),
        },
        required=("attempt", "maximumAttempts", "lastStartedTime"),
    )
    more = {"history": _history(), "pendingActivities": array(pending), "children": array(workflow_run_schema())}
    return members({**_workflow_run(), **more}, required=("started_at", "closed_at"), title="WorkflowRunWithDetails")


def _workflow_run() -> dict[str, JsonSchema]:
    words = ("type", "run_id", "workflow_id", "initiated_by", "interaction_name", "topic", "vertesia_workflow_type")
    return {
        "status": choice("RUNNING", "COMPLETED", "FAILED", "CANCELED"),
        "started_at": nullable(text()),
        "closed_at": nullable(text()),
        "execution_duration": number(description="In milliseconds."),
        **dict.fromkeys(words, text()),
        "input": anything(),
        "result": anything(),
        "error": anything(),
        "has_reported_errors": boolean(),
        "visibility": choice("private", "project"),
        "activity_state": choice("working", "idle"),
        "interactive": boolean(),
        "memo": nullable(free_object()),
    }


def _history() -> JsonSchema:
    event = members(
        {
            "event_id": integer(1),
            "event_time": nullable(text()),
            "event_type": text(1),
            "attempt": integer(0),
            "activity": members({"name": text(), "id": text(), "input": anything()}),
            "signal": members({"direction": choice("receiving"), "signalName": text(), "input": anything()}),
            "error": members({"message": text(), "type": text()}),
            "result": anything(),
        },
        required=("event_id", "event_time", "event_type", "attempt"),
    )
    kinds = {"events": ("events", event), "tasks": ("tasks", _task()), "agent": ("agentTasks", _agent_task())}
    return {
        "oneOf": [
            members({"type": choice(kind), name: array(items)}, required=("type", name))
            for kind, (name, items) in kinds.items()
        ]
    }


def _task() -> JsonSchema:
    known = {
        "type": choice("activity", "signal"),
        "activityId": text(),
        "scheduled": nullable(text()),
        "status": choice("running", "completed", "failed", "canceled", "received"),
        "attempts": integer(0),
        "started": nullable(text()),
        "completed": nullable(text()),
        "error": nullable(text()),
        "result": anything(),
    }
    more = {"activityName": text(), "input": anything(), "runId": text(), "signalName": text()}
    return members({**known, **more, "direction": choice("receiving")}, required=tuple(known))


def _agent_task() -> JsonSchema:
    known = {
        "taskType": choice("tool_call", "llm_call", "signal"),
        "toolName": text(),
        "scheduled_at": nullable(text()),
        "started_at": nullable(text()),
        "completed_at": nullable(text()),
        "status": choice("running", "completed", "error", "warning", "received"),
    }
    more = {
        "toolUseId": text(),
        "toolType": choice("builtin"),
        "iteration": integer(0),
        "parameters": free_object(),
        "result": text(),
        "error": members({"type": text(), "message": text()}, required=("type", "message")),
        "runId": text(),
        "direction": choice("receiving"),
    }
    return members({**known, **more}, required=tuple(known))
