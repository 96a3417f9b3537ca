"""The end of runs that take too long (veryfront.md 6).

`timeout_seconds` counts from the moment when a run began, whoever executes it, and goes on while it waits or is handed
to another worker. The time in the queue before does not count, and a restart begins anew.

It is one moment for all who know it. The worker that executes a task ends its process then, TERM before KILL, and fails
the run with what the process still said; the server does so itself only when the worker did not within a grace period,
as with a cancel.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from perdure.domain.errors import RunNotFound
from perdure.domain.run import Finish, RunError, Status
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.store import deadlines
from perdure.telemetry import LogLine, get_logger

TIMEOUT: Final = "TIMEOUT"
"""The code of the error of a run whose time is over."""

TASK_GRACE_SECONDS: Final = 10.0
"""How long a worker may take to end a task whose time is over, and to write that down."""


async def fail_overdue(core: Core) -> int:
    """Fail the runs whose time is over; answers how many. Whoever executes one finds that it has ended."""
    failed = 0
    for key in await deadlines.overdue(core.database, core.clock(), TASK_GRACE_SECONDS):
        error = RunError("The run took longer than its timeout_seconds.", TIMEOUT)
        with suppress(RunNotFound):
            if (await lifecycle.apply(core, key, Finish(Status.FAILED, error))).transition is not None:
                get_logger().warning(LogLine.RUN_TIMED_OUT, run_id=key.run_id)
                failed += 1
    return failed
