"""Input requests over HTTP: bodies as schemas, which are published and validate, and answers (veryfront.md 1.6)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Raw

from perdure.domain.input_request import InputStatus, Responder
from perdure.http.json_schema import (
    JsonSchema,
    array,
    boolean,
    choice,
    free_object,
    integer,
    members,
    nullable,
    text,
    uuid,
)
from perdure.http.pagination import PageInfo
from perdure.http.runs.response_schemas import page_schema
from perdure.http.schema_check import SchemaCheck

_TIME: Final = (
    "^2[0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])$"
)
_FIELD: Final = ("type", "name", "label")


class CreateInputRequestBody(msgspec.Struct, frozen=True):
    """POST /conversations/{conversation_id}/input-requests."""

    run_id: str
    tool_call_id: str
    kind: str
    title: str
    fields: list[dict[str, Any]]
    requested_responder_type: Responder = Responder.HUMAN
    description: str | None = None
    expires_at: str | None = None
    metadata: dict[str, Any] | None = None


class ResponseView(msgspec.Struct, frozen=True, kw_only=True):
    """A response."""

    id: UUID
    input_request_id: UUID
    conversation_id: UUID
    run_id: str
    actor_type: Responder
    actor_id: str
    values: Raw
    created_at: str


class InputRequestView(msgspec.Struct, frozen=True, kw_only=True):
    """An input request."""

    id: UUID
    conversation_id: UUID
    run_id: str
    tool_call_id: str
    kind: str
    status: InputStatus
    requested_responder_type: Responder
    title: str
    description: str | None
    fields: Raw
    recommendations: None
    metadata: Raw | None
    created_at: str
    expires_at: str | None
    submitted_at: str | None
    cancelled_at: str | None
    expired_at: str | None
    latest_response: ResponseView | None


class InputRequestPage(msgspec.Struct, frozen=True):
    """A page of input requests."""

    data: tuple[InputRequestView, ...]
    page_info: PageInfo


def create_input_request_schema() -> JsonSchema:
    """The schema of CreateInputRequestBody."""
    return members(
        {
            "run_id": text(1, 128, description="A run of the conversation."),
            "tool_call_id": text(1, 255),
            "kind": choice("form"),
            "requested_responder_type": choice(*Responder),
            "title": text(1, 1_000),
            "description": nullable(text(max_length=20_000)),
            "fields": {**array({"oneOf": _fields()}, max_items=100), "minItems": 1},
            "expires_at": nullable(text(pattern=_TIME, description="By the server's clock. Null: never.")),
            "metadata": nullable(free_object()),
        },
        required=("run_id", "tool_call_id", "kind", "title", "fields"),
    )


def respond_schema() -> JsonSchema:
    """The body of POST …/responses. Whether the values fit is said by the request's own fields."""
    return members({"values": free_object("A value (text, number, truth value, null) by field.")}, required=("values",))


def _fields() -> list[JsonSchema]:
    """One alternative for each type of field."""
    hint, lengths = {"placeholder": text(max_length=512)}, {"minLength": integer(0), "maxLength": integer(1)}
    limits: dict[str, JsonSchema] = {"min": {"type": "number"}, "max": {"type": "number"}}
    typed = {**hint, **lengths, **limits, "defaultValue": text(), "pattern": text(max_length=512)}
    option = members(
        {"value": text(), "label": text(), "description": text(), "recommended": boolean()}, required=("value", "label")
    )
    options = {"options": {**array(option, max_items=1_000), "minItems": 1}}
    label = text(max_length=64)
    return [
        *(_field(kind, typed) for kind in ("text", "email", "url", "password", "number")),
        _field("textarea", {**hint, **lengths, "defaultValue": text(), "rows": integer(1)}),
        _field("select", {**hint, **options, "defaultValue": text()}, ("options",)),
        _field("radio", {**options, "defaultValue": text()}, ("options",)),
        _field("checkbox", {"defaultValue": boolean()}),
        _field("confirm", {"confirmLabel": label, "denyLabel": label}),
    ]


def _field(kind: str, more: dict[str, JsonSchema], required: tuple[str, ...] = ()) -> JsonSchema:
    known = {
        "type": choice(kind),
        "name": text(1, 128),
        "label": text(1, 256),
        "description": text(max_length=1_024),
        "required": boolean(),
        "secret": boolean(),
        **more,
    }
    return members(known, required=(*_FIELD, *required))


def input_request_schema() -> JsonSchema:
    """The schema of InputRequestView."""
    response = {
        "id": uuid(),
        "input_request_id": uuid(),
        "conversation_id": uuid(),
        "run_id": text(1),
        "actor_type": choice(*Responder),
        "actor_id": text(),
        "values": free_object(),
        "created_at": text(),
    }
    moment = nullable(text())
    known = {
        "id": uuid(),
        "conversation_id": uuid(),
        "run_id": text(1),
        "tool_call_id": text(1),
        "kind": choice("form"),
        "status": choice(*InputStatus),
        "requested_responder_type": choice(*Responder),
        "title": text(),
        "description": nullable(text()),
        "fields": array(members({"type": text(1), "name": text(1)}, required=("type", "name"), closed=False)),
        "recommendations": nullable(free_object()),
        "metadata": nullable(free_object()),
        "created_at": text(),
        "expires_at": moment,
        "submitted_at": moment,
        "cancelled_at": moment,
        "expired_at": moment,
        "latest_response": nullable(members(response, required=tuple(response), closed=False)),
    }
    return members(known, required=tuple(known), closed=False)


def input_request_page_schema() -> JsonSchema:
    """The schema of InputRequestPage."""
    return page_schema(input_request_schema())


CREATE_INPUT_REQUEST: Final = SchemaCheck(create_input_request_schema())
RESPOND: Final = SchemaCheck(respond_schema())
