"""The messages of a conversation: add one, read them (veryfront.md 1.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

import msgspec

from perdure.domain.conversation import LogEnd, NewMessage, StoredMessage, message_status
from perdure.domain.errors import IdempotencyKeyReused, Unavailable
from perdure.domain.ids import ConversationId, MessageId, ProjectId, new_uuid
from perdure.domain.message import Role
from perdure.domain.part import Part
from perdure.services import conversations
from perdure.services.core import Core
from perdure.store import messages, runs

MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A message to be added. `metadata` is JSON; `parent_id` is kept as it is, clients name messages of their own."""

    role: Role
    parts: tuple[Part, ...]
    parent_id: UUID | None = None
    metadata: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """The message that a request added or found (`duplicate`)."""

    message: StoredMessage
    duplicate: bool


async def add(core: Core, project_id: ProjectId, conversation_id: ConversationId, request: MessageRequest) -> Added:
    """Add a message, or answer the one that the same request added before.

    Raises ConversationNotFound, and IdempotencyKeyReused when the key came with another message.
    """
    now = core.clock()
    new = NewMessage(
        project_id,
        conversation_id,
        MessageId(new_uuid(now)),
        request.role,
        msgspec.json.encode(request.parts).decode(),
        runs.at(now),
        request.parent_id,
        request.metadata,
        request.idempotency_key,
    )
    created = await messages.create(core.database, new)
    if created is not None:
        return Added(created, duplicate=False)
    earlier = await messages.get_by_idempotency_key(
        core.database, project_id, conversation_id, request.idempotency_key or ""
    )
    if earlier is None:
        raise Unavailable("The conversation was deleted meanwhile. Try again.")
    if _said(earlier) != _said(new):
        raise IdempotencyKeyReused("This idempotency_key was used with another message.")
    return Added(earlier, duplicate=True)


async def page(
    core: Core, project_id: ProjectId, conversation_id: ConversationId, *, before: int | None, limit: int
) -> tuple[list[StoredMessage], int | None]:
    """The newest messages before a position, oldest first, and the position before which older ones stand.

    Raises ConversationNotFound.
    """
    await conversations.get(core, project_id, conversation_id)
    wanted = min(limit, MAX_PAGE)
    found = await messages.list_page(core.database, project_id, conversation_id, before=before, limit=wanted + 1)
    shown = found[:wanted]
    following = shown[-1][0].position if len(found) > wanted else None
    return [_shown(message, end) for message, end in reversed(shown)], following


def _shown(message: StoredMessage, end: LogEnd | None) -> StoredMessage:
    return message if end is None else replace(message, status=message_status(end.status))


def _said(message: NewMessage | StoredMessage) -> tuple[object, ...]:
    """What makes two messages the same, whatever the order of members in their JSON."""
    metadata = None if message.metadata is None else msgspec.json.decode(message.metadata)
    return message.role, message.parent_id, msgspec.json.decode(message.parts), metadata
