"""The line of a conversation: runs that wait for those before them (ADR 0012).

A run is put in line in the transaction that creates or queues it. That transaction holds the conversation, so that two
clients at once do not both find it free, and the heads of the runs that it found live, so that none of them ends
unseen: the trigger that lets the next one go would not find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from perdure.domain.conversation import RunPolicy
from perdure.domain.errors import ConversationNotFound, Unavailable
from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    from perdure.store.database import Connection

_SQL = load("conversation_line")
_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A run and the conversation in which it may have to wait."""

    key: RunKey
    conversation_id: ConversationId


async def policy_of(database: Database, project_id: ProjectId, conversation_id: ConversationId) -> RunPolicy | None:
    """What a conversation says about new runs; None where there is none."""
    row = await database.fetchrow(_SQL["run_policy"], project_id, conversation_id)
    return None if row is None else RunPolicy(row["run_policy"])


async def lock(connection: Connection, place: Place) -> None:
    """Decide alone about a conversation, until the transaction ends. Raises ConversationNotFound."""
    if await connection.fetchrow(_SQL["lock_line"], place.key.project_id, place.conversation_id) is None:
        raise ConversationNotFound(f"There is no conversation {place.conversation_id}.")


async def make_conversation(connection: Connection, place: Place, now: datetime) -> None:
    """Make the conversation that comes with a run, if it is not there."""
    await connection.execute(_SQL["make_conversation"], place.key.project_id, place.conversation_id, now)


async def live_others(connection: Connection, place: Place) -> list[RunId]:
    """The live runs that hold a run up, those in line last; they stay live until the transaction ends.

    Called with the conversation locked. Raises Unavailable.
    """
    key = place.key
    for _ in range(_TRIES):
        rows = await connection.fetch(_SQL["live_others"], key.project_id, place.conversation_id, key.run_id)
        free = [row["run_id"] for row in rows if not row["held"]]
        if not rows:
            return []
        if await connection.fetch(_SQL["keep_from_ending"], key.project_id, free):
            return [RunId(row["run_id"]) for row in rows]
        # All of those have ended meanwhile, and the next one may have been let go: look again.
    raise Unavailable("The conversation's runs change too fast. Try again.")


async def hold(connection: Connection, place: Place, interrupted: Sequence[RunId]) -> None:
    """Put a queued run at the end of the line."""
    key = place.key
    await connection.execute(_SQL["hold"], key.project_id, key.run_id, place.conversation_id, list(interrupted))


async def take_back(connection: Connection, place: Place, runs: Sequence[RunId]) -> None:
    """Take what runs said out of the conversation, with what users said for them. What `place`'s run answers stays."""
    key = place.key
    await connection.execute(_SQL["take_back_messages"], key.project_id, place.conversation_id, list(runs), key.run_id)


async def held_by(database: Database, key: RunKey) -> RunId | None:
    """The run that a run in line waits for; None for one that is not in line."""
    row = await database.fetchrow(_SQL["held_by"], key.project_id, key.run_id)
    return None if row is None else row["run_id"]


async def to_interrupt(database: Database, limit: int) -> list[RunKey]:
    """Runs that are to be cancelled for those in line, and were not told yet."""
    rows = await database.fetch(_SQL["to_interrupt"], limit)
    return [RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])) for row in rows]
