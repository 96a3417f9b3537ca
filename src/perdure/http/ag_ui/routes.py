"""POST /ag-ui/{agent}: agents of this server for CopilotKit and for whoever uses `@ag-ui/client` (docs/ag-ui.md)."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request

from perdure.domain.ids import RunId
from perdure.domain.principal import Scope
from perdure.http.ag_ui import agent_routes
from perdure.http.ag_ui.mapping import MAX_BODY, answers_of, conversation_of, read_input, run_request
from perdure.http.ag_ui.schemas import run_agent_input_schema
from perdure.http.ag_ui.stream import TurnStream
from perdure.http.context import core_of, settings_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import members, text
from perdure.http.operations import Answer, Body, Operation
from perdure.http.requests import read_body
from perdure.http.sse import EVENT_STREAM, EventStream
from perdure.services import ag_ui, scoping


async def run_ag_ui_agent(request: Request) -> EventStream:
    """The events of the run that the request asks for: a new one, a known one, or the next turn of one that waits."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    asked = read_input(await read_body(request, MAX_BODY))
    await scoping.project_of_run(core, principal, RunId(asked["runId"]))
    conversation_id = conversation_of(asked["threadId"], principal.project_id)
    project_id = await scoping.project_of_conversation(core, principal, conversation_id)
    wanted = run_request(asked, request.path_params["agent"], project_id, conversation_id, principal.subject)
    answers = answers_of(asked)
    turn = await ag_ui.begin(core, project_id, wanted, answers)
    scoping.remember_run(core, principal, turn.run)
    stream = TurnStream(core, turn, asked, frozenset(answers.results))
    settings = settings_of(request)
    return EventStream(
        stream.frames(),
        partial(principal_of, request, Scope.RUNS_WRITE),
        heartbeat_seconds=settings.heartbeat_seconds,
        recheck_seconds=settings.recheck_seconds,
        retry_ms=settings.retry_ms,
    )


RUN: Final = Operation(
    method="POST",
    path="/ag-ui/{agent:path}",
    handler=run_ag_ui_agent,
    tag="ag-ui",
    summary="Run an agent for an AG-UI client",
    description=(
        "The run goes on when the client is gone: the same `runId` again streams the run from its beginning, and then "
        "live. The stream ends with RUN_FINISHED or RUN_ERROR; a run that waits for results of the client's tools or "
        "for decisions ends it, too, and goes on with the request that holds them."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"agent": text(1, 128)},
    body=Body(run_agent_input_schema()),
    answers={
        200: Answer(
            "AG-UI events.",
            members(
                {"data": {**text(), "contentMediaType": "application/json", "description": "The event as JSON."}},
                required=("data",),
                description="One frame.",
            ),
            EVENT_STREAM,
        )
    },
    problems=(404, 409, 413),
)

OPERATIONS: Final = (RUN, *agent_routes.OPERATIONS)
