"""Append from outside, and read a run's events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from perdure.domain.client_calls import ends_calls
from perdure.domain.errors import InvalidRequest, NotStarted
from perdure.domain.event import Append, Appended, Segment, StoredEvents
from perdure.domain.ids import RunKey
from perdure.domain.stored_run import Run
from perdure.ledger.intake import Incoming
from perdure.services import lifecycle, parking
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import run_events

_START_TRIES = 5
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a cursor: at most as many as asked for, and whether more follow."""

    rows: tuple[StoredEvents, ...]
    more: bool


async def append(
    core: Core,
    key: RunKey,
    incoming: Incoming,
    fence: int | None = None,
    client_tools: frozenset[str] = frozenset(),
) -> Appended:
    """Append events of an outside writer (veryfront.md 2.1). Raises what `Appender.append` raises.

    `fence`: of the claim that an external worker writes under. NotStarted comes only where the run waits for the next
    worker: what is appended then is the former worker's. `client_tools`: those of the run's input, a call of which
    parks it.
    """
    wanted = Append(
        key,
        incoming.segments,
        expected_event_id=incoming.expected_event_id,
        expected_external_sequence=incoming.expected_external_sequence,
        fence=fence,
    )
    if client_tools and ends_calls(incoming.segments):
        parked = await parking.append_parking(core, wanted, client_tools)
        if parked is not None:
            return parked
    for _ in range(_START_TRIES):
        try:
            return await core.appender.append(wanted)
        except NotStarted:
            run = await run_service.get(core, key)
            started = await lifecycle.start_with(core, run, wanted)
            if started is not None:
                return started
    return await core.appender.append(wanted)


async def page(core: Core, key: RunKey, after: int, limit: int) -> Page:
    """At most `limit` public events after event id `after`."""
    rows = await run_events.read(core.database, key, after, limit=limit + 1)
    kept: list[StoredEvents] = []
    left = limit
    for row in rows:
        if left == 0:
            return Page(tuple(kept), more=True)
        if len(row.types) > left:
            kept.append(first_of(row, left))
            return Page(tuple(kept), more=True)
        kept.append(row)
        left -= len(row.types)
    return Page(tuple(kept), more=False)


async def rows(core: Core, key: RunKey) -> AsyncIterator[StoredEvents]:
    """A run's public rows, from the first on."""
    after = 0
    while found := await run_events.read(core.database, key, after, limit=_ROWS_AT_ONCE):
        for row in found:
            yield row
        after = found[-1].last_event_id


def first_of(row: StoredEvents, count: int) -> StoredEvents:
    """The first `count` events of a row."""
    return StoredEvents(
        row.first_event_id,
        row.first_ts,
        row.first_external_sequence,
        row.public,
        row.types[:count],
        "[" + ",\n".join(row.lines()[:count]) + "]",
    )


def check_cursor(run: Run, after: int) -> None:
    """Raise InvalidRequest for a cursor that lies ahead of the log."""
    if not 0 <= after <= run.latest_event_id:
        raise InvalidRequest(
            f"The cursor {after} lies ahead of the log, which ends at {run.latest_event_id}: "
            "use the id of an event that you received."
        )


async def own_lines(core: Core, key: RunKey) -> AsyncIterator[str]:
    """The events that the server and its workers wrote, private ones included, as JSON texts in order.

    What outside writers appended is left out: it must not pass for a recorded step or an answer.
    """
    async for line in run_events.lines(core.database, key, external=False):
        yield line


async def find_segments(core: Core, key: RunKey, after: int, segments: tuple[Segment, ...]) -> int | None:
    """Whether an executor's append, whose answer got lost, was stored after event id `after`: the id of its last event.

    Only the holder of the fence writes rows like these, one append at a time, so equal text means that it is this
    append.
    """
    wanted = [segment.text() for segment in segments]
    rows = await run_events.read(core.database, key, after, public_only=False)
    for start in range(len(rows) - len(wanted) + 1):
        window = rows[start : start + len(wanted)]
        if [row.text for row in window] == wanted:
            return window[-1].last_event_id
    return None
