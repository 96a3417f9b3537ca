"""A conversation's runs under their older names, `/agent-runs/` and `/agent-stream/` (veryfront.md 1.2 and 1.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest
from perdure.domain.message import parse_messages
from perdure.domain.principal import Scope
from perdure.domain.run import Answer as RunAnswer
from perdure.domain.stored_run import Run
from perdure.http.context import core_of, settings_of
from perdure.http.json_schema import JsonSchema, anything, boolean, integer, members, text
from perdure.http.operations import Answer, Body, Operation, json_answer, query, raw_answer
from perdure.http.pagination import decode_cursor
from perdure.http.requests import integer_query, read_as, read_body, read_checked, text_query
from perdure.http.runs import events_routes, snapshot_routes
from perdure.http.runs.control_schemas import CANCEL, CancelBody, cancel_schema
from perdure.http.runs.conversation_routes import conversation_place
from perdure.http.runs.create_body import BODY_BYTES
from perdure.http.runs.create_schema import hosted_input_schema
from perdure.http.runs.mapping import projection, projection_page
from perdure.http.runs.response_schemas import projection_page_schema, run_started_schema
from perdure.http.schema_check import SchemaCheck
from perdure.services import control, conversations, runs

MAX_PAGE: Final = runs.MAX_PAGE
DEFAULT_PAGE: Final = 50


class ToolResultBody(msgspec.Struct, frozen=True, rename="camel"):
    """The result of a tool call, in the older form."""

    tool_call_id: str
    result: object
    is_error: bool = False


def tool_result_schema() -> JsonSchema:
    """The schema of ToolResultBody."""
    return members(
        {
            "toolCallId": text(1, 128),
            "result": {**anything(), "description": "Any JSON value of at most 64 KB."},
            "isError": boolean(default=False),
        },
        required=("toolCallId", "result"),
    )


_START: Final = SchemaCheck(hosted_input_schema())
_TOOL_RESULT: Final = SchemaCheck(tool_result_schema())


async def start_agent_run(request: Request) -> Response:
    """POST /conversations/{conversation_id}/agent-runs/{run_id}/start (seed 000)."""
    run = await events_routes.conversation_run(request, Scope.RUNS_WRITE)
    body: Any = read_checked(await read_body(request, BODY_BYTES), _START)
    parse_messages(body["messages"], "/messages")
    _check_named(body.get("durable_root_run"), run)
    started = await runs.start(core_of(request), run, msgspec.json.encode(body))
    known = b'{"accepted":true,"duplicate":%b,"run":%b}'
    return raw_answer(known % (b"true" if started.duplicate else b"false", projection(started.run)))


def _check_named(named: dict[str, str] | None, run: Run) -> None:
    """A request starts the run of its path, which may say once more which one that is."""
    expected = {"run_id": str(run.run_id), "message_id": str(run.message_id)}
    for name, value in (named or {}).items():
        if value.lower() != expected[name].lower():
            pointer = f"/durable_root_run/{name}"
            raise InvalidRequest(f"`{pointer}` must be the run's own, {expected[name]}.", pointer=pointer)


async def list_child_runs(request: Request) -> Response:
    """GET /conversations/{conversation_id}/agent-runs/children-by-parent-conversation."""
    core = core_of(request)
    place = await conversation_place(request, Scope.RUNS_READ)
    cursor = text_query(request, "cursor")
    before = None if cursor is None else decode_cursor(cursor)
    limit = integer_query(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
    await conversations.get(core, *place)
    found = await runs.children_of_conversation(core, *place, before=before, limit=limit)
    return raw_answer(projection_page(found, limit, cursor))


async def cancel_agent_run(request: Request) -> Response:
    """POST /conversations/{conversation_id}/agent-runs/{run_id}/cancel."""
    run = await events_routes.conversation_run(request, Scope.RUNS_WRITE)
    body = await read_body(request)
    wanted = read_as(body, CancelBody, CANCEL) if body.strip() else CancelBody()
    wait_seconds = settings_of(request).cancel_wait_seconds
    cancelled, _ = await control.cancel(core_of(request), run.key, wanted.reason, wait_seconds)
    return json_answer({"cancelled": cancelled})


async def answer_tool_call(request: Request) -> Response:
    """POST /conversations/{conversation_id}/agent-stream/{run_id}/tool-result."""
    run = await events_routes.conversation_run(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request), ToolResultBody, _TOOL_RESULT)
    answer = RunAnswer(body.tool_call_id, body.result, control.content_of(body.result), body.is_error)
    duplicate = await control.resume(core_of(request), run.key, answer)
    return json_answer({"accepted": True, "duplicate": duplicate})


def _older(operation: Operation) -> Operation:
    """A route of a conversation's runs under its older path."""
    return replace(
        operation,
        name=f"{getattr(operation.handler, '__name__', '')}_alias",
        path=operation.path.replace("/runs/", "/agent-runs/"),
        summary=f"{operation.summary} (older path)",
    )


def _known(**schemas: JsonSchema) -> JsonSchema:
    return members(schemas, required=tuple(schemas), closed=False)


CHILDREN: Final = Operation(
    method="GET",
    path="/conversations/{conversation_id}/agent-runs/children-by-parent-conversation",
    handler=list_child_runs,
    tag="runs",
    summary="List the runs that a conversation's runs started",
    description="Newest first; those that have a conversation of their own or share this one.",
    scope=Scope.RUNS_READ,
    parameters=(
        query("cursor", text(1), "The `page_info.next` of the page before."),
        query("limit", {**integer(1), "maximum": MAX_PAGE, "default": DEFAULT_PAGE}, "How many runs."),
    ),
    answers={200: Answer("A page of runs.", projection_page_schema())},
)

START: Final = Operation(
    method="POST",
    path="/conversations/{conversation_id}/agent-runs/{run_id}/start",
    handler=start_agent_run,
    tag="runs",
    summary="Start a run that was created without input",
    description="A run is started once, however often this is sent: every answer but the first says `duplicate`.",
    scope=Scope.RUNS_WRITE,
    body=Body(hosted_input_schema()),
    answers={200: Answer("The run is started, or it was before.", run_started_schema())},
    problems=(404, 413),
)

CANCEL_AGENT_RUN: Final = Operation(
    method="POST",
    path="/conversations/{conversation_id}/agent-runs/{run_id}/cancel",
    handler=cancel_agent_run,
    tag="control",
    summary="Cancel a conversation's run (older path)",
    description="As POST /runs/{run_id}/cancel.",
    scope=Scope.RUNS_WRITE,
    body=Body(cancel_schema(), required=False),
    answers={200: Answer("False when the run had ended already.", _known(cancelled=boolean()))},
    problems=(404, 413),
)

CANCEL_AGENT_STREAM: Final = replace(
    CANCEL_AGENT_RUN,
    name="cancel_agent_stream",
    path="/conversations/{conversation_id}/agent-stream/{run_id}/cancel",
    summary="Cancel a conversation's run (oldest path)",
)

TOOL_RESULT: Final = Operation(
    method="POST",
    path="/conversations/{conversation_id}/agent-stream/{run_id}/tool-result",
    handler=answer_tool_call,
    tag="control",
    summary="Answer a tool call of a conversation's run (older path)",
    description="As POST /runs/{run_id}/resume.",
    scope=Scope.RUNS_WRITE,
    body=Body(tool_result_schema()),
    answers={200: Answer("The answer is accepted.", _known(accepted=boolean(), duplicate=boolean()))},
    problems=(404, 409, 410, 413),
)

ALIASES: Final = tuple(
    _older(operation)
    for operation in (
        events_routes.APPEND,
        events_routes.CONVERSATION_RUN,
        events_routes.CONVERSATION_STREAM,
        events_routes.CONVERSATION_EVENTS,
        snapshot_routes.SNAPSHOT,
    )
)

OPERATIONS: Final = (CHILDREN, START, CANCEL_AGENT_RUN, CANCEL_AGENT_STREAM, TOOL_RESULT, *ALIASES)
"""CHILDREN comes first: its path is also that of a run with a strange id."""
