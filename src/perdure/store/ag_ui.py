"""What AG-UI clients call the runs that they go on with."""

from __future__ import annotations

from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("ag_ui")


async def get_turn(database: Database, key: RunKey) -> tuple[RunId, int] | None:
    """The run that goes on under this id of a client's, and the event that the turn follows."""
    row = await database.fetchrow(_SQL["get_ag_ui_turn"], key.project_id, key.run_id)
    return None if row is None else (RunId(row["run_id"]), row["after_event_id"])


async def add_turn(database: Database, key: RunKey, run_id: RunId, after: int) -> None:
    """Remember that a client goes on with `run_id`, from the event `after` on, under the id of `key`."""
    await database.execute(_SQL["add_ag_ui_turn"], key.project_id, key.run_id, run_id, after)


async def next_turn(database: Database, key: RunKey, event_id: int) -> int | None:
    """The event from which a client goes on with this run under another id: `event_id`, or the next one after it."""
    row = await database.fetchrow(_SQL["next_ag_ui_turn"], key.project_id, key.run_id, event_id)
    return None if row is None else row["after"]


async def waiting_runs(
    database: Database, project_id: ProjectId, conversation_id: ConversationId, agent_id: str, limit: int
) -> list[RunKey]:
    """An agent's runs in a conversation that wait, newest first."""
    rows = await database.fetch(_SQL["waiting_agent_runs"], project_id, conversation_id, agent_id, limit)
    return [RunKey(project_id, RunId(row["run_id"])) for row in rows]
