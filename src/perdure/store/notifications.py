"""PostgreSQL's NOTIFY and LISTEN: hints between processes, never the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from perdure.domain.errors import Unavailable
from perdure.store.database import Database, away_is_unavailable
from perdure.store.queries import load
from perdure.telemetry import LogLine, get_logger

if TYPE_CHECKING:
    from perdure.store.database import Connection

MAX_PAYLOAD = 7_900
"""PostgreSQL refuses payloads of 8,000 bytes and more."""

_SQL = load("notifications")
_RECONNECT_SECONDS = 0.5


async def send(database: Database, hints: Sequence[tuple[str, str]]) -> None:
    """Send (channel, payload) pairs, each payload shorter than MAX_PAYLOAD bytes."""
    await database.execute(_SQL["notify"], [channel for channel, _ in hints], [payload for _, payload in hints])


class Listener:
    """One LISTEN connection, kept alive. `heard(channel, payload)` per notification; `lost()` after each reconnect,
    because what was sent meanwhile was not heard."""

    def __init__(
        self, dsn: str, channels: Sequence[str], heard: Callable[[str, str], None], lost: Callable[[], None]
    ) -> None:
        self._dsn = dsn
        self._channels = channels
        self._heard = heard
        self._lost = lost
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when it listens. Raises Unavailable when the database does not answer."""
        self._connection = await self._connect()
        self._task = asyncio.create_task(self._keep(), name="listener")

    async def stop(self) -> None:
        """Stop listening. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        # Not the task's to close: one that is cancelled before its first step closes nothing.
        if self._connection is not None and not self._connection.is_closed():
            self._connection.terminate()

    async def _connect(self) -> Connection:
        with away_is_unavailable():
            connection = await asyncpg.connect(
                self._dsn, timeout=10, server_settings={"application_name": "perdure-listen"}
            )
            try:
                for channel in self._channels:
                    await connection.add_listener(channel, self._on_notification)
            except BaseException:
                connection.terminate()
                raise
        return connection

    def _on_notification(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._heard(channel, str(payload))

    async def _keep(self) -> None:
        while self._connection is not None:
            gone = asyncio.Event()
            self._connection.add_termination_listener(lambda _connection, gone=gone: gone.set())
            await gone.wait()
            get_logger().warning(LogLine.LISTENER_LOST, error="the connection was closed")
            self._connection = await self._reconnect()
            self._lost()

    async def _reconnect(self) -> Connection:
        while True:
            with suppress(Unavailable):
                return await self._connect()
            await asyncio.sleep(_RECONNECT_SECONDS)
