"""Conversations and their messages: `/conversations` (veryfront.md 1.5)."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.conversation import ConversationType, RunPolicy
from perdure.domain.errors import Conflict, InvalidRequest, NotAllowed
from perdure.domain.ids import ConversationId, ProjectId
from perdure.domain.principal import Principal, Scope
from perdure.http.context import core_of, settings_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, integer, text
from perdure.http.operations import Answer, Body, Operation, json_answer, query
from perdure.http.pagination import decode_cursor
from perdure.http.requests import conversation_id_of, integer_query, read_as, read_body, text_query
from perdure.http.runs.conversation_mapping import (
    conversation_change,
    conversation_page,
    conversation_view,
    message_page,
    message_request,
    message_view,
    metadata_json,
)
from perdure.http.runs.conversation_schemas import (
    CREATE_CONVERSATION,
    MESSAGE,
    UPDATE_CONVERSATION,
    CreateConversationBody,
    MessageBody,
    UpdateConversationBody,
    conversation_answer_schema,
    conversation_page_schema,
    create_conversation_schema,
    message_answer_schema,
    message_page_schema,
    message_schema,
    update_conversation_schema,
)
from perdure.http.runs.projections import Projections
from perdure.services import conversations, messages, scoping

MAX_PAGE: Final = conversations.MAX_PAGE
DEFAULT_PAGE: Final = 50
_MAX_MESSAGE: Final = 4 * 1024 * 1024
_MAX_POSITION: Final = 10**18 - 1


async def create_conversation(request: Request) -> Response:
    """POST /conversations."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    sent = await read_body(request)
    body = read_as(sent, CreateConversationBody, CREATE_CONVERSATION) if sent.strip() else CreateConversationBody()
    project_id = await _project(request, principal, body.project_id)
    made = await conversations.create(
        core,
        project_id,
        type=body.type or ConversationType.CHAT,
        title=body.title,
        metadata=metadata_json(body.metadata),
        run_policy=body.run_policy or RunPolicy.ALLOW,
    )
    return json_answer(conversation_view(made), 201)


async def list_conversations(request: Request) -> Response:
    """GET /conversations: those of the caller's project."""
    principal = await principal_of(request, Scope.RUNS_READ)
    project_id = await _project(request, principal, None)
    cursor = text_query(request, "cursor")
    limit = integer_query(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
    before = None if cursor is None else _keyset(cursor)
    found = await conversations.list_page(core_of(request), project_id, before=before, limit=limit)
    return json_answer(conversation_page(found, limit, cursor))


async def get_conversation(request: Request) -> Response:
    """GET /conversations/{conversation_id}."""
    place = await conversation_place(request, Scope.RUNS_READ)
    return json_answer(conversation_view(await conversations.get(core_of(request), *place)))


async def update_conversation(request: Request) -> Response:
    """PATCH /conversations/{conversation_id}. A conversation stays in its project."""
    project_id, conversation_id = await conversation_place(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request), UpdateConversationBody, UPDATE_CONVERSATION)
    await conversations.get(core_of(request), project_id, conversation_id)
    if body.project_id is not None and body.project_id != project_id:
        await _project(request, await principal_of(request, Scope.RUNS_WRITE), body.project_id)
        raise Conflict("The conversation belongs to another project, and cannot be moved.")
    change = conversation_change(body)
    return json_answer(
        conversation_view(await conversations.update(core_of(request), project_id, conversation_id, change))
    )


async def delete_conversation(request: Request) -> Response:
    """DELETE /conversations/{conversation_id}, with everything in it."""
    project_id, conversation_id = await conversation_place(request, Scope.RUNS_WRITE)
    wait_seconds = settings_of(request).cancel_wait_seconds
    gone = await conversations.delete(core_of(request), project_id, conversation_id, wait_seconds)
    projections: Projections = request.app.state.projections
    projections.forget(gone)
    return Response(status_code=204)


async def create_message(request: Request) -> Response:
    """POST /conversations/{conversation_id}/messages."""
    project_id, conversation_id = await conversation_place(request, Scope.RUNS_WRITE)
    wanted = message_request(read_as(await read_body(request, _MAX_MESSAGE), MessageBody, MESSAGE))
    added = await messages.add(core_of(request), project_id, conversation_id, wanted)
    return json_answer(message_view(added.message), 200 if added.duplicate else 201)


async def list_messages(request: Request) -> Response:
    """GET /conversations/{conversation_id}/messages."""
    project_id, conversation_id = await conversation_place(request, Scope.RUNS_READ)
    cursor = text_query(request, "cursor")
    before = None if cursor is None else integer_query(request, "cursor", 0, 0, _MAX_POSITION)
    limit = integer_query(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
    found, following = await messages.page(core_of(request), project_id, conversation_id, before=before, limit=limit)
    return json_answer(message_page(found, following, cursor))


async def conversation_place(request: Request, scope: Scope) -> tuple[ProjectId, ConversationId]:
    """Where the path's conversation is, for a principal that holds `scope`. It may not exist.

    Raises NotAuthenticated, NotAllowed and ConversationNotFound.
    """
    principal = await principal_of(request, scope)
    _refuse_run_tokens(principal)
    conversation_id = conversation_id_of(request)
    return await scoping.project_of_conversation(core_of(request), principal, conversation_id), conversation_id


async def _project(request: Request, principal: Principal, wanted: UUID | None) -> ProjectId:
    """The principal's own project, or the one that it names. Raises ProjectNotFound."""
    _refuse_run_tokens(principal)
    if wanted is None or wanted == principal.project_id:
        return principal.project_id
    return (await scoping.project_by_ref(core_of(request), principal, str(wanted))).id


def _refuse_run_tokens(principal: Principal) -> None:
    if principal.run_id is not None:
        raise NotAllowed("This token is good for one run only.")


def _keyset(cursor: str) -> tuple[datetime, UUID]:
    created_at, last = decode_cursor(cursor)
    try:
        return created_at, UUID(last)
    except ValueError:
        detail = "The query parameter `cursor` must be a cursor from a page's `page_info.next`."
        raise InvalidRequest(detail) from None


def _limit(what: str) -> JsonSchema:
    return query("limit", {**integer(1), "maximum": MAX_PAGE, "default": DEFAULT_PAGE}, f"How many {what}.")


CREATE: Final = Operation(
    method="POST",
    path="/conversations",
    handler=create_conversation,
    tag="conversations",
    summary="Create a conversation",
    scope=Scope.RUNS_WRITE,
    body=Body(create_conversation_schema(), required=False),
    answers={201: Answer("The conversation.", conversation_answer_schema())},
    problems=(404, 413),
)

LIST: Final = Operation(
    method="GET",
    path="/conversations",
    handler=list_conversations,
    tag="conversations",
    summary="List conversations",
    description="The conversations of the caller's project, newest first.",
    scope=Scope.RUNS_READ,
    parameters=(query("cursor", text(1), "The `page_info.next` of the page before."), _limit("conversations")),
    answers={200: Answer("A page of conversations.", conversation_page_schema())},
    problems=(),
)

GET: Final = Operation(
    method="GET",
    path="/conversations/{conversation_id}",
    handler=get_conversation,
    tag="conversations",
    summary="Read a conversation",
    scope=Scope.RUNS_READ,
    answers={200: Answer("The conversation.", conversation_answer_schema())},
)

UPDATE: Final = Operation(
    method="PATCH",
    path="/conversations/{conversation_id}",
    handler=update_conversation,
    tag="conversations",
    summary="Change a conversation",
    description="What is absent stays as it is; `metadata` is replaced as a whole.",
    scope=Scope.RUNS_WRITE,
    body=Body(update_conversation_schema()),
    answers={200: Answer("The conversation as it is now.", conversation_answer_schema())},
    problems=(404, 409, 413),
)

DELETE: Final = Operation(
    method="DELETE",
    path="/conversations/{conversation_id}",
    handler=delete_conversation,
    tag="conversations",
    summary="Delete a conversation",
    description="Its messages, runs and their events go with it. What still runs is cancelled first.",
    scope=Scope.RUNS_WRITE,
    answers={204: Answer("The conversation is gone.")},
)

CREATE_MESSAGE: Final = Operation(
    method="POST",
    path="/conversations/{conversation_id}/messages",
    handler=create_message,
    tag="conversations",
    summary="Add a message",
    description="An `idempotency_key` makes it safe to send the request again.",
    scope=Scope.RUNS_WRITE,
    body=Body(message_schema()),
    answers={
        200: Answer("The message, which an earlier request with this key added.", message_answer_schema()),
        201: Answer("The message.", message_answer_schema()),
    },
    problems=(404, 409, 413),
)

LIST_MESSAGES: Final = Operation(
    method="GET",
    path="/conversations/{conversation_id}/messages",
    handler=list_messages,
    tag="conversations",
    summary="List the messages of a conversation",
    description=(
        "The first page ends with the newest message, `page_info.next` leads to older ones; within a page the oldest "
        "comes first. The message that a run writes has the status `streaming` until the run has ended."
    ),
    scope=Scope.RUNS_READ,
    parameters=(
        query("cursor", text(pattern="^[0-9]{1,18}$"), "The `page_info.next` of the page before."),
        _limit("messages"),
    ),
    answers={200: Answer("A page of messages.", message_page_schema())},
)

OPERATIONS: Final = (CREATE, LIST, GET, UPDATE, DELETE, CREATE_MESSAGE, LIST_MESSAGES)
