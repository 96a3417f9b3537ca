"""The JSON Schemas of what the canonical runs dialect answers, for /openapi.json (seeds 000, 002 and 003).

They describe; nothing is validated with them at run time. Answers are open: a client must ignore members that
it does not know.
"""

from __future__ import annotations

from perdure.domain.run import Kind, Status, WaitingReason
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
    text,
    uuid,
)

_PROJECTION_STATUS = ("pending", "running", "waiting_for_tool", "completed", "failed", "cancelled")
_RUNTIME_KINDS = ("main_branch", "environment", "preview_branch")


def run_accepted_schema() -> JsonSchema:
    """The 202 answer of POST /runs (seed 002)."""
    return members(
        {
            "accepted": boolean(),
            "duplicate": boolean(description="The run existed already."),
            "run": _run(_seeds_members()),
            "conversation_id": nullable(uuid()),
            "message_id": nullable(uuid()),
        },
        required=("accepted", "run"),
        closed=False,
    )


def canonical_run_schema() -> JsonSchema:
    """A run as GET /runs/{id} answers it (seed 002, veryfront.md 1.4), with what we say beside that."""
    return _run({**_seeds_members(), **_run_standing()})


def _seeds_members() -> dict[str, JsonSchema]:
    return {**_run_identity(), **_run_targets(), **_run_outcome(), **_run_origin(), **_run_times()}


def _run(known: dict[str, JsonSchema]) -> JsonSchema:
    absent = {"metadata", "input", "config", "output"}
    return members(known, required=tuple(name for name in known if name not in absent), closed=False)


def _run_identity() -> dict[str, JsonSchema]:
    owner = members({"kind": choice("conversation", "project"), "id": uuid()}, required=("kind", "id"))
    return {
        "run_id": text(1),
        "kind": choice(*Kind),
        "status": choice(*Status),
        "owner": owner,
        "parent_run_id": nullable(text(1)),
        "root_run_id": text(1),
        "waiting_reason": nullable(choice(*WaitingReason)),
        "metadata": anything(),
    }


def _run_targets() -> dict[str, JsonSchema]:
    return {
        "target": nullable(text()),
        "workflow_id": nullable(text()),
        "schedule_id": nullable(uuid()),
        "batch_id": nullable(uuid()),
        "runtime_target_kind": nullable(choice(*_RUNTIME_KINDS)),
        "runtime_target_environment_id": nullable(uuid()),
        "runtime_target_branch_id": nullable(uuid()),
    }


def _run_outcome() -> dict[str, JsonSchema]:
    error = members({"message": text(), "code": text()}, required=("message",), closed=False)
    return {
        "input": anything(),
        "config": anything(),
        "output": anything(),
        "error": nullable(error),
        "logs": nullable(text()),
        "artifacts": array(anything()),
        "duration_ms": nullable(integer()),
        "exit_code": nullable(integer()),
    }


def _run_origin() -> dict[str, JsonSchema]:
    return {
        "start_mode": nullable(text()),
        "timeout_seconds": nullable(integer()),
        "backoff_limit": nullable(integer()),
        "trigger_kind": nullable(choice("manual", "schedule", "webhook", "api")),
        "trigger_id": nullable(text()),
        "created_by": nullable(text(1, 255)),
    }


def _run_times() -> dict[str, JsonSchema]:
    """The seed asks for strings; they are ISO 8601 in UTC."""
    return {
        "updated_at": text(),
        "created_at": text(),
        "started_at": nullable(text()),
        "completed_at": nullable(text()),
    }


def _run_standing() -> dict[str, JsonSchema]:
    """What we say beside the seeds."""
    call = {"tool_call_id": text(1), "tool_name": text(), "reason": choice(*WaitingReason)}
    calls = array(members(call, required=tuple(call), closed=False))
    waiting = members({"reason": choice(*WaitingReason), "calls": calls}, required=("reason", "calls"), closed=False)
    return {
        "agent_id": nullable(text()),
        "project_id": uuid(),
        "conversation_id": nullable(uuid()),
        "message_id": nullable(uuid()),
        "held_by": nullable(text(description="The run before it in its conversation, for which it waits.")),
        "attempt": integer(0, description="0 until a worker takes it."),
        "cancelling": boolean(description="It has been told to stop, and has not stopped yet."),
        "waiting": nullable(waiting),
        "latest_event_id": integer(0),
        "tags": array(text()),
        "priority": integer(),
        "run_after": nullable(text()),
        "deadline": nullable(text()),
    }


def projection_schema() -> JsonSchema:
    """A run as its conversation sees it (seeds 000 and 003; what must be there: veryfront.md 1.4)."""
    required = {
        "run_id": text(1),
        "conversation_id": uuid(),
        "message_id": uuid("The assistant message that the run writes."),
        "status": choice(*_PROJECTION_STATUS),
        "latest_event_id": integer(0),
        "latest_external_event_sequence": integer(0),
        "waiting_tool_call_id": nullable(text(1)),
        "waiting_tool_name": nullable(text()),
    }
    words = ("agent_id", "runtime_target_kind", "source_target_kind", "parent_run_id", "spawned_from_tool_call_id")
    ids = (
        "project_id",
        "source_target_environment_id",
        "source_target_branch_id",
        "runtime_target_environment_id",
        "runtime_target_branch_id",
        "parent_conversation_id",
        "spawned_from_message_id",
        "input_anchor_message_id",
        "handoff_message_id",
        "resolved_deployment_id",
    )
    outcome = ("requested_by_user_id", "terminal_error_code", "terminal_error_message", "started_at", "finished_at")
    optional = {
        **{name: nullable(text()) for name in (*words, *outcome)},
        **{name: nullable(uuid()) for name in ids},
        "created_at": text(),
        "metadata": nullable(free_object()),
    }
    return members({**required, **optional}, required=tuple(required), closed=False)


def append_answer_schema() -> JsonSchema:
    """The 200 answer of POST /conversations/{cid}/runs/{rid}/events (seed 003, veryfront.md 2.1)."""
    counters = {
        "latest_event_id": integer(0),
        "appended_count": integer(0, description="How many events are new; 0 when all of them had been stored before."),
        "latest_external_event_sequence": integer(0),
    }
    return members({"run": projection_schema(), **counters}, required=("run", *counters), closed=False)


def run_started_schema() -> JsonSchema:
    """The answer of POST /conversations/{cid}/agent-runs/{rid}/start (seed 000)."""
    known = {"accepted": boolean(), "duplicate": boolean(), "run": projection_schema()}
    return members(known, required=tuple(known), closed=False)


def events_page_schema() -> JsonSchema:
    """A page of GET /runs/{id}/events (veryfront.md 1.3)."""
    known = {"event_id": integer(1), "event_type": text(1), "payload": _event(), "created_at": text()}
    return page_schema(members(known, required=tuple(known), closed=False))


def conversation_events_page_schema() -> JsonSchema:
    """A page of GET /conversations/{cid}/runs/{rid}/events (veryfront.md 1.3)."""
    known = {"event_id": integer(1), "event_type": text(1), "event": _event()}
    return page_schema(members(known, required=("event_id", "event"), closed=False))


def run_page_schema() -> JsonSchema:
    """A page of GET /runs or GET /projects/{ref}/runs."""
    return page_schema(canonical_run_schema())


def projection_page_schema() -> JsonSchema:
    """A page of runs as their conversations see them."""
    return page_schema(projection_schema())


def page_schema(items: JsonSchema) -> JsonSchema:
    """A page of anything. All four members of `page_info` are always there, and `first` is null (veryfront.md 1.3)."""
    cursors = {
        "self": nullable(text()),
        "first": {"type": "null"},
        "next": nullable(text(description="The cursor of the page after this one; null at the end.")),
        "prev": nullable(text()),
    }
    page_info = members(cursors, required=tuple(cursors), closed=False)
    return members({"data": array(items), "page_info": page_info}, required=("data", "page_info"), closed=False)


def _event() -> JsonSchema:
    return members({"type": text(1)}, required=("type",), closed=False, description="An event in AG-UI's form.")
