"""Connections: pools, opened by the composition root, and the one translation of driver errors.

JSON columns are read and written as text, so the log's bytes are never parsed on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import asyncpg

from perdure.domain.errors import PerdureError, Unavailable

if TYPE_CHECKING:
    PooledConnection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PooledConnection
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What the driver raises when the database is away, restarting or full: the caller may try again.

InternalClientError is what it makes of a connection that the server has ended, but not closed yet.
"""


PLANNING: Final = {"jit": "off", "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""Statements are keyed look-ups whose plan does not depend on values; planning a claim anew cost five times the claim.
`fetch_planned_anew` is for those whose plan does. Plans are kept, those of the checks of foreign keys too: one made for
tables of a few rows must not read them from end to end as they grow. (10,000 runs at once took 15 s instead of 2.)"""


@contextmanager
def away_is_unavailable() -> Iterator[None]:
    """Turn the driver's connection errors into `Unavailable`."""
    try:
        yield
    except _AWAY as error:
        if isinstance(error, ValueError):
            raise  # the URL is wrong: trying again is no use
        raise Unavailable(f"The database is not answering ({type(error).__name__}). Try again.") from error


async def _keep_session(connection: Connection) -> None:
    """Leave a returned connection as it is: nothing here changes session state, and a reset costs a round trip."""


def _is_open(connection: PooledConnection) -> bool:
    """A connection that the server ended is taken back by the pool, and then answers nothing at all."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False


class Rows(Protocol):
    """What answers rows: the pool, or one connection inside a transaction."""

    async def fetchrow(self, sql: str, /, *values: object) -> asyncpg.Record | None:
        """The first row of a statement, None where there is none."""
        ...


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, pool: Pool, size: int) -> None:
        self._pool = pool
        self._idle: list[PooledConnection] = []
        self._free = asyncio.Semaphore(size)
        self._closing = False

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
                server_settings={"application_name": name, "timezone": "UTC", **PLANNING},
            )
        return cls(pool, size)

    async def close(self) -> None:
        """Close every connection, waiting shortly for those in use."""
        self._closing = True
        while self._idle:
            await self._pool.release(self._idle.pop())
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of one's own for a while."""
        with away_is_unavailable():
            connection = await self._borrow()
            try:
                yield connection
            except (asyncpg.PostgresError, PerdureError):  # no statement was interrupted: it can serve the next
                self._give_back(connection)
                raise
            except BaseException:
                await self._throw_away(connection)
                raise
            self._give_back(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction that commits at the end of the block."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def _borrow(self) -> PooledConnection:
        """An idle connection, or a new one; waits while all are in use.

        The pool would do, but it starts a task and a timer for each connection that comes and goes, which was a tenth
        of the processor time of an append.
        """
        await self._free.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if _is_open(connection):
                    return connection
                await self._pool.release(connection)
            return await self._pool.acquire()
        except BaseException:
            self._free.release()
            raise

    def _give_back(self, connection: PooledConnection) -> None:
        if not self._closing:
            self._idle.append(connection)
        elif _is_open(connection):
            connection.terminate()  # the pool waits for it
        self._free.release()

    async def _throw_away(self, connection: PooledConnection) -> None:
        """A connection that broke, or whose statement was interrupted: in what state it is nobody knows."""
        try:
            if _is_open(connection):
                connection.terminate()
            await self._pool.release(connection)
        finally:
            self._free.release()

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
