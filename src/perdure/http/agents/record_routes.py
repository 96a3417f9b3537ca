"""Runs that somebody else executes, and says how they go (vertesia.md 1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.ids import RunId
from perdure.domain.principal import Scope
from perdure.domain.stored_run import About, Run
from perdure.http.agents.mapping import agent_run, refuse_process
from perdure.http.agents.record_mapping import MERGED, binding_of, facts_of, record_request, target_status
from perdure.http.agents.record_schemas import record_schema, status_schema, workflow_schema
from perdure.http.agents.requests import body_of, run_of
from perdure.http.agents.schemas import agent_run_schema
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.schema_check import SchemaCheck
from perdure.services import agent_runs, recorded_runs, runs, scoping
from perdure.services.core import Core

_PATH: Final = "/api/v1/agents"
_TAG: Final = "agents"
_RECORD: Final = record_schema()
_RECORD_CHECK: Final = SchemaCheck(_RECORD)
_STATUS: Final = status_schema()
_STATUS_CHECK: Final = SchemaCheck(_STATUS)
_WORKFLOW: Final = workflow_schema()
_WORKFLOW_CHECK: Final = SchemaCheck(_WORKFLOW)


async def record_agent_run(request: Request) -> Response:
    """POST /api/v1/agents/record."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    body = await body_of(request, _RECORD_CHECK, _RECORD["properties"], before=refuse_process)
    if "parent_run_id" in body:
        await scoping.project_of_run(core, principal, RunId(body["parent_run_id"]))
    wanted = record_request(body, principal, request.client.host if request.client else "")
    created = await runs.create(core, principal.project_id, wanted)
    scoping.remember_run(core, principal, created.run)
    return json_answer(agent_run(created.run))


async def update_agent_run_status(request: Request) -> Response:
    """POST …/status."""
    run = await run_of(request, Scope.RUNS_WRITE)
    body = await body_of(request, _STATUS_CHECK, _STATUS["properties"])
    return json_answer(agent_run(await _changed(core_of(request), run, body, facts_of(run, body))))


async def bind_agent_run_workflow(request: Request) -> Response:
    """POST …/workflow."""
    run = await run_of(request, Scope.RUNS_WRITE)
    body = await body_of(request, _WORKFLOW_CHECK, _WORKFLOW["properties"])
    return json_answer(agent_run(await _changed(core_of(request), run, body, binding_of(run, body))))


async def _changed(core: Core, run: Run, body: Mapping[str, Any], facts: Mapping[str, object]) -> Run:
    about = About(title=body.get("title"), topic=body.get("topic"))
    if facts or about.title is not None or about.topic is not None:
        run = await agent_runs.change(core, run, about, facts, merged=MERGED)
    wanted = target_status(body)
    return run if wanted is None else await recorded_runs.set_status(core, run, wanted)


RECORD: Final = Operation(
    method="POST",
    path=f"{_PATH}/record",
    handler=record_agent_run,
    tag=_TAG,
    summary="Record an agent run that somebody else executes",
    description="No worker here takes it up. The same execution, recorded again, is the same run.",
    scope=Scope.RUNS_WRITE,
    body=Body(_RECORD),
    answers={200: Answer("The run.", agent_run_schema())},
    problems=(404, 409, 413, 501),
)

STATUS: Final = Operation(
    method="POST",
    path=f"{_PATH}/{{run_id}}/status",
    handler=update_agent_run_status,
    tag=_TAG,
    summary="Say how an agent run goes",
    scope=Scope.RUNS_WRITE,
    body=Body(_STATUS),
    answers={200: Answer("The run as it is now.", agent_run_schema())},
    problems=(404, 409, 413),
)

WORKFLOW: Final = Operation(
    method="POST",
    path=f"{_PATH}/{{run_id}}/workflow",
    handler=bind_agent_run_workflow,
    tag=_TAG,
    summary="Say what executes an agent run",
    scope=Scope.RUNS_WRITE,
    body=Body(_WORKFLOW),
    answers={200: Answer("The run as it is now.", agent_run_schema())},
    problems=(404, 409, 413),
)

OPERATIONS: Final = (RECORD, STATUS, WORKFLOW)
