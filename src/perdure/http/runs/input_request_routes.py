"""Input requests: `/conversations/{conversation_id}/input-requests` (veryfront.md 1.6)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest, NotFound
from perdure.domain.input_request import InputStatus
from perdure.domain.principal import Scope
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, choice, integer, text, uuid
from perdure.http.operations import Answer, Body, Operation, json_answer, query
from perdure.http.requests import integer_query, read_as, read_body, read_checked, text_query
from perdure.http.runs.conversation_routes import conversation_place
from perdure.http.runs.input_request_mapping import (
    input_request_page,
    input_request_view,
    keyset,
    question,
    scalar_values,
)
from perdure.http.runs.input_request_schemas import (
    CREATE_INPUT_REQUEST,
    RESPOND,
    CreateInputRequestBody,
    create_input_request_schema,
    input_request_page_schema,
    input_request_schema,
    respond_schema,
)
from perdure.services import input_requests, scoping

_PATH: Final = "/conversations/{conversation_id}/input-requests"
_ONE: Final = _PATH + "/{input_request_id}"
_TAG: Final = "input requests"
_DEFAULT_PAGE: Final = 50
_MAX_FORM: Final = 128 * 1024
_MAX_RESPONSE: Final = 64 * 1024
"""Form and response together become an event, which is less than 256 KB."""


async def create_input_request(request: Request) -> Response:
    """POST /conversations/{conversation_id}/input-requests."""
    place = await conversation_place(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request, _MAX_FORM), CreateInputRequestBody, CREATE_INPUT_REQUEST)
    made = await input_requests.create(core_of(request), *place, question(body))
    return json_answer(input_request_view(made), 201)


async def list_input_requests(request: Request) -> Response:
    """GET /conversations/{conversation_id}/input-requests."""
    place = await conversation_place(request, Scope.RUNS_READ)
    cursor = text_query(request, "cursor")
    limit = integer_query(request, "limit", _DEFAULT_PAGE, 1, input_requests.MAX_PAGE)
    found = await input_requests.list_page(
        core_of(request),
        *place,
        status=_status(request),
        before=None if cursor is None else keyset(cursor),
        limit=limit,
    )
    return json_answer(input_request_page(found, limit, cursor))


async def list_open_input_requests(request: Request) -> Response:
    """GET /projects/{ref}/input-requests."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_READ)
    project = await scoping.project_by_ref(core, principal, request.path_params["ref"])
    cursor = text_query(request, "cursor")
    limit = integer_query(request, "limit", _DEFAULT_PAGE, 1, input_requests.MAX_PAGE)
    before = None if cursor is None else keyset(cursor)
    found = await input_requests.list_open(core, project.id, before=before, limit=limit)
    return json_answer(input_request_page(found, limit, cursor))


async def get_input_request(request: Request) -> Response:
    """GET /conversations/{conversation_id}/input-requests/{input_request_id}."""
    place = await conversation_place(request, Scope.RUNS_READ)
    return json_answer(input_request_view(await input_requests.get(core_of(request), *place, _id(request))))


async def respond_to_input_request(request: Request) -> Response:
    """POST /conversations/{conversation_id}/input-requests/{input_request_id}/responses."""
    place = await conversation_place(request, Scope.RUNS_WRITE)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    body = read_checked(await read_body(request, _MAX_RESPONSE), RESPOND)
    sent = body["values"] if isinstance(body, dict) else {}
    values = scalar_values(sent)
    done = await input_requests.respond(core_of(request), *place, _id(request), values, principal.subject)
    return json_answer(input_request_view(done))


async def cancel_input_request(request: Request) -> Response:
    """POST /conversations/{conversation_id}/input-requests/{input_request_id}/cancel."""
    place = await conversation_place(request, Scope.RUNS_WRITE)
    return json_answer(input_request_view(await input_requests.cancel(core_of(request), *place, _id(request))))


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["input_request_id"])
    except ValueError:
        raise NotFound("An input request's id is a UUID.") from None


def _status(request: Request) -> InputStatus | None:
    value = text_query(request, "status")
    if value is None:
        return None
    if value not in list(InputStatus):
        raise InvalidRequest(f"The query parameter `status` must be one of {', '.join(InputStatus)}.")
    return InputStatus(value)


def _page_parameters() -> tuple[JsonSchema, ...]:
    return (
        query("cursor", text(1), "The `page_info.next` of the page before."),
        query(
            "limit",
            {**integer(1), "maximum": input_requests.MAX_PAGE, "default": _DEFAULT_PAGE},
            "How many input requests.",
        ),
    )


CREATE: Final = Operation(
    method="POST",
    path=_PATH,
    handler=create_input_request,
    tag=_TAG,
    summary="Ask for input",
    description=(
        "Puts a form before somebody, for a tool call of a run. The run's log tells it as the CUSTOM event "
        "`veryfront.input_request.lifecycle`, and again when it is settled. A run that has ended asks nothing (409), "
        "and its end cancels what is open."
    ),
    scope=Scope.RUNS_WRITE,
    body=Body(create_input_request_schema()),
    answers={201: Answer("The input request.", input_request_schema())},
    problems=(404, 409, 413),
)

LIST: Final = Operation(
    method="GET",
    path=_PATH,
    handler=list_input_requests,
    tag=_TAG,
    summary="List the input requests of a conversation",
    description="Newest first.",
    scope=Scope.RUNS_READ,
    parameters=(query("status", choice(*InputStatus), "Only those with this status."), *_page_parameters()),
    answers={200: Answer("A page of input requests.", input_request_page_schema())},
)

GET: Final = Operation(
    method="GET",
    path=_ONE,
    handler=get_input_request,
    tag=_TAG,
    summary="Read an input request",
    description="After its `expires_at` it is `expired`, unless it was settled before.",
    scope=Scope.RUNS_READ,
    path_schemas={"input_request_id": uuid()},
    answers={200: Answer("The input request.", input_request_schema())},
)

RESPONSES: Final = Operation(
    method="POST",
    path=_ONE + "/responses",
    handler=respond_to_input_request,
    tag=_TAG,
    summary="Answer an input request",
    description=(
        "A value that does not fit its field is a 400 that names the field. The first response stands; the same one "
        "once more is answered with it. In the run's log the values of secret fields are null."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"input_request_id": uuid()},
    body=Body(respond_schema()),
    answers={200: Answer("The input request, submitted.", input_request_schema())},
    problems=(404, 409, 413),
)

CANCEL: Final = Operation(
    method="POST",
    path=_ONE + "/cancel",
    handler=cancel_input_request,
    tag=_TAG,
    summary="Cancel an input request",
    scope=Scope.RUNS_WRITE,
    path_schemas={"input_request_id": uuid()},
    answers={200: Answer("The input request, cancelled.", input_request_schema())},
    problems=(404, 409),
)

LIST_OPEN: Final = Operation(
    method="GET",
    path="/projects/{ref}/input-requests",
    handler=list_open_input_requests,
    tag=_TAG,
    summary="List the open input requests of a project",
    description="What the project's runs ask and nobody has answered yet, newest first.",
    scope=Scope.RUNS_READ,
    parameters=_page_parameters(),
    path_schemas={"ref": text(1)},
    answers={200: Answer("A page of input requests.", input_request_page_schema())},
)

OPERATIONS: Final = (GET, CREATE, LIST, RESPONSES, CANCEL, LIST_OPEN)
