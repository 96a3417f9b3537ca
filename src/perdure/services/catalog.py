"""What workers serve: agents, workflows, tasks and evals by name, and what they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from jsonschema_rs import ValidationError, validator_for

from perdure.domain.catalog import Entry, Published, ServingWorker
from perdure.domain.errors import InvalidRequest, TargetNotFound
from perdure.domain.json_text import pointer_token
from perdure.domain.run import Kind
from perdure.ledger.notify import ANY_ROUTE
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.store import catalog
from perdure.store.runs import at

FRESH_MS: Final = 2_000
"""How long what a worker has published is believed without asking again."""
_SHOWN: Final = 300


async def agents(core: Core) -> frozenset[str]:
    """The names of all agents that some worker serves or served."""
    return await _names(core, Kind.AGENT)


async def has_agent(core: Core, name: str) -> bool:
    """Whether some worker serves or served an agent of that name; a name that was found once stays known."""
    if core.known_agents.get(name) is None:
        if name not in await agents(core):
            return False
        core.known_agents.put(name, True)
    return True


async def check(core: Core, kind: Kind, name: str, given: object, place: str) -> bool:
    """Whether it is known what it takes; otherwise any input may be right.

    `place`: the JSON pointer of the input in the request. Raises TargetNotFound for what nobody serves or served, and
    InvalidRequest for an input that it does not take.
    """
    published = await _published(core, kind, name)
    if published is None:
        known = ", ".join(sorted(await _names(core, kind))) or "none: start a worker that serves one"
        raise TargetNotFound(f"No worker serves a {kind} {name!r}. Known {kind}s: {known}.")
    if published.input_schema is None:
        return False
    schema = msgspec.json.decode(published.input_schema)
    error = next(iter(validator_for(schema, validate_formats=True).iter_errors(given)), None)
    if error is not None:
        raise _unfit(error, place)
    return True


async def publish(core: Core, published: Sequence[Published]) -> None:
    """A worker says what it serves takes, and how much of it at once, before it serves it."""
    await catalog.publish(core.database, published, at(core.clock()))
    core.known_targets.clear()
    lifecycle.announce_queued(core, ANY_ROUTE)  # a limit may be higher than before


async def everything(core: Core) -> list[Entry]:
    """All that some worker serves or served, by kind and name, with the workers that serve it."""
    workers = await catalog.workers(core.database)
    return [
        Entry(
            entry.published,
            entry.last_seen_at,
            tuple(
                ServingWorker(worker.id, worker.version, worker.heartbeat_at)
                for worker in workers
                if f"{entry.kind}:{entry.name}" in worker.routes
            ),
        )
        for entry in await catalog.entries(core.database)
    ]


async def register(
    core: Core, worker_id: str, served: Iterable[tuple[str, str]], concurrency: int, version: str | None = None
) -> None:
    """A worker says what it serves, as (kind, name) pairs, and the version of its code."""
    await catalog.register(core.database, worker_id, list(served), concurrency, core.clock())
    if version is not None:
        await catalog.set_version(core.database, worker_id, version)


async def unregister(core: Core, worker_id: str) -> None:
    """A worker stops; what it served stays known."""
    await catalog.unregister(core.database, worker_id)


async def _names(core: Core, kind: Kind) -> frozenset[str]:
    return frozenset(entry.name for entry in await catalog.entries(core.database) if entry.kind == kind)


async def _published(core: Core, kind: Kind, name: str) -> Published | None:
    now = core.clock()
    known = core.known_targets.get((kind, name))
    if known is not None and known[0] + FRESH_MS > now:
        return known[1]
    entry = await catalog.entry(core.database, kind, name)
    if entry is None:
        return None
    core.known_targets.put((kind, name), (now, entry.published))
    return entry.published


def _unfit(error: ValidationError, place: str) -> InvalidRequest:
    pointer = place + "".join(map(pointer_token, error.instance_path))
    message = error.message if len(error.message) <= _SHOWN else error.message[: _SHOWN - 1] + "…"
    return InvalidRequest(f"`{pointer}` does not fit: {message}.", pointer=pointer)
