"""What somebody must look after: lost workers, cancels that nobody answered, deadlines, schedules, the queue's gauges.

Every worker and server does it; each deed is a compare-and-set, so that several at once do no harm.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import monotonic

from perdure.domain.errors import Unavailable
from perdure.execution.alarm import Alarm
from perdure.execution.projector import Projecting
from perdure.services import batches, conversation_line, deadlines, input_requests, lifecycle, queue, schedules
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_EVERY_SECONDS = 0.5
_MEASURE_SECONDS = 5.0


class Maintenance:
    """Looks after the queue twice a second."""

    def __init__(self, core: Core, cancel_grace: timedelta) -> None:
        self._core = core
        self._cancel_grace = cancel_grace
        self._task: asyncio.Task[None] | None = None
        self._projecting = Projecting(core)
        self._alarm = Alarm(core)
        self._measured = 0.0
        self._away_since: float | None = None
        self._log = get_logger()

    async def start(self) -> None:
        """Begin."""
        await self._projecting.start()
        await self._alarm.start()
        self._task = asyncio.create_task(self._loop(), name="maintenance")

    async def stop(self) -> None:
        """Stop. Safe to call twice."""
        await self._projecting.stop()
        await self._alarm.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _loop(self) -> None:
        while True:
            try:
                await self._once()
                self._back()
            except Unavailable as error:
                self._away(error)
            except Exception:
                self._log.exception(LogLine.MAINTENANCE_FAILED)
            await asyncio.sleep(_EVERY_SECONDS)

    def _away(self, error: Unavailable) -> None:
        if self._away_since is None:
            self._away_since = monotonic()
            self._log.warning(LogLine.DATABASE_AWAY, error=error.detail)

    def _back(self) -> None:
        if self._away_since is not None:
            self._log.info(LogLine.DATABASE_BACK, seconds=round(monotonic() - self._away_since, 1))
            self._away_since = None

    async def _once(self) -> None:
        recovered = await lifecycle.recover_expired(self._core)
        ended = await lifecycle.force_overdue_cancels(self._core, self._cancel_grace)
        if recovered or ended:
            self._log.warning(LogLine.RUNS_RECOVERED, expired_leases=recovered, overdue_cancels=ended)
        await deadlines.fail_overdue(self._core)
        await batches.go_on_cancelling(self._core)
        await conversation_line.go_on_interrupting(self._core)
        await schedules.fire_due(self._core)
        await input_requests.expire_due(self._core)
        if monotonic() - self._measured >= _MEASURE_SECONDS:
            self._measured = monotonic()
            await queue.measure(self._core)
