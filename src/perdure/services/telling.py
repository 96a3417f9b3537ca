"""Take in what programs tell of the calls in the runs that they execute themselves (vertesia.md 1.5)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perdure.domain.agent_event import AgentEvent, LlmCall, calls_of
from perdure.domain.errors import RunNotFound
from perdure.domain.ids import RunKey
from perdure.services.core import Core
from perdure.store import projections, runs


async def ingest(core: Core, key: RunKey, events: Sequence[AgentEvent]) -> int:
    """Store what events tell of a run's calls; how many there were. The same events again change nothing.

    A tool call that the run's log has, too, counts once, as it is told here. Raises RunNotFound.
    """
    if await runs.get_owner(core.database, key) is None:
        raise RunNotFound(f"There is no run {key.run_id}.")
    if events:
        calls = [msgspec.structs.asdict(call) for call in calls_of(events)]
        told = any(isinstance(event, LlmCall) for event in events)
        await projections.tell(core.database, key, calls, model_calls=told)
    return len(events)
