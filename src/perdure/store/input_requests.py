"""Input requests."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.domain.input_request import InputRequest, InputResponse, InputStatus, Responder
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("input_requests")


async def create(database: Database, new: InputRequest, event: str, now_ms: int) -> bool:
    """Store an open input request, and `event` (JSON) in its run's log; False where the run has ended."""
    row = await database.fetchrow(
        _SQL["create_input_request"], new.project_id, new.conversation_id, new.id, new.run_id, new.tool_call_id,
        new.responder, new.title, new.description, new.fields, new.metadata, new.created_at, new.expires_at,
        now_ms, _row_of(event),
    )  # fmt: skip
    return row is not None


async def get(
    database: Database, project_id: ProjectId, conversation_id: ConversationId, request_id: UUID
) -> InputRequest | None:
    """One input request; None where the conversation has none of that id."""
    row = await database.fetchrow(_SQL["get_input_request"], project_id, conversation_id, request_id)
    return None if row is None else _request(row)


async def list_page(
    database: Database,
    project_id: ProjectId,
    conversation_id: ConversationId,
    *,
    status: InputStatus | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[InputRequest]:
    """At most `limit` of a conversation's input requests, newest first, after the keyset cursor `before`."""
    created_at, last = before if before is not None else (None, None)
    rows = await database.fetch(
        _SQL["list_input_requests"], project_id, conversation_id, status, created_at, last, limit
    )
    return [_request(row) for row in rows]


async def list_open(
    database: Database, project_id: ProjectId, now: datetime, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[InputRequest]:
    """At most `limit` of a project's open input requests, newest first, after the keyset cursor `before`."""
    created_at, last = before if before is not None else (None, None)
    rows = await database.fetch(_SQL["list_open_input_requests"], project_id, now, created_at, last, limit)
    return [_request(row) for row in rows]


async def of_run(database: Database, key: RunKey) -> list[InputRequest]:
    """All input requests of a run, oldest first."""
    rows = await database.fetch(_SQL["input_requests_of_run"], key.project_id, key.run_id)
    return [_request(row) for row in rows]


async def settle(database: Database, settled: InputRequest, event: str, now: datetime, now_ms: int) -> bool:
    """Store how an open input request was settled, and `event` (JSON) in the log of its run, if that has not ended.

    False where it is not open any more. One whose time is over can only expire, and only such a one can.
    """
    given = settled.response
    row = await database.fetchrow(
        _SQL["settle_input_request"], settled.project_id, settled.conversation_id, settled.id, settled.run_id,
        settled.status, settled.settled_at, None if given is None else given.id,
        None if given is None else given.actor_id, settled.status is InputStatus.EXPIRED,
        None if given is None else given.values, now, now_ms, _row_of(event),
    )  # fmt: skip
    return row is not None


async def due(
    database: Database, project_id: ProjectId, conversation_id: ConversationId, now: datetime, limit: int
) -> list[InputRequest]:
    """At most `limit` open input requests of a conversation whose time is over."""
    rows = await database.fetch(_SQL["due_input_requests"], project_id, conversation_id, now, limit)
    return [_request(row) for row in rows]


async def all_due(database: Database, now: datetime, limit: int) -> list[InputRequest]:
    """At most `limit` open input requests whose time is over, in every project."""
    return [_request(row) for row in await database.fetch(_SQL["all_due_input_requests"], now, limit)]


def _row_of(event: str) -> str:
    """One event as a row of the log keeps it."""
    return f"[{event}]"


def _request(row: asyncpg.Record) -> InputRequest:
    response = None
    if row["response_id"] is not None:
        response = InputResponse(
            row["response_id"], row["response_actor_id"], row["response_values"], row["settled_at"]
        )
    return InputRequest(
        project_id=ProjectId(row["project_id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        id=row["id"],
        run_id=RunId(row["run_id"]),
        tool_call_id=row["tool_call_id"],
        status=InputStatus(row["status"]),
        responder=Responder(row["requested_responder_type"]),
        title=row["title"],
        description=row["description"],
        fields=row["fields"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        settled_at=row["settled_at"],
        response=response,
    )
