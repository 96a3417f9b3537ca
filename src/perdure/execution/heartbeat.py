"""The heartbeat of a worker: a thread with an event loop and a connection of its own.

An agent's tool may block the worker's event loop for minutes; its lease must not expire meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from perdure.domain.errors import PerdureError
from perdure.domain.ids import Clock
from perdure.domain.lease import Renewed
from perdure.services.leases import lease_keeper
from perdure.telemetry import LogLine, get_logger

_BEATS_PER_LEASE = 4
_RETRY_SECONDS = 0.5


class Heartbeat:
    """Renews a worker's leases several times per lease and tells `beaten(renewed)`, in the worker's event loop, what it
    still holds. While the database is away nothing is told; the fence protects the log meanwhile."""

    def __init__(
        self, dsn: str, clock: Clock, worker_id: str, lease: timedelta, beaten: Callable[[Sequence[Renewed]], None]
    ) -> None:
        self._dsn = dsn
        self._clock = clock
        self._worker_id = worker_id
        self._lease = lease
        self._beaten = beaten
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. Call it from the worker's event loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="heartbeat", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Stop beating. Safe to call twice."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 5)
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.run(self._beat_until_stopped(loop))

    async def _beat_until_stopped(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopping.is_set():
            try:
                async with lease_keeper(self._dsn, self._clock, self._worker_id, self._lease) as keeper:
                    while not self._stopping.is_set():
                        renewed = await keeper.beat()
                        with suppress(RuntimeError):  # the worker's loop is closed: it is gone, and so are we soon
                            loop.call_soon_threadsafe(self._beaten, renewed)
                        await self._pause(self._lease.total_seconds() / _BEATS_PER_LEASE)
            except PerdureError as error:
                get_logger().warning(LogLine.HEARTBEAT_FAILED, error=error.detail)
            await self._pause(_RETRY_SECONDS)

    async def _pause(self, seconds: float) -> None:
        await asyncio.to_thread(self._stopping.wait, seconds)
