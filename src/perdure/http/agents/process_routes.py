"""The sub-routes of process runs, which are not built: every run here is an agent run (vertesia.md 1.6)."""

from __future__ import annotations

from typing import Final, NoReturn

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest
from perdure.domain.principal import Scope
from perdure.http.agents.record_schemas import (
    answer_task_schema,
    context_schema,
    done_schema,
    process_history_schema,
    step_schema,
)
from perdure.http.agents.requests import run_of
from perdure.http.json_schema import JsonSchema
from perdure.http.operations import Answer, Body, Handler, Operation

_PATH: Final = "/api/v1/agents/{run_id}"
_DESCRIPTION: Final = "Process runs are not built, so the answer is 400 for every run that there is."


async def _refuse(request: Request, scope: Scope) -> NoReturn:
    run = await run_of(request, scope)
    raise InvalidRequest(f"Run {run.run_id} is not a process run.")


async def get_process_context(request: Request) -> Response:
    """GET …/context."""
    await _refuse(request, Scope.RUNS_READ)


async def get_process_history(request: Request) -> Response:
    """GET …/history."""
    await _refuse(request, Scope.RUNS_READ)


async def advance_process(request: Request) -> Response:
    """POST …/advance."""
    await _refuse(request, Scope.RUNS_WRITE)


async def retry_process_node(request: Request) -> Response:
    """POST …/retry-node."""
    await _refuse(request, Scope.RUNS_WRITE)


async def answer_process_task(request: Request) -> Response:
    """POST …/answer-task."""
    await _refuse(request, Scope.RUNS_WRITE)


def _read(name: str, handler: Handler, summary: str, schema: JsonSchema) -> Operation:
    return Operation(
        method="GET",
        path=f"{_PATH}/{name}",
        handler=handler,
        tag="agents",
        summary=summary,
        description=_DESCRIPTION,
        scope=Scope.RUNS_READ,
        answers={200: Answer("The process run.", schema)},
    )


def _write(name: str, handler: Handler, summary: str, body: JsonSchema) -> Operation:
    return Operation(
        method="POST",
        path=f"{_PATH}/{name}",
        handler=handler,
        tag="agents",
        summary=summary,
        description=_DESCRIPTION,
        scope=Scope.RUNS_WRITE,
        body=Body(body),
        answers={200: Answer("What was done.", done_schema())},
    )


OPERATIONS: Final = (
    _read("context", get_process_context, "Read where a process run is", context_schema()),
    _read("history", get_process_history, "Read where a process run was", process_history_schema()),
    _write("advance", advance_process, "Move a process run on", step_schema("target")),
    _write("retry-node", retry_process_node, "Try a node of a process run again", step_schema("node")),
    _write("answer-task", answer_process_task, "Answer a task of a process run", answer_task_schema()),
)
