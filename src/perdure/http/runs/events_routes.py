"""A run's log over HTTP: append, pages, streams, by run and by conversation; and the conversation's view of a run."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import AppendRefused
from perdure.domain.event import MAX_EVENTS
from perdure.domain.principal import Scope
from perdure.domain.stored_run import Run
from perdure.http.context import core_of, settings_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, boolean, integer, members, nullable, text
from perdure.http.operations import Answer, Body, Operation, header, query, raw_answer
from perdure.http.requests import FENCE_HEADER, boolean_query, conversation_id_of, fence_of, integer_query, read_body
from perdure.http.runs.mapping import events_page, projection
from perdure.http.runs.projections import Projections
from perdure.http.runs.response_schemas import (
    append_answer_schema,
    conversation_events_page_schema,
    events_page_schema,
    projection_schema,
)
from perdure.http.runs.routes import key_of
from perdure.http.runs.stream import CONVERSATION, RENDERERS, TIMED, WHOLE
from perdure.http.sse import EVENT_STREAM, EventStream, rendered, stream_cursor
from perdure.ledger.intake import MAX_TYPE_LENGTH, parse_append
from perdure.services import events, runs

MAX_APPEND_BYTES: Final = 10 * 1024 * 1024
"""The client's own cap of a request (veryfront.md 2.7)."""

MAX_CURSOR: Final = 10**18 - 1
MAX_PAGE: Final = 500
DEFAULT_PAGE: Final = 100


async def append_run_events(request: Request) -> Response:
    """POST /conversations/{conversation_id}/runs/{run_id}/events (seed 003, veryfront.md 2.1)."""
    core = core_of(request)
    projections: Projections = request.app.state.projections
    key = await key_of(request, Scope.EVENTS_APPEND)
    client_tools = await projections.check(core, key, conversation_id_of(request))
    try:
        incoming = parse_append(await read_body(request, MAX_APPEND_BYTES))
        appended = await events.append(core, key, incoming, fence_of(request), client_tools)
    except AppendRefused as error:
        core.metrics.append_refused(error.code)
        raise
    answer = b'{"run":%b,"latest_event_id":%d,"appended_count":%d,"latest_external_event_sequence":%d}' % (
        await projections.after(core, key, appended),
        appended.latest_event_id,
        appended.appended_count,
        appended.latest_external_sequence,
    )
    return raw_answer(answer)


async def get_conversation_run(request: Request) -> Response:
    """GET /conversations/{conversation_id}/runs/{run_id}: the bare projection (veryfront.md section 0, rule 6)."""
    return raw_answer(projection(await conversation_run(request)))


async def list_run_events(request: Request) -> Response:
    """GET /runs/{run_id}/events (veryfront.md 1.3)."""
    run = await runs.get(core_of(request), await key_of(request, Scope.RUNS_READ))
    return await _page(request, run, "payload")


async def list_conversation_run_events(request: Request) -> Response:
    """GET /conversations/{conversation_id}/runs/{run_id}/events (veryfront.md 1.3)."""
    return await _page(request, await conversation_run(request), "event")


async def stream_run(request: Request) -> EventStream:
    """GET /runs/{run_id}/stream: every public event."""
    run = await runs.get(core_of(request), await key_of(request, Scope.RUNS_READ))
    return _stream(request, run, TIMED if boolean_query(request, "times") else WHOLE)


async def stream_conversation_run(request: Request) -> EventStream:
    """GET /conversations/{conversation_id}/runs/{run_id}/stream (veryfront.md 2.5)."""
    return _stream(request, await conversation_run(request), CONVERSATION)


async def conversation_run(request: Request, scope: Scope = Scope.RUNS_READ) -> Run:
    """The run that the path names, in the conversation that it names. Raises RunNotFound, and what `key_of` raises."""
    key = await key_of(request, scope)
    return await runs.get_in_conversation(core_of(request), key, conversation_id_of(request))


async def _page(request: Request, run: Run, member: str) -> Response:
    after = integer_query(request, "after_event_id", 0, 0, MAX_CURSOR)
    limit = integer_query(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
    events.check_cursor(run, after)
    return raw_answer(events_page(await events.page(core_of(request), run.key, after, limit), after, member))


def _stream(request: Request, run: Run, form: str) -> EventStream:
    after = stream_cursor(request)
    events.check_cursor(run, after)
    settings = settings_of(request)
    return EventStream(
        rendered(core_of(request).hub.follow(run.key, after), form, RENDERERS[form]),
        partial(principal_of, request, Scope.RUNS_READ),
        heartbeat_seconds=settings.heartbeat_seconds,
        recheck_seconds=settings.recheck_seconds,
        retry_ms=settings.retry_ms,
    )


def append_schema() -> JsonSchema:
    """The body of an append (seed 003). `ledger/intake.py` reads it without this schema, and says the same."""
    event = members(
        {"type": {**text(1, MAX_TYPE_LENGTH), "description": "Any but RUN_FINISHED and RUN_ERROR."}},
        required=("type",),
        closed=False,
        description="An event in AG-UI's form, of less than 256 KB.",
    )
    cursor = nullable(integer(0))
    return members(
        {
            "events": {**array(event, max_items=MAX_EVENTS), "minItems": 1},
            "expected_previous_event_id": {**cursor, "description": "The run's `latest_event_id` as you know it."},
            "expected_previous_external_event_sequence": {
                **cursor,
                "description": "The run's `latest_external_event_sequence` as you know it.",
            },
        },
        required=("events",),
        closed=False,
    )


def fence_parameter() -> JsonSchema:
    """The header by which an external worker is told apart from the one that took the run over."""
    description = "The `fence` of an external worker's claim: nothing happens once another claim has followed."
    return header(FENCE_HEADER, text(pattern="^[0-9]{1,9}$"), description)


def _page_parameters() -> tuple[JsonSchema, ...]:
    return (
        query("after_event_id", {**integer(0), "default": 0}, "Events that follow this one."),
        query("limit", {**integer(1), "maximum": MAX_PAGE, "default": DEFAULT_PAGE}, "How many events."),
    )


def _stream_parameters() -> tuple[JsonSchema, ...]:
    return (
        header("Last-Event-ID", text(pattern="^[0-9]{0,18}$"), "Go on after this event; it wins over `after`."),
        query("after", {**integer(0), "maximum": MAX_CURSOR}, "Begin after this event; without it, at the beginning."),
    )


def _stream_answer() -> Answer:
    return Answer(
        "The events that there are and those to come, until the run's terminal event. A frame is `id: <event_id>`, "
        "`event: <name>`, `data: <the event as JSON>`; comments are heartbeats.",
        members(
            {
                "id": text(pattern="^[0-9]+$", description="The event's id: the cursor after it."),
                "event": text(
                    1, description="The event's type in PascalCase (`TEXT_MESSAGE_CONTENT`: TextMessageContent)."
                ),
                "data": {**text(), "contentMediaType": "application/json", "description": "The event as JSON."},
            },
            required=("id", "event", "data"),
            description="One frame.",
        ),
        EVENT_STREAM,
    )


APPEND: Final = Operation(
    method="POST",
    path="/conversations/{conversation_id}/runs/{run_id}/events",
    handler=append_run_events,
    tag="events",
    summary="Append events to a run",
    description=(
        "All events are stored, or none. With an expected cursor a repeated request is recognised, wholly or in part, "
        "and stored once. Every refusal is a 400 whose `detail` names its reason."
    ),
    scope=Scope.EVENTS_APPEND,
    parameters=(fence_parameter(),),
    body=Body(append_schema()),
    answers={200: Answer("The run and its cursors after the append.", append_answer_schema())},
    problems=(404, 413),
)

STREAM: Final = Operation(
    method="GET",
    path="/runs/{run_id}/stream",
    handler=stream_run,
    tag="events",
    summary="Follow a run",
    scope=Scope.RUNS_READ,
    parameters=(
        *_stream_parameters(),
        query("times", boolean(), "Say in a field `time` of each frame when it was written, in ms since 1970."),
    ),
    answers={200: _stream_answer()},
)

CONVERSATION_STREAM: Final = Operation(
    method="GET",
    path="/conversations/{conversation_id}/runs/{run_id}/stream",
    handler=stream_conversation_run,
    tag="events",
    summary="Follow a conversation's run",
    description="As GET /runs/{run_id}/stream, without STEP_* events and the low-level REASONING_START and _END.",
    scope=Scope.RUNS_READ,
    parameters=_stream_parameters(),
    answers={200: _stream_answer()},
)

CONVERSATION_RUN: Final = Operation(
    method="GET",
    path="/conversations/{conversation_id}/runs/{run_id}",
    handler=get_conversation_run,
    tag="runs",
    summary="Read a conversation's run",
    scope=Scope.RUNS_READ,
    answers={200: Answer("The run as its conversation sees it.", projection_schema())},
)

EVENTS: Final = Operation(
    method="GET",
    path="/runs/{run_id}/events",
    handler=list_run_events,
    tag="events",
    summary="List a run's events",
    scope=Scope.RUNS_READ,
    parameters=_page_parameters(),
    answers={200: Answer("A page of events.", events_page_schema())},
)

CONVERSATION_EVENTS: Final = Operation(
    method="GET",
    path="/conversations/{conversation_id}/runs/{run_id}/events",
    handler=list_conversation_run_events,
    tag="events",
    summary="List the events of a conversation's run",
    scope=Scope.RUNS_READ,
    parameters=_page_parameters(),
    answers={200: Answer("A page of events.", conversation_events_page_schema())},
)
