"""What a run does and did, seen from its engine: internals, details, children (vertesia.md 1.3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import RunId, RunKey
from perdure.domain.principal import Scope
from perdure.domain.stored_run import Run, Viewer
from perdure.http.agents.details_mapping import WORKFLOW_PREFIX, details, frame, internals, workflow_run
from perdure.http.agents.details_schemas import (
    HISTORY_FORMATS,
    details_schema,
    internals_schema,
    workflow_runs_schema,
)
from perdure.http.agents.requests import check_query, flag_query, principal_of_stream, run_for
from perdure.http.agents.run_history import (
    TYPES,
    History,
    agent_task,
    pending_activity,
    workflow_task,
)
from perdure.http.context import core_of, settings_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, boolean, choice, members, text
from perdure.http.operations import Answer, Operation, json_answer, query
from perdure.http.requests import run_id
from perdure.http.sse import EVENT_STREAM, EventStream
from perdure.services import run_details, runs
from perdure.services.core import Core

_PATH: Final = "/api/v1/agents/{run_id}"
_TAG: Final = "agents"
_ASKED: Final = frozenset({"include_history", "hydrate_payloads", "history_format"})


async def get_agent_run_internals(request: Request) -> Response:
    """GET …/internals."""
    return json_answer(internals(await run_for(request, await principal_of(request, Scope.RUNS_READ))))


async def get_agent_run_details(request: Request) -> Response:
    """GET …/details."""
    principal = await principal_of(request, Scope.RUNS_READ)
    return await _details(request, await run_for(request, principal), principal.viewer)


async def list_agent_run_children(request: Request) -> Response:
    """GET …/children."""
    principal = await principal_of(request, Scope.RUNS_READ)
    parent = await run_for(request, principal)
    check_query(request, frozenset())
    found, more = await run_details.children(core_of(request), parent, principal.viewer)
    return json_answer({"runs": [workflow_run(run) for run in found], "has_more": more})


async def get_agent_run_child_details(request: Request) -> Response:
    """GET …/children/{child_id}/details: the child's own id, or that of its workflow."""
    principal = await principal_of(request, Scope.RUNS_READ)
    parent = await run_for(request, principal)
    child_id = run_id(request.path_params["child_id"])
    own_id = RunId(child_id.removeprefix(WORKFLOW_PREFIX))
    child = await run_details.child(core_of(request), principal, parent.key, own_id)
    return await _details(request, child, principal.viewer)


async def stream_agent_run_details(request: Request) -> EventStream:
    """GET …/details/stream: the history as it grows (vertesia.md 3.6)."""
    run = await run_for(request, await principal_of_stream(request, Scope.RUNS_READ))
    check_query(request, frozenset({"access_token"}))
    settings = settings_of(request)
    return EventStream(
        _frames(core_of(request), run.key),
        partial(principal_of_stream, request, Scope.RUNS_READ),
        heartbeat_seconds=settings.heartbeat_seconds,
        recheck_seconds=settings.recheck_seconds,
        retry_ms=settings.retry_ms,
    )


async def _frames(core: Core, key: RunKey) -> AsyncGenerator[bytes, None]:
    """The history, then what comes; the last frame says that the run has ended."""
    history = History(hydrate=True)
    async with aclosing(core.hub.follow(key, 0)) as rows:
        async for delivery in rows:
            told = history.add(delivery.events)
            if told:
                yield b"".join(frame("history", {"runId": key.run_id, "event": event}) for event in told)
    if (await runs.get(core, key)).status.terminal:
        yield frame("control", {"type": "done"})


async def _details(request: Request, run: Run, viewer: Viewer) -> Response:
    check_query(request, _ASKED)
    core = core_of(request)
    hydrate = flag_query(request, "hydrate_payloads")
    form = request.query_params.get("history_format", "agent")
    if form not in HISTORY_FORMATS:
        raise InvalidRequest(f"The query parameter `history_format` must be one of {', '.join(HISTORY_FORMATS)}.")
    told: dict[str, object] | None = None
    pending: list[dict[str, object]] | None = None
    if flag_query(request, "include_history"):
        history = History(hydrate)
        events: list[dict[str, object]] = []
        async for row in run_details.rows_of_types(core, run.key, TYPES):
            found = history.add(row)
            events += found if form == "events" else ()
        told = _history(history, events, form, run.run_id)
        pending = [pending_activity(task.id, task.name, task.attempt, task.at) for task in history.open_tasks()]
    children, _ = await run_details.children(core, run, viewer)
    return json_answer(details(run, children, hydrate=hydrate, history=told, pending=pending))


def _history(history: History, events: list[dict[str, object]], form: str, run_id: str) -> dict[str, object]:
    tasks = sorted(history.tasks.values(), key=lambda task: task.at)
    match form:
        case "events":
            return {"type": form, "events": events}
        case "tasks":
            return {"type": form, "tasks": [workflow_task(task, run_id) for task in tasks]}
        case _:
            return {"type": form, "agentTasks": [agent_task(task, run_id) for task in tasks]}


def _parameters() -> tuple[JsonSchema, ...]:
    return (
        query("include_history", boolean(), "Say what happened, too."),
        query("hydrate_payloads", boolean(), "With inputs and results."),
        query("history_format", choice(*HISTORY_FORMATS), "Events, tasks, or an agent's calls and signals (default)."),
    )


INTERNALS: Final = Operation(
    method="GET",
    path=f"{_PATH}/internals",
    handler=get_agent_run_internals,
    tag=_TAG,
    summary="Read what executes an agent run",
    scope=Scope.RUNS_READ,
    answers={200: Answer("Its workflow's ids and the place of its files.", internals_schema())},
)

DETAILS: Final = Operation(
    method="GET",
    path=f"{_PATH}/details",
    handler=get_agent_run_details,
    tag=_TAG,
    summary="Read what an agent run did",
    description="The history is read from the run's log: attempts, calls of models and tools, waits and signals.",
    scope=Scope.RUNS_READ,
    parameters=_parameters(),
    answers={200: Answer("The run, with what is open, its children and perhaps its history.", details_schema())},
)

DETAILS_STREAM: Final = Operation(
    method="GET",
    path=f"{_PATH}/details/stream",
    handler=stream_agent_run_details,
    tag=_TAG,
    summary="Follow what an agent run does",
    description="Frames are named `history` and, when the run has ended, `control`.",
    scope=Scope.RUNS_READ,
    parameters=(query("access_token", text(1), "The key or token, for clients that cannot send headers here."),),
    answers={
        200: Answer(
            "The history so far and to come.",
            members(
                {
                    "event": choice("history", "control"),
                    "data": {**text(), "contentMediaType": "application/json", "description": "What happened."},
                },
                required=("event", "data"),
                description="One frame.",
            ),
            EVENT_STREAM,
        )
    },
)

CHILDREN: Final = Operation(
    method="GET",
    path=f"{_PATH}/children",
    handler=list_agent_run_children,
    tag=_TAG,
    summary="List the runs that an agent run started",
    scope=Scope.RUNS_READ,
    answers={200: Answer("The newest children.", workflow_runs_schema())},
)

CHILD_DETAILS: Final = Operation(
    method="GET",
    path=f"{_PATH}/children/{{child_id}}/details",
    handler=get_agent_run_child_details,
    tag=_TAG,
    summary="Read what a child of an agent run did",
    scope=Scope.RUNS_READ,
    path_schemas={"child_id": text(1, 134)},
    parameters=_parameters(),
    answers={200: Answer("The child, as …/details has it.", details_schema())},
)

OPERATIONS: Final = (INTERNALS, DETAILS, DETAILS_STREAM, CHILDREN, CHILD_DETAILS)
