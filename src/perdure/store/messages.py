"""The messages of conversations. Callers write those of their own; those of runs are made from logs.

The metadata of a run's row is ours, it says which log the row was made from.
"""

from __future__ import annotations

import asyncpg
import msgspec

from perdure.domain.conversation import LogEnd, MessageStatus, NewMessage, StoredMessage
from perdure.domain.errors import ConversationNotFound
from perdure.domain.ids import ConversationId, MessageId, ProjectId, RunId
from perdure.domain.message import Role
from perdure.domain.run import Status
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("messages")


class _Origin(msgspec.Struct, frozen=True):
    folded_to: int | None = None


async def create(database: Database, new: NewMessage) -> StoredMessage | None:
    """Add a message; None when one with this idempotency key is there. Raises ConversationNotFound."""
    try:
        row = await database.fetchrow(
            _SQL["create_message"], new.project_id, new.conversation_id, new.id, new.parent_id, new.role, new.parts,
            new.metadata, new.idempotency_key, new.created_at,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError as error:
        raise ConversationNotFound(f"There is no conversation {new.conversation_id}.") from error
    return None if row is None else _message(row)


async def get_by_idempotency_key(
    database: Database, project_id: ProjectId, conversation_id: ConversationId, key: str
) -> StoredMessage | None:
    """The message that an earlier request with this key added."""
    row = await database.fetchrow(_SQL["get_message_by_idempotency_key"], project_id, conversation_id, key)
    return None if row is None else _message(row)


async def list_page(
    database: Database, project_id: ProjectId, conversation_id: ConversationId, *, before: int | None, limit: int
) -> list[tuple[StoredMessage, LogEnd | None]]:
    """At most `limit` messages before a position, newest first; one that a run writes comes with its log's end."""
    rows = await database.fetch(_SQL["list_messages"], project_id, conversation_id, before, limit)
    return [
        (
            _message(row),
            None if row["run_status"] is None else LogEnd(Status(row["run_status"]), row["latest_event_id"]),
        )
        for row in rows
    ]


async def store_transcript(database: Database, message: StoredMessage) -> None:
    """Store the status and parts of a run's message, and what they were made from."""
    await database.execute(
        _SQL["store_transcript"], message.project_id, message.id, message.run_id, message.status, message.parts,
        msgspec.json.encode(_Origin(message.folded_to)).decode(),
    )  # fmt: skip


def _message(row: asyncpg.Record) -> StoredMessage:
    ours = row["run_id"] is not None
    origin = msgspec.json.decode(row["metadata"], type=_Origin) if ours and row["metadata"] else _Origin()
    return StoredMessage(
        project_id=ProjectId(row["project_id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        id=MessageId(row["id"]),
        position=row["position"],
        parent_id=row["parent_id"],
        run_id=None if row["run_id"] is None else RunId(row["run_id"]),
        role=Role(row["role"]),
        status=MessageStatus(row["status"]),
        parts=row["parts"],
        metadata=None if ours else row["metadata"],
        folded_to=origin.folded_to,
        created_at=row["created_at"],
    )
