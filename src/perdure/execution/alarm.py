"""The clock of waiting runs: wakes those whose time has come. Every worker and server runs one; several do no harm."""

from __future__ import annotations

import asyncio
from typing import Final

from perdure.domain.errors import Unavailable
from perdure.services import timers
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

EVERY_SECONDS: Final = 0.2
_TIDY_EVERY: Final = 150
"""Rounds between two looks for timers that nobody needs any more."""


class Alarm:
    """Wakes due runs five times a second, at once again while there are many."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._loop(), name="alarm")

    async def stop(self) -> None:
        """Stop. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _loop(self) -> None:
        rounds = 0
        while True:
            woken = await self._round(tidy=rounds % _TIDY_EVERY == 0)
            rounds += 1
            if woken < timers.AT_ONCE:
                await asyncio.sleep(EVERY_SECONDS)

    async def _round(self, *, tidy: bool) -> int:
        try:
            if tidy:
                await timers.forget_ended(self._core)
            return await timers.wake_due(self._core)
        except Unavailable:
            return 0  # the maintenance of this process says that the database is away
        except Exception:
            self._log.exception(LogLine.MAINTENANCE_FAILED)
            return 0
