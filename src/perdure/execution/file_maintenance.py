"""What somebody must look after in the store of files: bytes that no file points at any more.

It has a loop of its own, because a store that does not answer must not keep lost runs waiting. Several servers at once
do no harm.
"""

from __future__ import annotations

import asyncio

from perdure.domain.errors import Unavailable
from perdure.services import artifacts
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_EVERY_SECONDS = 30.0
_ROUNDS_BETWEEN_STAGED = 20


class FileMaintenance:
    """Sweeps twice a minute."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._loop(), name="file-maintenance")

    async def stop(self) -> None:
        """Stop. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _loop(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await artifacts.sweep(self._core)
                if rounds % _ROUNDS_BETWEEN_STAGED == 0:
                    await artifacts.clear_staged(self._core)
                rounds += 1
            except Unavailable as error:
                self._log.warning(LogLine.FILES_AWAY, error=error.detail)
            except Exception:
                self._log.exception(LogLine.FILE_MAINTENANCE_FAILED)
