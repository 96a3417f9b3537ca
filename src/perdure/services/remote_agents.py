"""Agents that are reached by a URL: stored, listed, forgotten, and found by whoever runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perdure.domain.errors import Unavailable
from perdure.domain.ids import ProjectId
from perdure.domain.remote_agent import RemoteAgentNotFound, StoredAgent, check_agent
from perdure.services.core import Core
from perdure.store import remote_agents as store
from perdure.store.runs import at


@dataclass(frozen=True, slots=True)
class Wanted:
    """An agent as a caller describes it."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    description: str | None = None


async def put(core: Core, project_id: ProjectId, wanted: Wanted, created_by: str | None) -> StoredAgent:
    """Store an agent, in place of one of its name. Raises InvalidRequest and EgressRefused."""
    check_agent(wanted.name, wanted.headers)
    core.egress.check_url(wanted.url, "/url")
    now = at(core.clock())
    agent = StoredAgent(project_id, wanted.name, wanted.url, wanted.headers, wanted.description, created_by, now, now)
    stored = await store.put(core.database, agent)
    if stored is None:
        raise Unavailable("The agent was not stored. Try again.")
    return stored


async def find(core: Core, project_id: ProjectId, name: str) -> StoredAgent | None:
    """The agent of that name, None where there is none."""
    return await store.get(core.database, project_id, name)


async def list_all(core: Core, project_id: ProjectId) -> list[StoredAgent]:
    """The agents of a project, by name."""
    return await store.list_all(core.database, project_id)


async def delete(core: Core, project_id: ProjectId, name: str) -> None:
    """Forget an agent. Its runs stay; those that go on fail. Raises RemoteAgentNotFound."""
    if not await store.delete(core.database, project_id, name):
        raise RemoteAgentNotFound(f"There is no agent {name!r} with a URL.")
