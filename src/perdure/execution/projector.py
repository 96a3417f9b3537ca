"""Keeps the projections of the logs current: those of ended runs within a second, of live ones every few seconds.

Every worker and server tries; one at a time does it (`services/projections.py`). Who falls behind works at most a third
of the time, so that runs go first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from perdure.domain.errors import Unavailable
from perdure.services import projections
from perdure.services.core import Core
from perdure.services.projections import Pass
from perdure.telemetry import LogLine, get_logger

_EVERY_SECONDS = 0.5
_LIVE_SECONDS = 3.0
_THOROUGH_SECONDS = 15.0
_REST = 2.0
"""Rest after a full pass, as a multiple of the time that it took."""

_LIVE_REST = 20.0
"""The same for a search through the live runs, which are looked at one by one."""


class Projecting:
    """The loop of one process."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._task: asyncio.Task[None] | None = None
        self._live_at = self._thorough_at = 0.0
        self._log = get_logger()

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._loop(), name="projecting")

    async def stop(self) -> None:
        """Stop. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _loop(self) -> None:
        while True:
            try:
                rest = await self._once()
            except Unavailable:
                rest = _EVERY_SECONDS  # the queue's maintenance says so
            except Exception:
                self._log.exception(LogLine.PROJECTING_FAILED)
                rest = _EVERY_SECONDS
            await asyncio.sleep(rest)

    async def _once(self) -> float:
        """One pass; seconds to rest after it."""
        began = monotonic()
        thorough = began >= self._thorough_at
        done = await self._pass(lambda: projections.project_ended(self._core, thorough=thorough))
        if thorough and not done.full:
            self._thorough_at = began + _THOROUGH_SECONDS
            await projections.measure(self._core)
        if monotonic() >= self._live_at:
            live_began = monotonic()
            live = await self._pass(lambda: projections.project_live(self._core))
            took = monotonic() - live_began
            self._live_at = monotonic() + (_REST * took if live.full else max(_LIVE_SECONDS, _LIVE_REST * took))
            done = Pass(done.projected + live.projected, done.full or live.full)
        took = monotonic() - began
        return max(0.02, _REST * took) if done.full else _EVERY_SECONDS

    async def _pass(self, work: Callable[[], Awaitable[Pass]]) -> Pass:
        done = await work()
        if done.projected:
            self._core.metrics.runs_projected(done.projected)
        return done
