"""Between conversations over HTTP and the domain: pure functions."""

from __future__ import annotations

import msgspec
from msgspec import Raw, UnsetType

from perdure.domain.conversation import Conversation, ConversationChange, StoredMessage
from perdure.domain.part import parse_parts
from perdure.http.pagination import PageInfo, encode_cursor
from perdure.http.runs.conversation_schemas import (
    ConversationPage,
    ConversationView,
    MessageBody,
    MessagePage,
    MessageView,
    Metadata,
    UpdateConversationBody,
)
from perdure.http.runs.mapping import iso
from perdure.services.messages import MessageRequest


def metadata_json(value: Metadata | None) -> str | None:
    """Metadata as it is stored."""
    return None if value is None else msgspec.json.encode(value).decode()


def conversation_change(body: UpdateConversationBody) -> ConversationChange:
    """What a PATCH replaces."""
    title, metadata = body.title, body.metadata
    return ConversationChange(
        type=body.type,
        run_policy=body.run_policy,
        title=None if isinstance(title, UnsetType) else title,
        metadata=None if isinstance(metadata, UnsetType) else metadata_json(metadata),
        changes_title=not isinstance(title, UnsetType),
        changes_metadata=not isinstance(metadata, UnsetType),
    )


def message_request(body: MessageBody) -> MessageRequest:
    """What a POST of a message asks for. Raises InvalidRequest with the place of a part that is none."""
    return MessageRequest(
        body.role,
        parse_parts(body.parts, "/parts"),
        body.parent_id,
        metadata_json(body.metadata),
        body.idempotency_key,
    )


def conversation_view(conversation: Conversation) -> ConversationView:
    """A conversation as it is answered."""
    return ConversationView(
        id=conversation.id,
        project_id=conversation.project_id,
        type=conversation.type,
        title=conversation.title,
        metadata=_raw(conversation.metadata),
        run_policy=conversation.run_policy,
        created_at=iso(conversation.created_at),
        updated_at=iso(conversation.updated_at),
    )


def conversation_page(found: list[Conversation], limit: int, cursor: str | None) -> ConversationPage:
    """A page of at most `limit` of the conversations; one more among them says that another page follows."""
    shown = found[:limit]
    following = encode_cursor(shown[-1].created_at, str(shown[-1].id)) if len(found) > limit else None
    return ConversationPage(tuple(map(conversation_view, shown)), PageInfo(cursor, following))


def message_view(message: StoredMessage) -> MessageView:
    """A message as it is answered."""
    return MessageView(
        id=message.id,
        conversation_id=message.conversation_id,
        parent_id=message.parent_id,
        run_id=message.run_id,
        role=message.role,
        status=message.status,
        parts=Raw(message.parts),
        metadata=_raw(message.metadata),
        created_at=iso(message.created_at),
    )


def message_page(messages: list[StoredMessage], following: int | None, cursor: str | None) -> MessagePage:
    """A page of messages; `following` is the position before which older ones stand."""
    info = PageInfo(cursor, None if following is None else str(following))
    return MessagePage(tuple(map(message_view, messages)), info)


def _raw(stored: str | None) -> Raw | None:
    return None if stored is None else Raw(stored)
