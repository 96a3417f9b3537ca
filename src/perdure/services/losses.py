"""How often a run may be lost: one rule for the engine's workers and for external ones.

A run is lost when its lease expires, or when its attempt meets an error of the server's own. Hand-backs of a worker
that stops are no losses, and a run that waited for somebody, or was restarted, begins to count anew.

A task that fails may be tried again, too. `backoff_limit` is then one number for both: how many attempts may follow the
first, whether it was lost or failed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from perdure.domain.event import CUSTOM, StoredEvents
from perdure.domain.run import RunError
from perdure.domain.stored_run import Run
from perdure.services.core import Core
from perdure.store import run_events

LEASE_EXPIRED: Final = "lease_expired"
WORKER_ERROR: Final = "worker_error"
LOSSES: Final = frozenset({LEASE_EXPIRED, WORKER_ERROR})
"""The reasons of a `perdure.run.yielded` that count."""

ATTEMPT_FAILED: Final = "attempt_failed"
"""The reason where an attempt failed and is tried again, as `backoff_limit` says (veryfront.md 6)."""

MAX_LOSSES: Final = 10
"""After how many losses a run is still tried again. A run's own `backoff_limit` takes its place (veryfront.md 6)."""

EXHAUSTED: Final = "ATTEMPTS_EXHAUSTED"
"""Code of a run that was lost once more than it may be."""

_BEGINS_ANEW: Final = frozenset({"perdure.run.waiting", "perdure.run.restarted"})
_ROWS_AT_ONCE: Final = 500


class _Custom(msgspec.Struct):
    type: str
    name: object = None
    value: object = None


async def exhausted(core: Core, run: Run) -> RunError | None:
    """Why a run that was just lost is not tried again; None where it is."""
    limit = MAX_LOSSES if run.spec.backoff_limit is None else run.spec.backoff_limit
    if run.attempt <= limit:
        return None
    counted = LOSSES if run.spec.backoff_limit is None else LOSSES | {ATTEMPT_FAILED}
    lost = await _count(core, run, counted) + 1
    if lost <= limit:
        return None
    times = "once" if lost == 1 else f"{lost} times in a row"
    return RunError(f"The run was lost {times}: no worker brought it to an end.", EXHAUSTED)


async def spent(core: Core, run: Run) -> int:
    """How many attempts of a run failed or were lost since it last waited or was restarted. Raises Unavailable."""
    return await _count(core, run, LOSSES | {ATTEMPT_FAILED})


async def _count(core: Core, run: Run, reasons: frozenset[str]) -> int:
    """How often the log says that an attempt ended for one of these reasons since the run waited or was restarted."""
    lost, after = 0, 0
    while rows := await run_events.read_of_types(core.database, run.key, (CUSTOM,), after, _ROWS_AT_ONCE):
        for row in rows:
            for name, reason in _told(row):
                if name in _BEGINS_ANEW:
                    lost = 0
                elif name == "perdure.run.yielded" and reason in reasons:
                    lost += 1
        after = rows[-1].last_event_id
    return lost


def _told(row: StoredEvents) -> list[tuple[object, object]]:
    """Name and reason of a row's CUSTOM events; what outsiders appended tells nothing."""
    if row.first_external_sequence is not None:
        return []
    lines = [line for kind, line in zip(row.types, row.lines(), strict=True) if kind == CUSTOM]
    events = [msgspec.json.decode(line, type=_Custom) for line in lines]
    return [(event.name, event.value.get("reason") if isinstance(event.value, dict) else None) for event in events]
