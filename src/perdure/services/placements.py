"""The hand-over of pending runs to an engine outside the database: the queue is the outbox (ADR 0010).

Whoever wants to tell the engine takes runs for a short while, tells it, and says so. A process that dies in between
leaves runs that are taken again when that while is over; telling the engine twice is harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from perdure.domain.ids import RunKey
from perdure.domain.lease import Claimed
from perdure.domain.placement import Placement
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.store import placements, run_queue
from perdure.store.runs import at

AT_ONCE: Final = placements.AT_ONCE

TAKEN_FOR: Final = timedelta(seconds=30)
"""How long a process may need to tell the engine of what it has taken."""

TOLD_FOR: Final = timedelta(minutes=2)
"""After this time the engine is told again of a run that still waits: it may have lost it, and as long as it counts as
told it keeps others of its project waiting."""


ON_ITS_WAY: Final = timedelta(seconds=5)
"""How long a limit keeps a place for a run that the engine was told of. One that no worker has taken by then may wait
for one that serves it, and must not stand in others' way: the claim counts again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Runs that this process tells the engine of, and until when they are its own."""

    runs: tuple[Placement, ...]
    until: datetime


async def take(core: Core) -> Taken:
    """Up to AT_ONCE due runs that the engine does not know of: in turn from all projects, of each no more than its
    workers soon get to, and of what is limited no more than has room. Raises Unavailable."""
    now = at(core.clock())
    until = now + TAKEN_FOR
    lately = now + TOLD_FOR - ON_ITS_WAY
    return Taken(tuple(await placements.take(core.database, now, until, lately)), until)


async def told(core: Core, taken: Taken, keys: Sequence[RunKey]) -> None:
    """The engine knows of these. Raises Unavailable."""
    await placements.mark(core.database, keys, taken.until, at(core.clock()) + TOLD_FOR)


async def untold(core: Core, taken: Taken, keys: Sequence[RunKey]) -> None:
    """The engine could not be told of these: whoever comes next tries again. Raises Unavailable."""
    await placements.mark(core.database, keys, taken.until, None)


async def tell_again(core: Core, routes: Collection[str]) -> None:
    """A worker of these routes has stopped: what the engine handed to it in that moment is lost, unknown to the engine.

    It is told again of what waits longest. Raises Unavailable.
    """
    await placements.doubt(core.database, routes, at(core.clock()))


async def forget_old(core: Core) -> None:
    """Let the engine be told again of runs whose placement is old, or was begun by a process that died."""
    await placements.forget(core.database, at(core.clock()))


async def claim(core: Core, worker_id: str, key: RunKey, route: str, lease_seconds: float) -> Claimed | None:
    """Take one run for a worker: running, leased and fenced when this returns. None where it cannot be claimed now.

    Where limits may be the reason, the engine is told of it again when they have room.
    """
    lease = timedelta(seconds=lease_seconds)
    taken = await run_queue.claim_one(core.database, worker_id, key, route, core.clock, lease)
    if taken.limited and not taken.runs:
        await placements.hold_back(core.database, key)
    return next(iter(lifecycle.announce_claimed(core, taken.runs)), None)
