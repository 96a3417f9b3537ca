"""Agent runs as the Agent Runs API lists them, and what is said about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.stored_run import About, AgentRunFilter, AgentRunOrder, Run
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import private_to, run_of

_SQL = load("agent_runs")


async def list_page(
    database: Database,
    project_id: ProjectId,
    wanted: AgentRunFilter,
    order: AgentRunOrder,
    *,
    beyond: tuple[datetime, str] | None,
    limit: int,
    offset: int,
) -> list[Run]:
    """At most `limit` agent runs after the keyset cursor `beyond` (time of the order, run_id), or after `offset`."""
    at, run_id = beyond if beyond is not None else (None, None)
    values = [*_filters(project_id, wanted), order.by_change, order.ascending, at, run_id, limit, offset]
    return [run_of(row) for row in await database.fetch_planned_anew(_SQL["list_agent_runs"], values)]


async def count(database: Database, project_id: ProjectId, wanted: AgentRunFilter) -> int:
    """How many agent runs there are, pages aside."""
    [row] = await database.fetch_planned_anew(_SQL["count_agent_runs"], _filters(project_id, wanted))
    found: int = row["count"]
    return found


async def set_about(database: Database, key: RunKey, about: About, known: str | None, now: datetime) -> bool:
    """Store what is said about a run now; False where its profile is not the `known` one, or there is no such run."""
    row = await database.fetchrow(
        _SQL["set_about"], key.project_id, key.run_id, about.name, about.title, about.topic, about.profile, now, known
    )
    return row is not None


async def with_notices(database: Database, keys: Sequence[RunKey]) -> list[RunKey]:
    """Those of many runs that name URLs which want to hear of their end."""
    rows = await database.fetch(
        _SQL["runs_with_notices"], [key.project_id for key in keys], [key.run_id for key in keys]
    )
    return [RunKey(row["project_id"], row["run_id"]) for row in rows]


def _filters(project_id: ProjectId, wanted: AgentRunFilter) -> list[object]:
    return [
        project_id, wanted.run_id, _any(wanted.statuses), wanted.only_recorded, _any(wanted.agent_ids),
        _any(wanted.started_by), wanted.since, wanted.until, wanted.schedule_id, _any(wanted.triggers),
        private_to(wanted.viewer),
    ]  # fmt: skip


def _any(words: tuple[str, ...]) -> list[str] | None:
    return [str(word) for word in words] or None
