"""An append that ends calls of client-side tools parks the run, in the same statement (docs/run-lifecycle.md)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from perdure.domain.client_calls import NAMING_TYPES, ClientCalls
from perdure.domain.errors import Unavailable
from perdure.domain.event import TOOL_CALL_RESULT, Append, Appended
from perdure.domain.run import Executor, Park, PendingCall, Start, Waiting, WaitingReason
from perdure.domain.stored_run import Run
from perdure.domain.transitions import QueueOp, Transition, decide
from perdure.ledger.admission import admitted, check_fence
from perdure.ledger.replay import rest_of, stored_part
from perdure.services import lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import run_events

_TRIES = 50
_ROWS_AT_ONCE = 500


async def append_parking(core: Core, wanted: Append, tools: frozenset[str]) -> Appended | None:
    """Append and park, where the events leave calls of `tools` without a result.

    None where they leave none, or where an engine executes the run (it parks by itself): nothing was stored then.
    Raises what `Appender.append` raises.
    """
    for tries in range(_TRIES):
        run = await run_service.get(core, wanted.key)
        if run.executor is Executor.ENGINE or run.cancelling:
            return None
        check_fence(run, wanted)
        start = decide(run.state, Start(), run.names)
        stored = await (admitted if start is None else stored_part)(core.database, run, wanted)
        if stored == wanted.event_count:
            return Appended(run.latest_event_id, run.latest_external_sequence, 0, run.revision)
        rest = rest_of(wanted, stored)
        calls = await _waiting_calls(core, rest, tools)
        parked = _parked(run, start, calls) if calls else None
        if parked is None:
            return None
        appended = await lifecycle.append_with(core, run, rest, parked)
        if appended is not None:
            return appended
        await asyncio.sleep(0.001 * tries)
    raise Unavailable(f"Run {wanted.key.run_id} changes too fast. Try again.")


def _parked(run: Run, start: Transition | None, calls: tuple[PendingCall, ...]) -> Transition | None:
    """The transition to waiting; the first events of a run start it, too."""
    park = Park(Waiting(WaitingReason.TOOL, calls), None)
    if start is None:
        return decide(run.state, park, run.names)
    parked = decide(start.state, park, run.names)
    return None if parked is None else replace(parked, queue=QueueOp.REMOVE, started=True)


async def _waiting_calls(core: Core, wanted: Append, tools: frozenset[str]) -> tuple[PendingCall, ...]:
    calls = ClientCalls(tools)
    after = 0
    while rows := await run_events.read_of_types(
        core.database, wanted.key, (*NAMING_TYPES, TOOL_CALL_RESULT), after, _ROWS_AT_ONCE
    ):
        for row in rows:
            calls.stored(row.types, row.lines())
        after = rows[-1].last_event_id
    for segment in wanted.segments:
        calls.incoming(segment.types, segment.lines)
    return calls.waiting()
