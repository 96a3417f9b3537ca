"""How the queue stands."""

from __future__ import annotations

from perdure.services.core import Core
from perdure.store import run_queue, runs
from perdure.store.runs import at


async def measure(core: Core) -> None:
    """Set the gauges: what the queue holds, how long its oldest due run has waited, and the live runs by status."""
    now = at(core.clock())
    depth = await run_queue.depth(core.database, now)
    age = 0.0 if depth.oldest is None else max(0.0, (now - depth.oldest).total_seconds())
    core.metrics.queue(pending=depth.pending, leased=depth.leased, oldest_age_seconds=age)
    core.metrics.runs(await runs.count_live(core.database))
