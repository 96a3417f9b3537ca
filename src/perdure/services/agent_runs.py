"""Agent runs as the Agent Runs API sees them: listed with a count, and what is said about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from perdure.domain.errors import AgentNotFound, RunNotFound, Unavailable
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.run import Kind
from perdure.domain.stored_run import About, AgentRunFilter, AgentRunOrder, Run
from perdure.services import catalog
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import agent_runs as store
from perdure.store.runs import at

MAX_PAGE = 200
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Page:
    """Agent runs, whether more follow, and how many there are on all pages."""

    runs: tuple[Run, ...]
    more: bool
    total: int


async def list_page(
    core: Core,
    project_id: ProjectId,
    wanted: AgentRunFilter,
    order: AgentRunOrder,
    *,
    beyond: tuple[datetime, str] | None,
    limit: int,
    offset: int,
) -> Page:
    """A page of at most `limit` agent runs, after a cursor (time of the order, run_id) or an offset."""
    found = await store.list_page(
        core.database, project_id, wanted, order, beyond=beyond, limit=limit + 1, offset=offset
    )
    counted_here = beyond is None and offset == 0 and len(found) <= limit
    total = len(found) if counted_here else await store.count(core.database, project_id, wanted)
    return Page(tuple(found[:limit]), len(found) > limit, total)


async def get(core: Core, key: RunKey) -> Run:
    """One agent run. Raises RunNotFound, also for a run of another kind."""
    run = await run_service.get(core, key)
    if run.kind is not Kind.AGENT:
        raise RunNotFound(f"There is no agent run {key.run_id}.")
    return run


async def change(
    core: Core, run: Run, about: About, facts: Mapping[str, object], *, merged: Collection[str] = ()
) -> Run:
    """Store what is said about a run: what `about` has of names, and `facts` in place of the profile's own. Those that
    `merged` names are objects whose members take the places of the known ones.

    Somebody who changes the profile at the same time loses nothing. Raises RunNotFound, Unavailable.
    """
    for _ in range(_TRIES):
        known = run.about.profile
        said = About(name=about.name, title=about.title, topic=about.topic, profile=_with(known, facts, merged))
        if await store.set_about(core.database, run.key, said, known, at(core.clock())):
            return await get(core, run.key)
        run = await get(core, run.key)
    raise Unavailable(f"Run {run.run_id} changes too fast. Try again.")


def _with(profile: str | None, facts: Mapping[str, object], merged: Collection[str]) -> str | None:
    if not facts:
        return profile
    known: dict[str, object] = {} if profile is None else msgspec.json.decode(profile)
    new = {name: _merged(known.get(name), fact) if name in merged else fact for name, fact in facts.items()}
    return msgspec.json.encode({**known, **new}).decode()


def _merged(known: object, fact: object) -> object:
    return {**known, **fact} if isinstance(known, dict) and isinstance(fact, dict) else fact


async def agent_named(core: Core, selector: str) -> str:
    """The agent that an interaction's name means: `Name@2` is the agent of that very name or, where `Name` has no
    versions of its own, `Name`. Raises AgentNotFound.
    """
    if await catalog.has_agent(core, selector):
        return selector
    name, _, version = selector.rpartition("@")
    known = await catalog.agents(core)
    if name in known and (version == "draft" or not any(other.startswith(f"{name}@") for other in known)):
        return name
    names = ", ".join(sorted(known)) or "none: start a worker that serves one"
    raise AgentNotFound(f"No worker serves an agent {selector!r}. Known agents: {names}.")
