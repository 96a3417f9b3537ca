"""What workers serve: agents (and later workflows, tasks, evals) by name."""

from __future__ import annotations

from collections.abc import Iterable

from perdure.services.core import Core
from perdure.store import catalog


async def agents(core: Core) -> frozenset[str]:
    """The names of all agents that some worker serves or served."""
    entries = await catalog.entries(core.database)
    return frozenset(entry.name for entry in entries if entry.kind == "agent")


async def has_agent(core: Core, name: str) -> bool:
    """Whether some worker serves or served an agent of that name; a name that was found once stays known."""
    if core.known_agents.get(name) is None:
        if name not in await agents(core):
            return False
        core.known_agents.put(name, True)
    return True


async def register(core: Core, worker_id: str, served: Iterable[tuple[str, str]], concurrency: int) -> None:
    """A worker says what it serves: (kind, name) pairs."""
    await catalog.register(core.database, worker_id, list(served), concurrency, core.clock())


async def unregister(core: Core, worker_id: str) -> None:
    """A worker stops; what it served stays known."""
    await catalog.unregister(core.database, worker_id)
