"""Agents that are reached by a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure.domain.ids import ProjectId
from perdure.domain.remote_agent import StoredAgent
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("remote_agents")


async def put(database: Database, agent: StoredAgent) -> StoredAgent | None:
    """Store an agent, in place of one of its name; answers it as it is now."""
    row = await database.fetchrow(
        _SQL["put_remote_agent"],
        agent.project_id, agent.name, agent.url, msgspec.json.encode(dict(agent.headers)).decode(), agent.description,
        agent.created_by, agent.updated_at,
    )  # fmt: skip
    return None if row is None else _agent(row)


async def get(database: Database, project_id: ProjectId, name: str) -> StoredAgent | None:
    """One agent of a project."""
    row = await database.fetchrow(_SQL["get_remote_agent"], project_id, name)
    return None if row is None else _agent(row)


async def list_all(database: Database, project_id: ProjectId) -> list[StoredAgent]:
    """The agents of a project, by name."""
    return [_agent(row) for row in await database.fetch(_SQL["list_remote_agents"], project_id)]


async def delete(database: Database, project_id: ProjectId, name: str) -> bool:
    """Forget an agent; answers whether there was one."""
    return await database.fetchrow(_SQL["delete_remote_agent"], project_id, name) is not None


def _agent(row: asyncpg.Record) -> StoredAgent:
    return StoredAgent(
        project_id=ProjectId(row["project_id"]),
        name=row["name"],
        url=row["url"],
        headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
        description=row["description"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
