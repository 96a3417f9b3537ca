"""May this append be stored, and how much of it is stored already? (veryfront.md section 0 and 2.3)"""

from __future__ import annotations

from perdure.domain.errors import CursorMismatch, NotStarted, StaleFence, TerminalRun, WaitingRun
from perdure.domain.event import Append
from perdure.domain.run import Executor, Status
from perdure.domain.stored_run import Run
from perdure.ledger.replay import stored_part
from perdure.store.database import Database


async def admitted(database: Database, run: Run, wanted: Append) -> int:
    """How many of the append's first events are stored already; the others may be appended.

    One that is stored whole is a replay, whatever became of the run. Raises CursorMismatch, TerminalRun, WaitingRun,
    StaleFence, NotStarted.
    """
    check_fence(run, wanted)
    try:
        stored = await stored_part(database, run, wanted)
    except CursorMismatch:
        _check_status(run, wanted)  # a writer that is no replay and may not append at all is told so first
        raise
    if stored < wanted.event_count:
        _check_status(run, wanted)
    return stored


def check_fence(run: Run, wanted: Append) -> None:
    """Raise StaleFence for a writer that names a fence which holds no more."""
    if wanted.fence is not None and not run.state.held_under(wanted.fence):
        raise StaleFence


def _check_status(run: Run, wanted: Append) -> None:
    if run.status.terminal:
        raise TerminalRun
    if run.status is Status.WAITING:
        raise WaitingRun
    if run.status is Status.PENDING and run.executor is not Executor.ENGINE and wanted.external_count:
        raise NotStarted
