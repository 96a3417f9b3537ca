"""Between input requests over HTTP and the domain: pure functions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Raw

from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import RunId
from perdure.domain.input_request import InputRequest, InputStatus, Values
from perdure.domain.json_text import pointer_token
from perdure.http.pagination import PageInfo, decode_cursor, encode_cursor
from perdure.http.runs.input_request_schemas import (
    CreateInputRequestBody,
    InputRequestPage,
    InputRequestView,
    ResponseView,
)
from perdure.http.runs.mapping import iso
from perdure.services.input_requests import Question


def question(body: CreateInputRequestBody) -> Question:
    """What a POST asks. Raises InvalidRequest for an `expires_at` that is on no calendar."""
    return Question(
        run_id=RunId(body.run_id),
        tool_call_id=body.tool_call_id,
        responder=body.requested_responder_type,
        title=body.title,
        description=body.description,
        fields=body.fields,
        metadata=body.metadata,
        expires_at=None if body.expires_at is None else _time(body.expires_at),
    )


def scalar_values(values: dict[str, object]) -> Values:
    """The values of a response. Raises InvalidRequest, with the field's name, for arrays and objects."""
    kept = {name: value for name, value in values.items() if value is None or isinstance(value, str | int | float)}
    for name in values:
        if name not in kept:
            detail = f"The value of the field `{name}` must be a string, a number, true, false or null."
            raise InvalidRequest(detail, pointer="/values" + pointer_token(name))
    return kept


def input_request_view(request: InputRequest) -> InputRequestView:
    """An input request as it is answered."""
    settled = None if request.settled_at is None else iso(request.settled_at)
    return InputRequestView(
        id=request.id,
        conversation_id=request.conversation_id,
        run_id=request.run_id,
        tool_call_id=request.tool_call_id,
        kind="form",
        status=request.status,
        requested_responder_type=request.responder,
        title=request.title,
        description=request.description,
        fields=Raw(request.fields),
        recommendations=None,
        metadata=None if request.metadata is None else Raw(request.metadata),
        created_at=iso(request.created_at),
        expires_at=None if request.expires_at is None else iso(request.expires_at),
        submitted_at=settled if request.status is InputStatus.SUBMITTED else None,
        cancelled_at=settled if request.status is InputStatus.CANCELLED else None,
        expired_at=settled if request.status is InputStatus.EXPIRED else None,
        latest_response=_response(request),
    )


def input_request_page(found: list[InputRequest], limit: int, cursor: str | None) -> InputRequestPage:
    """A page of at most `limit` of the requests; one more among them says that another page follows."""
    shown = found[:limit]
    following = encode_cursor(shown[-1].created_at, str(shown[-1].id)) if len(found) > limit else None
    return InputRequestPage(tuple(map(input_request_view, shown)), PageInfo(cursor, following))


def keyset(cursor: str) -> tuple[datetime, UUID]:
    """Where a page begins. Raises InvalidRequest."""
    created_at, last = decode_cursor(cursor)
    try:
        return created_at, UUID(last)
    except ValueError:
        detail = "The query parameter `cursor` must be a cursor from a page's `page_info.next`."
        raise InvalidRequest(detail) from None


def _response(request: InputRequest) -> ResponseView | None:
    given = request.response
    if given is None:
        return None
    return ResponseView(
        id=given.id,
        input_request_id=request.id,
        conversation_id=request.conversation_id,
        run_id=request.run_id,
        actor_type=request.responder,
        actor_id=given.actor_id,
        values=Raw(given.values),
        created_at=iso(given.created_at),
    )


def _time(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise InvalidRequest("`/expires_at` must be a time in ISO 8601.", pointer="/expires_at") from None
