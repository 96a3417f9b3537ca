"""A run that starts with the log of another."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from perdure.domain.errors import Unavailable
from perdure.domain.ids import RunId, RunKey
from perdure.store import artifacts
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import at

_SQL = load("forks")


@dataclass(frozen=True, slots=True)
class Fork:
    """What a fork is called. `event` is the text of the one event that its log has beyond the source's; `route` is None
    for a run that nobody here executes, `conversation_id` for one without a conversation; `profile` is what is said
    about it and may be changed, as JSON."""

    source: RunKey
    run_id: RunId
    conversation_id: UUID | None
    message_id: UUID | None
    created_by: str
    event: str
    route: str | None
    profile: str | None


async def create(database: Database, fork: Fork, now_ms: int) -> bool:
    """Write a fork with the source's files; False where its source is gone. One statement copies the log: it is as it
    was at one moment. Raises Unavailable where the source's files change all the time.
    """
    for _ in range(artifacts.COPY_TRIES):
        try:
            async with database.transaction() as connection:
                row = await connection.fetchrow(
                    _SQL["fork_run"], fork.source.project_id, fork.source.run_id, fork.run_id, fork.conversation_id,
                    fork.message_id, at(now_ms), fork.created_by, now_ms, f"[{fork.event}]", fork.route,
                    fork.profile,
                )  # fmt: skip
                if row is not None:
                    await artifacts.copy_all(connection, fork.source, fork.run_id)
                return row is not None
        except artifacts.BlobGone:
            continue
    raise Unavailable("The run's artifacts change all the time. Try again.")
