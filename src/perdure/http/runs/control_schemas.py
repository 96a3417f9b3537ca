"""The bodies of the routes that steer a run: JSON Schemas, which are published and validate, and structs."""

from __future__ import annotations

from typing import Final

import msgspec

from perdure.domain.run import Status
from perdure.http.json_schema import (
    JsonSchema,
    anything,
    boolean,
    choice,
    free_object,
    members,
    nullable,
    text,
)
from perdure.http.schema_check import SchemaCheck

SIGNAL_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"


class CancelBody(msgspec.Struct, frozen=True):
    """POST /runs/{run_id}/cancel, where a body is sent at all."""

    reason: str = "The run was cancelled."


class CompleteBody(msgspec.Struct, frozen=True):
    """POST /runs/{run_id}/complete (veryfront.md 1.3)."""

    status: Status
    metadata: dict[str, object] | None = None
    terminal_error_code: str | None = None
    terminal_error_message: str | None = None


class ToolResultBody(msgspec.Struct, frozen=True, tag="tool_result"):
    """POST /runs/{run_id}/resume with the result of a tool call (veryfront.md 1.3)."""

    tool_call_id: str
    result: object
    is_error: bool = False


class ApprovalBody(msgspec.Struct, frozen=True, tag="approval"):
    """POST /runs/{run_id}/resume with a decision about a tool call that needs one."""

    tool_call_id: str
    approved: bool
    message: str | None = None


class RestartBody(msgspec.Struct, frozen=True):
    """POST /runs/{run_id}/restart, where a body is sent at all."""

    fresh: bool | None = None


def cancel_schema() -> JsonSchema:
    """The schema of CancelBody."""
    return members({"reason": text(1, 1_000, description="What the run's RUN_ERROR event says.")})


def complete_schema() -> JsonSchema:
    """The schema of CompleteBody."""
    ended = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    return members(
        {
            "status": choice(*ended),
            "metadata": nullable(free_object("Model, provider and usage; it becomes part of RUN_FINISHED.")),
            "terminal_error_code": nullable(text()),
            "terminal_error_message": nullable(text()),
        },
        required=("status",),
    )


def resume_schema() -> JsonSchema:
    """The schema of ToolResultBody and ApprovalBody."""
    result = members(
        {
            "type": choice("tool_result"),
            "tool_call_id": text(1, 128),
            "result": {**anything(), "description": "Any JSON value of at most 64 KB."},
            "is_error": boolean(default=False),
        },
        required=("type", "tool_call_id", "result"),
        title="tool_result",
    )
    approval = members(
        {
            "type": choice("approval"),
            "tool_call_id": text(1, 128),
            "approved": boolean(),
            "message": nullable(text(max_length=10_000, description="What the model is told when it is denied.")),
        },
        required=("type", "tool_call_id", "approved"),
        title="approval",
    )
    return {"oneOf": [result, approval]}


def restart_schema() -> JsonSchema:
    """The schema of RestartBody."""
    fresh = {**nullable(boolean()), "description": "Forget the recorded steps; unset: only when the run had completed."}
    return members({"fresh": fresh})


CANCEL: Final = SchemaCheck(cancel_schema())
COMPLETE: Final = SchemaCheck(complete_schema())
RESUME: Final = SchemaCheck(resume_schema())
RESTART: Final = SchemaCheck(restart_schema())
