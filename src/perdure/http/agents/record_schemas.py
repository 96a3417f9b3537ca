"""What programs say of agent runs that they execute themselves (vertesia.md 1.5): closed, as the contract has it."""

from __future__ import annotations

from typing import Final

from perdure.http.agents.create_schema import APPROVAL_MODES, SOURCE_TYPES
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

ARCHIVE_STATES: Final = ("none", "pending", "archiving", "complete", "failed")
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
ACTIVITIES: Final = ("working", "idle")


def record_schema() -> JsonSchema:
    """A run that somebody else executes."""
    return members(
        {
            "workflow_id": text(1, 1024, description="The id of what executes it."),
            "first_workflow_run_id": text(1, 1024, description="The id of its first attempt."),
            "interaction": text(1, 255),
            "run_kind": choice("agent"),
            "parent_run_id": text(1, 128),
            "workstream_id": text(1, 255),
            "schedule_id": text(1, 255),
            "visibility": choice("private", "project"),
            "data": free_object(),
            "type": choice(*SOURCE_TYPES),
            "title": text(1, 1024),
            "topic": text(1, 1024),
            "generate_topic": boolean(),
            "generate_lessons": boolean(),
        },
        required=("workflow_id", "first_workflow_run_id", "interaction"),
        title="RecordAgentRun",
    )


def status_schema() -> JsonSchema:
    """What is new about a run."""
    return members(
        {
            "status": choice(*STATUSES, description="The first status that ends a run stays."),
            "activity_state": choice(*ACTIVITIES, description="Only of a run that somebody else executes."),
            "title": text(1, 1024),
            "topic": text(1, 1024),
            "lessons_learned": array(text()),
            "properties": free_object("They take the places of those with the same names; others stay."),
            "content": text(description="What the run is found by, beside what its log says. It is not shown."),
            "disabled_mcp_collections": array(text(1)),
            "tool_approval_mode": choice(*APPROVAL_MODES),
            "archive_state": choice(*ARCHIVE_STATES),
            "archived_at": text(1, 64, description="An ISO 8601 time."),
            "archive_version": number(),
            "last_archive_error": text(),
            "sequence": number(description="Of process runs, which are not built."),
            "process_state": anything(),
            "model": text(1, 255),
            "effort": nullable(choice(*EFFORTS)),
        },
        title="UpdateAgentRunStatus",
    )


def workflow_schema() -> JsonSchema:
    """What executes a run."""
    return members(
        {
            "workflow_id": text(1, 1024),
            "first_workflow_run_id": text(1, 1024),
            "status": choice(*STATUSES),
            "activity_state": choice(*ACTIVITIES),
        },
        required=("workflow_id", "first_workflow_run_id"),
        title="BindWorkflow",
    )


def answer_task_schema() -> JsonSchema:
    """An answer to a process run's task."""
    return members({"task_id": text(1), "result": free_object()}, required=("task_id", "result"))


def step_schema(name: str) -> JsonSchema:
    """Move a process run: to a node (`name` is the member that names it), for a reason."""
    return members({name: text(), "reason": text()})


def done_schema() -> JsonSchema:
    """What was done."""
    return members({"status": text(), "message": text()}, required=("status", "message"))


def context_schema() -> JsonSchema:
    """Where a process run is."""
    known = {"run_id": text(1), "current_node": text(), "context": free_object()}
    return members(known, required=tuple(known))


def process_history_schema() -> JsonSchema:
    """Where a process run was."""
    place = members(
        {"path": text(), "latest_sequence": integer(), "count": integer()},
        required=("path", "latest_sequence", "count"),
    )
    known = {"run_id": text(1), "current_node": text(), "node_history": array(free_object())}
    return members({**known, "node_history_ref": place}, required=tuple(known))
