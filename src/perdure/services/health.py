"""Whether this process does its work: what `/readyz` tells."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from perdure.domain.errors import Unavailable
from perdure.services.core import Core
from perdure.store import schema
from perdure.telemetry import LogLine, get_logger

_TICK_SECONDS: Final = 0.1
_WINDOW_TICKS: Final = 20
"""The worst lag of the last two seconds counts."""
_DATABASE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well, and what to say about it."""

    name: str
    ok: bool
    detail: str


class Health:
    """Watches the event loop, and looks at the rest when asked.

    `max_lag_ms`: how late the event loop may come to run a timer. `worker_running` is given where this process executes
    runs; a process that only serves is well without.
    """

    def __init__(self, core: Core, *, max_lag_ms: int, worker_running: Callable[[], bool] | None = None) -> None:
        self._core = core
        self._max_lag = max_lag_ms / 1000
        self._worker_running = worker_running
        self._newest = schema.newest_revision()
        self._lags: deque[float] = deque(maxlen=_WINDOW_TICKS)
        self._due: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._watch(), name="loop-lag")

    async def stop(self) -> None:
        """Stop watching. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def checks(self) -> list[Check]:
        """Look at everything, which takes two seconds at most."""
        found = [*await self._database(), self._loop()]
        if self._worker_running is not None:
            running = self._worker_running()
            found.append(Check("worker", running, "It executes runs." if running else "It does not execute runs."))
        return found

    async def _database(self) -> list[Check]:
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                revision = await schema.current_revision(self._core.database)
        except Unavailable as error:
            return [Check("database", False, error.detail)]
        except TimeoutError:
            return [Check("database", False, f"It did not answer within {_DATABASE_SECONDS:.0f} s.")]
        return [Check("database", True, "It answers."), self._migrations(revision)]

    def _migrations(self, revision: str | None) -> Check:
        # A newer schema is well: during an upgrade old processes run on it (revisions are numbers of four digits).
        if revision is not None and revision >= self._newest:
            return Check("migrations", True, f"The schema is at {revision}.")
        at = "nothing" if revision is None else revision
        detail = f"The schema is at {at} and must be at {self._newest}: run `perdure db upgrade`."
        return Check("migrations", False, detail)

    def _loop(self) -> Check:
        overdue = monotonic() - self._due if self._due is not None else 0.0
        worst = max(overdue, *self._lags, 0.0)
        return Check("event_loop", worst <= self._max_lag, f"It came {worst * 1000:.0f} ms late at worst.")

    async def _watch(self) -> None:
        while True:
            self._due = monotonic() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            lag = max(0.0, monotonic() - self._due)
            if lag > self._max_lag:
                get_logger().warning(LogLine.LOOP_LAGS, seconds=round(lag, 3))
            self._lags.append(lag)
            self._core.metrics.loop_lag(lag)
