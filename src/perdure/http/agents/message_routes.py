"""Read, follow and write the messages of an agent run (vertesia.md 1.2, 3.5)."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.event import custom
from perdure.domain.principal import Scope
from perdure.http.agents.message import MessageType
from perdure.http.agents.message_feed import MessageFeeds
from perdure.http.agents.messages import messages_of
from perdure.http.agents.requests import (
    body_of,
    check_query,
    flag_query,
    number_query,
    principal_of_stream,
    run_for,
    run_of,
)
from perdure.http.agents.run_routes import PATH, TAG
from perdure.http.agents.schemas import message_schema
from perdure.http.context import core_of, settings_of
from perdure.http.json_schema import array, boolean, choice, free_object, integer, members, number, text
from perdure.http.operations import Answer, Body, Operation, json_answer, query
from perdure.http.schema_check import SchemaCheck
from perdure.http.sse import EVENT_STREAM, EventStream
from perdure.services import control, events

_POSTED: Final = {
    "type": {**integer(0), "maximum": max(MessageType), "description": "The sort of message (default: 3, an update)."},
    "message": text(),
    "details": free_object(),
    "workstream_id": text(max_length=255),
    "timestamp": number(description="Accepted; a message has the time at which it is written."),
    "workflow_run_id": text(description="Accepted; a message belongs to the run of the path."),
}
_POST_SCHEMA: Final = members(_POSTED)
_POST_CHECK: Final = SchemaCheck(_POST_SCHEMA)
_STREAM_QUERY: Final = frozenset({"since", "skipHistory", "access_token"})


async def list_messages(request: Request) -> Response:
    """GET /api/v1/agents/{run_id}/updates: the messages that last, oldest first."""
    run = await run_of(request, Scope.RUNS_READ)
    check_query(request, frozenset({"since"}))
    since = number_query(request, "since") or 0
    found = await messages_of(events.rows(core_of(request), run.key))
    return json_answer({"messages": [message for message in found if (message.ts or 0) > since]})


async def post_message(request: Request) -> Response:
    """POST /api/v1/agents/{run_id}/updates. The one answer of the dialect with 201 (vertesia.md section 0)."""
    run = await run_of(request, Scope.RUNS_WRITE)
    body = await body_of(request, _POST_CHECK, _POSTED)
    value: dict[str, object] = {"type": body.get("type", int(MessageType.UPDATE)), "message": body.get("message", "")}
    if "details" in body:
        value["details"] = body["details"]
    if "workstream_id" in body:
        value["workstreamId"] = body["workstream_id"]
    await control.note(core_of(request), run.key, custom("perdure.message", value))
    return json_answer({"success": True}, 201)


async def stream_messages(request: Request) -> EventStream:
    """GET /api/v1/agents/{run_id}/stream."""
    principal = await principal_of_stream(request, Scope.RUNS_READ)
    run = await run_for(request, principal)
    check_query(request, _STREAM_QUERY)
    since, skip = number_query(request, "since"), flag_query(request, "skipHistory")
    feeds: MessageFeeds = request.app.state.message_feeds
    settings = settings_of(request)
    return EventStream(
        feeds.follow(run, since or None, skip_history=skip),
        partial(principal_of_stream, request, Scope.RUNS_READ),
        heartbeat_seconds=settings.heartbeat_seconds,
        recheck_seconds=settings.recheck_seconds,
        retry_ms=settings.retry_ms,
    )


LIST: Final = Operation(
    method="GET",
    path=f"{PATH}/{{run_id}}/updates",
    handler=list_messages,
    name="list_agent_messages",
    tag=TAG,
    summary="Read an agent run's messages",
    scope=Scope.RUNS_READ,
    parameters=(query("since", number(), "Messages after this time, in milliseconds since 1970."),),
    answers={
        200: Answer(
            "The messages, oldest first.", members({"messages": array(message_schema())}, required=("messages",))
        )
    },
)

POST: Final = Operation(
    method="POST",
    path=f"{PATH}/{{run_id}}/updates",
    handler=post_message,
    tag=TAG,
    summary="Write a message into an agent run",
    scope=Scope.RUNS_WRITE,
    body=Body(_POST_SCHEMA),
    answers={201: Answer("It is in the run's log.", members({"success": boolean()}, required=("success",)))},
    problems=(404, 409, 413),
)

STREAM: Final = Operation(
    method="GET",
    path=f"{PATH}/{{run_id}}/stream",
    handler=stream_messages,
    tag=TAG,
    summary="Follow an agent run's messages",
    description=(
        "Without `since` all messages, then those to come. A text that is being written comes in chunks (type 12): "
        "they are live only, and the whole message takes their place. The key or token may be in `access_token`."
    ),
    scope=Scope.RUNS_READ,
    parameters=(
        query("since", number(), "Messages after this time, in milliseconds since 1970."),
        query("skipHistory", boolean(), "Without `since`: only what comes from now on."),
        query("access_token", text(1), "A key or token, for clients that cannot send headers here."),
    ),
    answers={
        200: Answer(
            "A frame is `data: <the message as JSON>`; comments are heartbeats.",
            members(
                {
                    "event": choice("message", description="Frames have no name, which means this one."),
                    "data": {**text(), "contentMediaType": "application/json", "contentSchema": message_schema()},
                },
                required=("data",),
                description="One frame.",
            ),
            EVENT_STREAM,
        )
    },
)

OPERATIONS: Final = (STREAM, LIST, POST)
