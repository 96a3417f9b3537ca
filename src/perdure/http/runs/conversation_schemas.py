"""Conversations and messages over HTTP: bodies as schemas, which are published and validate, and answers."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType

from perdure.domain.conversation import ConversationType, MessageStatus, RunPolicy
from perdure.domain.message import Role
from perdure.domain.part import PART_TYPES
from perdure.http.json_schema import JsonSchema, anything, array, choice, free_object, members, nullable, text, uuid
from perdure.http.pagination import PageInfo
from perdure.http.runs.response_schemas import page_schema
from perdure.http.schema_check import SchemaCheck

_MAX_TITLE: Final = 1_000
_MAX_KEY: Final = 255

Metadata = dict[str, object]


class CreateConversationBody(msgspec.Struct, frozen=True):
    """POST /conversations, where a body is sent at all."""

    project_id: UUID | None = None
    type: ConversationType | None = None
    title: str | None = None
    metadata: Metadata | None = None
    run_policy: RunPolicy | None = None


class UpdateConversationBody(msgspec.Struct, frozen=True):
    """PATCH /conversations/{conversation_id}; what is absent stays as it is."""

    project_id: UUID | None = None
    type: ConversationType | None = None
    title: str | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    run_policy: RunPolicy | None = None


class MessageBody(msgspec.Struct, frozen=True):
    """POST /conversations/{conversation_id}/messages. `parts` are read by `domain.part`."""

    role: Role
    parts: list[object]
    idempotency_key: str | None = None
    parent_id: UUID | None = None
    metadata: Metadata | None = None


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation."""

    id: UUID
    project_id: UUID
    type: ConversationType
    title: str | None
    metadata: Raw | None
    run_policy: RunPolicy
    created_at: str
    updated_at: str


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message."""

    id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    run_id: str | None
    role: Role
    status: MessageStatus
    parts: Raw
    metadata: Raw | None
    created_at: str


class ConversationPage(msgspec.Struct, frozen=True):
    """A page of conversations."""

    data: tuple[ConversationView, ...]
    page_info: PageInfo


class MessagePage(msgspec.Struct, frozen=True):
    """A page of messages."""

    data: tuple[MessageView, ...]
    page_info: PageInfo


def create_conversation_schema() -> JsonSchema:
    """The schema of CreateConversationBody."""
    return members(_conversation_members())


def update_conversation_schema() -> JsonSchema:
    """The schema of UpdateConversationBody."""
    return members(_conversation_members())


def _conversation_members() -> dict[str, JsonSchema]:
    return {
        "project_id": nullable(uuid("Its project: the caller's own, unless it is an administrator.")),
        "type": nullable(choice(*ConversationType)),
        "title": nullable(text(max_length=_MAX_TITLE)),
        "metadata": nullable(free_object()),
        "run_policy": nullable(choice(*RunPolicy, description="What becomes of a new run while another one is live.")),
    }


def message_schema() -> JsonSchema:
    """The schema of MessageBody."""
    part = members({"type": choice(*PART_TYPES)}, required=("type",), closed=False)
    return members(
        {
            "role": choice(*Role),
            "parts": array(part, description="What it says."),
            "idempotency_key": nullable(text(1, _MAX_KEY, description="The same key never adds a second message.")),
            "parent_id": nullable(uuid("The message that this one follows.")),
            "metadata": nullable(free_object()),
        },
        required=("role", "parts"),
    )


def conversation_answer_schema() -> JsonSchema:
    """The schema of ConversationView."""
    known = {
        "id": uuid(),
        "project_id": uuid(),
        "type": choice(*ConversationType),
        "title": nullable(text()),
        "metadata": nullable(free_object()),
        "run_policy": choice(*RunPolicy),
        "created_at": text(),
        "updated_at": text(),
    }
    return members(known, required=tuple(known), closed=False)


def message_answer_schema() -> JsonSchema:
    """The schema of MessageView."""
    part = members({"type": text(1)}, required=("type",), closed=False)
    known = {
        "id": uuid(),
        "conversation_id": uuid(),
        "parent_id": nullable(uuid()),
        "run_id": nullable(text(1, description="The run that writes it.")),
        "role": choice(*Role),
        "status": choice(*MessageStatus),
        "parts": array(part),
        "metadata": {**anything(), "type": ["object", "null"]},
        "created_at": text(),
    }
    return members(known, required=tuple(known), closed=False)


def conversation_page_schema() -> JsonSchema:
    """The schema of ConversationPage."""
    return page_schema(conversation_answer_schema())


def message_page_schema() -> JsonSchema:
    """The schema of MessagePage."""
    return page_schema(message_answer_schema())


CREATE_CONVERSATION: Final = SchemaCheck(create_conversation_schema())
UPDATE_CONVERSATION: Final = SchemaCheck(update_conversation_schema())
MESSAGE: Final = SchemaCheck(message_schema())
