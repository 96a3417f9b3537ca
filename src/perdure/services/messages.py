"""The messages of a conversation: add one, read them (veryfront.md 1.5).

The message that a run writes is made from its log when it is first read after the run's end, and stored with the event
id at which that log ended. So nothing is written when a run ends, a crash can leave nothing half done, and a run that
was restarted is seen by its longer log. While a run goes on its message has no parts: the run's stream has them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

import msgspec

from perdure.domain.conversation import LogEnd, NewMessage, StoredMessage, message_status
from perdure.domain.errors import IdempotencyKeyReused, Unavailable
from perdure.domain.ids import ConversationId, MessageId, ProjectId, RunKey, new_uuid
from perdure.domain.message import Role
from perdure.domain.part import Part
from perdure.domain.stored_run import Run
from perdure.domain.transcript import Transcript
from perdure.services import conversations
from perdure.services.core import Core
from perdure.store import messages, run_events, runs

MAX_PAGE = 200
_ROWS_AT_ONCE = 500


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
    return [await _shown(core, message, end) for message, end in reversed(shown)], following


async def before_run(core: Core, run: Run) -> tuple[StoredMessage, ...]:
    """What the conversation says before a run's own message, oldest first; of a long one its newest messages.

    Nothing for a run without a conversation. Raises ConversationNotFound.
    """
    if run.conversation_id is None:
        return ()
    found, _ = await page(core, run.project_id, run.conversation_id, before=None, limit=MAX_PAGE)
    own = next((message.position for message in found if message.id == run.message_id), None)
    return tuple(message for message in found if message.parts != "[]" and (own is None or message.position < own))


async def transcript(core: Core, key: RunKey, to: int) -> tuple[Part, ...]:
    """What the public events of a run say, up to event id `to`."""
    said = Transcript()
    after = 0
    while after < to and (rows := await run_events.read(core.database, key, after, limit=_ROWS_AT_ONCE)):
        for row in rows:
            for line in row.lines()[: max(0, to + 1 - row.first_event_id)]:
                said.add(line)
        after = rows[-1].last_event_id
    return said.parts()


async def _shown(core: Core, message: StoredMessage, end: LogEnd | None) -> StoredMessage:
    """A message as it is read; `end` is where the log of its run ends, None for a message that no run writes."""
    if end is None or message.run_id is None:
        return message
    if not end.status.terminal:
        return replace(message, status=message_status(end.status), parts="[]")
    if message.folded_to == end.event_id:
        return message
    parts = await transcript(core, RunKey(message.project_id, message.run_id), end.event_id)
    made = replace(
        message,
        status=message_status(end.status),
        parts=msgspec.json.encode(parts).decode(),
        folded_to=end.event_id,
    )
    await messages.store_transcript(core.database, made)
    return made


def _said(message: NewMessage | StoredMessage) -> tuple[object, ...]:
    """What makes two messages the same, whatever the order of members in their JSON."""
    metadata = None if message.metadata is None else msgspec.json.decode(message.metadata)
    return message.role, message.parent_id, msgspec.json.decode(message.parts), metadata
