"""The end of runs that take too long (veryfront.md 6), or that are not done at their deadline (docs/scheduling.md).

`timeout_seconds` counts from the moment when a run began, whoever executes it, and goes on while it waits or is handed
to another worker. The time in the queue before does not count, and a restart begins anew. A `deadline` is a moment that
was named when the run was created: it comes whether or not somebody has begun, and a restart does not move it.

Each is one moment for all who know it. The worker that executes a task ends its process then, TERM before KILL, and
fails the run with what the process still said; the server does so itself only when the worker did not within a grace
period, as with a cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from perdure.domain.errors import RunNotFound
from perdure.domain.ids import RunKey
from perdure.domain.run import Finish, RunError, Status
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.store import deadlines
from perdure.store.runs import at
from perdure.telemetry import LogLine, get_logger

TIMEOUT: Final = "TIMEOUT"
"""The code of the error of a run whose time is over."""

DEADLINE_EXCEEDED: Final = "DEADLINE_EXCEEDED"
"""The code of the error of a run that had not ended at its deadline."""

TIMED_OUT: Final = RunError("The run took longer than its timeout_seconds.", TIMEOUT)
PAST_DEADLINE: Final = RunError("The run had not ended at its deadline.", DEADLINE_EXCEEDED)

TASK_GRACE_SECONDS: Final = 10.0
"""How long a worker may take to end a task whose time is over, and to write that down."""


async def fail_overdue(core: Core) -> int:
    """Fail the runs whose time is over; answers how many. Whoever executes one finds that it has ended."""
    now = core.clock()
    timed_out = await deadlines.overdue(core.database, now, TASK_GRACE_SECONDS)
    past = await deadlines.past(core.database, at(now), TASK_GRACE_SECONDS)
    return await _fail(core, past, PAST_DEADLINE, LogLine.RUN_PAST_DEADLINE) + await _fail(
        core, timed_out, TIMED_OUT, LogLine.RUN_TIMED_OUT
    )


async def _fail(core: Core, keys: Sequence[RunKey], error: RunError, line: LogLine) -> int:
    failed = 0
    for key in keys:
        with suppress(RunNotFound):
            if (await lifecycle.apply(core, key, Finish(Status.FAILED, error))).transition is not None:
                get_logger().warning(line, run_id=key.run_id)
                failed += 1
    return failed
