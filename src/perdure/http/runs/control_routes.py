"""Steer a run: cancel, complete, resume, restart, signal (veryfront.md 1.3 and section 3)."""

from __future__ import annotations

import re
from typing import Final, assert_never

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain import json_text
from perdure.domain.errors import InvalidRequest
from perdure.domain.principal import Scope
from perdure.domain.run import Answer as RunAnswer
from perdure.domain.run import Finish, RunError, Status
from perdure.http.context import core_of, settings_of
from perdure.http.json_schema import JsonSchema, anything, boolean, members, text
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import fence_of, read_as, read_body, read_checked
from perdure.http.runs.control_schemas import (
    CANCEL,
    COMPLETE,
    RESTART,
    RESUME,
    SIGNAL_NAME,
    ApprovalBody,
    CancelBody,
    CompleteBody,
    RestartBody,
    ToolResultBody,
    cancel_schema,
    complete_schema,
    restart_schema,
    resume_schema,
)
from perdure.http.runs.events_routes import fence_parameter
from perdure.http.runs.mapping import canonical
from perdure.http.runs.response_schemas import canonical_run_schema
from perdure.http.runs.routes import key_of
from perdure.services import control, lifecycle
from perdure.services.lifecycle import Extra

_MAX_SIGNAL: Final = 64 * 1024
_MAX_COMPLETE: Final = 240 * 1024
"""It becomes part of an event, which is less than 256 KB."""

_SIGNAL_NAME: Final = re.compile(SIGNAL_NAME)


async def cancel_run(request: Request) -> Response:
    """POST /runs/{run_id}/cancel. A run that has ended already is answered with `cancelled: false`."""
    core = core_of(request)
    key = await key_of(request, Scope.RUNS_WRITE)
    body = await read_body(request)
    wanted = read_as(body, CancelBody, CANCEL) if body.strip() else CancelBody()
    cancelled, run = await control.cancel(core, key, wanted.reason, settings_of(request).cancel_wait_seconds)
    return json_answer({"cancelled": cancelled, "run": canonical(run)})


async def complete_run(request: Request) -> Response:
    """POST /runs/{run_id}/complete. The first terminal status wins (design section 3)."""
    key = await key_of(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request, _MAX_COMPLETE), CompleteBody, COMPLETE)
    metadata = None if body.metadata is None else msgspec.json.encode(body.metadata).decode()
    command = Finish(body.status, _error(body), fence_of(request), metadata=body.metadata)
    completed, run = await lifecycle.finish(core_of(request), key, command, Extra(metadata=metadata))
    return json_answer({"completed": completed, "run": canonical(run)})


def _error(body: CompleteBody) -> RunError | None:
    """What the caller says of a run that did not complete; None leaves the words to the lifecycle."""
    if body.status is Status.COMPLETED or not (body.terminal_error_code or body.terminal_error_message):
        return None
    cancelled = body.status is Status.CANCELLED
    message = body.terminal_error_message or ("The run was cancelled." if cancelled else "The run failed.")
    return RunError(message, body.terminal_error_code or ("CANCELLED" if cancelled else "FAILED"))


async def resume_run(request: Request) -> Response:
    """POST /runs/{run_id}/resume: a tool's result, or a decision about a tool call (veryfront.md 3.3)."""
    key = await key_of(request, Scope.RUNS_WRITE)
    sent = read_checked(await read_body(request), RESUME)
    body: ToolResultBody | ApprovalBody = msgspec.convert(sent, ToolResultBody | ApprovalBody)
    duplicate = await control.resume(core_of(request), key, _answer(body))
    return json_answer({"accepted": True, "duplicate": duplicate})


def _answer(body: ToolResultBody | ApprovalBody) -> RunAnswer:
    match body:
        case ToolResultBody():
            return RunAnswer(body.tool_call_id, body.result, control.content_of(body.result), body.is_error)
        case ApprovalBody():
            value = {"approved": body.approved, **({"message": body.message} if body.message else {})}
            return RunAnswer(body.tool_call_id, value, control.content_of(value))
        case _:
            assert_never(body)


async def restart_run(request: Request) -> Response:
    """POST /runs/{run_id}/restart: the same run, its next attempt."""
    key = await key_of(request, Scope.RUNS_WRITE)
    body = await read_body(request)
    wanted = read_as(body, RestartBody, RESTART) if body.strip() else RestartBody()
    run = await control.restart(core_of(request), key, wanted.fresh)
    return json_answer({"accepted": True, "run": canonical(run)}, 202)


async def signal_run(request: Request) -> Response:
    """POST /runs/{run_id}/signals/{name}: any JSON value, or nothing, which is null."""
    key = await key_of(request, Scope.RUNS_WRITE)
    name = request.path_params["name"]
    if not _SIGNAL_NAME.fullmatch(name):
        raise InvalidRequest("A signal's name is 1 to 128 letters, digits, `.`, `_`, `:` and `-`.")
    body = await read_body(request, _MAX_SIGNAL)
    await control.signal(core_of(request), key, name, json_text.decode(body) if body.strip() else None)
    return json_answer({"accepted": True}, 202)


def _run_and(name: str, description: str) -> JsonSchema:
    known = {name: boolean(description=description), "run": canonical_run_schema()}
    return members(known, required=tuple(known), closed=False)


CANCEL_RUN: Final = Operation(
    method="POST",
    path="/runs/{run_id}/cancel",
    handler=cancel_run,
    tag="control",
    summary="Cancel a run and its children",
    description=(
        "A pending or waiting run ends at once. A running one is told through its worker, for which the answer waits "
        "a little; a worker that does not answer is ended by the server."
    ),
    scope=Scope.RUNS_WRITE,
    body=Body(cancel_schema(), required=False),
    answers={200: Answer("The run as it is now.", _run_and("cancelled", "False when the run had ended already."))},
    problems=(404, 413),
)

COMPLETE_RUN: Final = Operation(
    method="POST",
    path="/runs/{run_id}/complete",
    handler=complete_run,
    tag="control",
    summary="End a run that the caller executes",
    scope=Scope.RUNS_WRITE,
    parameters=(fence_parameter(),),
    body=Body(complete_schema()),
    answers={
        200: Answer("The run as it is now.", _run_and("completed", "False when it had ended with another status."))
    },
    problems=(404, 413),
)

RESUME_RUN: Final = Operation(
    method="POST",
    path="/runs/{run_id}/resume",
    handler=resume_run,
    tag="control",
    summary="Answer a tool call that a run waits for",
    description="`type` is `tool_result` for a result, `approval` for a decision. The same answer again is accepted.",
    scope=Scope.RUNS_WRITE,
    body=Body(resume_schema()),
    answers={
        200: Answer(
            "The answer is accepted.",
            members({"accepted": boolean(), "duplicate": boolean()}, required=("accepted",), closed=False),
        )
    },
    problems=(404, 409, 410, 413),
)

RESTART_RUN: Final = Operation(
    method="POST",
    path="/runs/{run_id}/restart",
    handler=restart_run,
    tag="control",
    summary="Start a run again that has ended",
    scope=Scope.RUNS_WRITE,
    body=Body(restart_schema(), required=False),
    answers={202: Answer("The run, which is pending again.", _run_and("accepted", "Always true."))},
    problems=(404, 409, 413),
)

SIGNAL_RUN: Final = Operation(
    method="POST",
    path="/runs/{run_id}/signals/{name}",
    handler=signal_run,
    tag="control",
    summary="Send a signal to a run",
    description="The signal is an event of the run's log; a run that waits for one goes on.",
    scope=Scope.RUNS_WRITE,
    path_schemas={"name": text(pattern=SIGNAL_NAME)},
    body=Body(anything(), required=False),
    answers={
        202: Answer("The signal is in the log.", members({"accepted": boolean()}, required=("accepted",), closed=False))
    },
    problems=(404, 409, 413),
)
