"""Connections: pools, opened by the composition root, and the one translation of driver errors.

JSON columns are read and written as text, so the log's bytes are never parsed on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from perdure.domain.errors import Unavailable

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What the driver raises when the database is away, restarting or full: the caller may try again."""


@contextmanager
def away_is_unavailable() -> Iterator[None]:
    """Turn the driver's connection errors into `Unavailable`."""
    try:
        yield
    except _AWAY as error:
        if isinstance(error, ValueError):
            raise  # how the driver calls a value that it cannot send: trying again is no use
        raise Unavailable(f"The database is not answering ({type(error).__name__}). Try again.") from error


async def _keep_session(connection: Connection) -> None:
    """Leave a returned connection as it is: nothing here changes session state, and a reset costs a round trip."""


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, *, size: int, name: str = "perdure") -> Database:
        """Connect. `size`: the most connections it holds. Raises Unavailable when the database does not answer."""
        with away_is_unavailable():
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=size,
                command_timeout=60,
                max_inactive_connection_lifetime=0,
                reset=_keep_session,
                server_settings={"application_name": name, "jit": "off", "timezone": "UTC"},
            )
        return cls(pool)

    async def close(self) -> None:
        """Close every connection, waiting shortly for those in use."""
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of one's own for a while."""
        with away_is_unavailable():
            async with self._pool.acquire(timeout=30) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction that commits at the end of the block."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """All rows of a statement."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *values)

    async def fetchrow(self, sql: str, *values: object) -> asyncpg.Record | None:
        """The first row of a statement, None where there is none."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *values)

    async def execute(self, sql: str, *values: object) -> str:
        """Run a statement; answers PostgreSQL's command tag."""
        async with self.connection() as connection:
            return await connection.execute(sql, *values)

    async def fetch_planned_anew(self, sql: str, values: Sequence[object]) -> list[asyncpg.Record]:
        """All rows of a statement whose best plan depends on its values (optional filters)."""
        async with self.transaction() as connection:
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            return await connection.fetch(sql, *values)
