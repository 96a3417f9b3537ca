"""Waiting runs go on when their time has come, or when a child that they wait for has ended."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from perdure.domain.errors import RunNotFound
from perdure.domain.run import Wake
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.store import timers
from perdure.store.runs import at

AT_ONCE: Final = 200


async def wake_due(core: Core) -> int:
    """Put the waiting runs whose time has come back into the queue; answers how many it looked at.

    A timer is forgotten after its run was woken: a process that dies between the two leaves it to the next.
    """
    due = await timers.due(core.database, at(core.clock()), AT_ONCE)
    for timer in due:
        with suppress(RunNotFound):
            await lifecycle.apply(core, timer.key, Wake())
    if due:
        await timers.remove(core.database, due)
    return len(due)


async def forget_ended(core: Core) -> None:
    """Forget the due timers of runs that have ended."""
    await timers.remove_of_ended(core.database, at(core.clock()))
