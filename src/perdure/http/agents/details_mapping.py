"""A run as clients of the Agent Runs API know executions: internals, and workflow runs (vertesia.md 2.4, 2.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Raw

from perdure.domain.run import Status
from perdure.domain.stored_run import Run
from perdure.http.agents.mapping import activity_of, agent_run, iso, profile_of, starter
from perdure.http.agents.run_history import pending_activity

WORKFLOW_PREFIX: Final = "agent:"
"""Before a run's id it is the id of its workflow, unless another was bound."""

_STATUSES: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.PENDING: "RUNNING",
        Status.RUNNING: "RUNNING",
        Status.WAITING: "RUNNING",
        Status.COMPLETED: "COMPLETED",
        Status.FAILED: "FAILED",
        Status.CANCELLED: "CANCELED",
    }
)
_INTERNALS: Final = (
    "id", "status", "started_at", "started_by", "created_at", "updated_at", "run_kind", "run_type", "interaction",
    "interaction_name", "config", "interactive", "completed_at",
)  # fmt: skip


def internals(run: Run) -> dict[str, object]:
    """AgentRunInternals: what executes the run, and where its files are."""
    shown = agent_run(run)
    return {
        **{name: shown[name] for name in _INTERNALS if name in shown},
        "workflow_id": workflow_id(run),
        "first_workflow_run_id": first_execution(run),
        "artifacts_path": f"agents/{run.run_id}",
    }


def workflow_id(run: Run) -> str:
    """The id of what executes a run: the one that was bound to it, or one of ours."""
    bound = profile_of(run).get("workflow_id")
    return bound if isinstance(bound, str) else f"{WORKFLOW_PREFIX}{run.run_id}"


def first_execution(run: Run) -> str:
    """The id of a run's first attempt."""
    bound = profile_of(run).get("first_workflow_run_id")
    return bound if isinstance(bound, str) else f"{run.run_id}:1"


def workflow_run(run: Run, hydrate: bool = False) -> dict[str, object]:
    """A WorkflowRun. `hydrate`: with what the run was started with and what it returned."""
    ended = run.completed_at
    activity = activity_of(run)
    failed = run.status is Status.FAILED
    known: dict[str, object] = {
        "status": _STATUSES[run.status],
        "type": run.kind,
        "started_at": iso(run.created_at),
        "closed_at": None if ended is None else iso(ended),
        "run_id": first_execution(run),
        "workflow_id": workflow_id(run),
        "initiated_by": starter(run.created_by),
        "interaction_name": run.agent_id or run.target or "",
        "vertesia_workflow_type": run.kind,
        "has_reported_errors": failed,
        "visibility": run.about.visibility,
        "interactive": run.spec.interactive,
        "memo": None,
    }
    if ended is not None:
        known["execution_duration"] = round((ended - run.created_at).total_seconds() * 1000)
    if isinstance(activity, str):
        known["activity_state"] = activity
    if run.about.topic is not None:
        known["topic"] = run.about.topic
    if run.error is not None:
        known["error"] = {"message": run.error.message, **({"type": run.error.code} if run.error.code else {})}
    return {**known, **(_payloads(run) if hydrate else {})}


def details(
    run: Run,
    children: Sequence[Run],
    *,
    hydrate: bool,
    history: Mapping[str, object] | None,
    pending: Sequence[Mapping[str, object]] | None,
) -> dict[str, object]:
    """A WorkflowRunWithDetails. `pending` None: what the run waits for, without a look at its log."""
    return {
        **workflow_run(run, hydrate),
        **({} if history is None else {"history": history}),
        "pendingActivities": list(_awaited(run) if pending is None else pending),
        "children": [workflow_run(child) for child in children],
    }


def _awaited(run: Run) -> list[dict[str, object]]:
    calls = run.waiting.calls if run.waiting is not None else ()
    return [pending_activity(call.id, call.name, run.attempt, None) for call in calls]


def _payloads(run: Run) -> dict[str, object]:
    given = {"input": run.input, "result": run.output}
    return {name: Raw(text.encode()) for name, text in given.items() if text is not None}


def frame(name: str, value: object) -> bytes:
    """A named frame of the details' stream (vertesia.md 3.6)."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value))
