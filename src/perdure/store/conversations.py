"""Conversations: created, read, listed, changed, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from perdure.domain.conversation import Conversation, ConversationChange, ConversationType, RunPolicy
from perdure.domain.errors import Unavailable
from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    from collections.abc import Sequence

_SQL = load("conversations")
_DELETE_TRIES: Final = 5


async def create(database: Database, new: Conversation) -> Conversation:
    """Store a conversation."""
    row = await database.fetchrow(
        _SQL["create_conversation"],
        new.project_id,
        new.id,
        new.type,
        new.title,
        new.metadata,
        new.created_at,
        new.run_policy,
    )
    if row is None:  # an INSERT without ON CONFLICT answers its row
        raise Unavailable
    return _conversation(row)


async def get(database: Database, project_id: ProjectId, conversation_id: ConversationId) -> Conversation | None:
    """One conversation; None where there is none in that project."""
    return _or_none(await database.fetchrow(_SQL["get_conversation"], project_id, conversation_id))


async def list_page(
    database: Database, project_id: ProjectId, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Conversation]:
    """At most `limit` conversations, newest first, after the keyset cursor `before` (created_at, id)."""
    created_at, last = before if before is not None else (None, None)
    rows = await database.fetch(_SQL["list_conversations"], project_id, created_at, last, limit)
    return [_conversation(row) for row in rows]


async def update(
    database: Database,
    project_id: ProjectId,
    conversation_id: ConversationId,
    change: ConversationChange,
    now: datetime,
) -> Conversation | None:
    """Change a conversation; None where there is none."""
    row = await database.fetchrow(
        _SQL["update_conversation"], project_id, conversation_id, change.type, change.changes_title, change.title,
        change.changes_metadata, change.metadata, now, change.run_policy,
    )  # fmt: skip
    return _or_none(row)


async def live_runs(database: Database, project_id: ProjectId, conversation_id: ConversationId) -> list[RunKey]:
    """The runs of a conversation that have not ended, oldest first."""
    rows = await database.fetch(_SQL["live_runs_of_conversation"], project_id, conversation_id)
    return [RunKey(project_id, RunId(row["run_id"])) for row in rows]


async def delete(database: Database, project_id: ProjectId, conversation_id: ConversationId) -> Sequence[RunKey] | None:
    """Delete a conversation with everything in it; answers the runs that went with it, None where there was none.

    A transition or a claim may hold one of the rows and want another: then PostgreSQL ends one of the two, and this one
    tries again. Raises Unavailable when that does not help.
    """
    for _ in range(_DELETE_TRIES):
        try:
            async with database.transaction() as connection:
                if await connection.fetchrow(_SQL["lock_conversation"], project_id, conversation_id) is None:
                    return None
                held = await connection.fetch(_SQL["lock_conversation_runs"], project_id, conversation_id)
                await connection.fetchrow(_SQL["delete_conversation"], project_id, conversation_id)
                return [RunKey(project_id, RunId(row["run_id"])) for row in held]
        except asyncpg.DeadlockDetectedError:
            continue
    raise Unavailable("The conversation's runs are busy. Try again.")


def _or_none(row: asyncpg.Record | None) -> Conversation | None:
    return None if row is None else _conversation(row)


def _conversation(row: asyncpg.Record) -> Conversation:
    return Conversation(
        project_id=ProjectId(row["project_id"]),
        id=ConversationId(row["id"]),
        type=ConversationType(row["type"]),
        title=row["title"],
        metadata=row["metadata"],
        run_policy=RunPolicy(row["run_policy"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
