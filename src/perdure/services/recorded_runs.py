"""Agent runs that somebody else executes, and says how they go (vertesia.md 1.5)."""

from __future__ import annotations

from perdure.domain.errors import Conflict
from perdure.domain.run import Executor, Finish, RunError, Start, Status
from perdure.domain.stored_run import Run
from perdure.services import agent_runs, lifecycle
from perdure.services.core import Core


async def set_status(core: Core, run: Run, wanted: Status) -> Run:
    """Bring a run to a status, which may be running or one that ends it; the run as it is then.

    The first status that ends a run stays, and one that is running already goes on. Raises Conflict where a worker of
    ours is still to begin.
    """
    match wanted:
        case Status.RUNNING:
            if run.status is Status.PENDING and run.executor is not Executor.CALLER:
                raise Conflict("A worker of this server executes the run: it begins by itself.")
            await lifecycle.apply(core, run.key, Start())
        case Status.CANCELLED:
            await lifecycle.cancel(core, run.key, "The run was cancelled by whoever executes it.")
        case _:
            error = RunError("The run failed.", "FAILED") if wanted is Status.FAILED else None
            await lifecycle.apply(core, run.key, Finish(wanted, error))
    return await agent_runs.get(core, run.key)
