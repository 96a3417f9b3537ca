"""Connections: how many, in what state they come back, and what becomes of broken ones."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from perdure.domain.errors import Unavailable
from perdure.store.database import Database
from tests.store.harness import WAIT_SECONDS

SIZE = 3


async def sessions(database: Database, state: str) -> int:
    """How many of this pool's sessions are in a state."""
    row = await database.fetchrow(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perdure' AND state LIKE $1"
        " AND pid <> pg_backend_pid() AND datname = current_database()",
        state,
    )
    assert row is not None
    return int(row[0])


async def write(database: Database, number: int) -> None:
    """Two rows, or none."""
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO pairs VALUES ($1)", number)
        await connection.execute("INSERT INTO pairs VALUES ($1)", number)


@pytest.mark.parametrize("turns", range(12))
async def test_an_interrupted_user_leaves_nothing_behind(database: str, turns: int) -> None:
    """Wherever in a transaction it is cancelled: nobody gets a connection with half of another's work on it."""
    pool = await Database.open(database, size=1)
    try:
        await pool.execute("CREATE TABLE pairs (number int)")
        for number in range(5):
            task = asyncio.create_task(write(pool, number))
            for _ in range(turns):
                await asyncio.sleep(0)
            if number:
                await asyncio.sleep(0.0003 * number)
            task.cancel()
            await asyncio.wait([task])
            await write(pool, 100 + number)
        async with asyncio.timeout(WAIT_SECONDS):
            other = await asyncpg.connect(database)
            counts = await other.fetch("SELECT number, count(*) AS rows FROM pairs GROUP BY number")
            await other.close()
        assert {row["rows"] for row in counts} == {2}
        assert {100 + number for number in range(5)} <= {row["number"] for row in counts}
    finally:
        await pool.close()


async def test_there_are_never_more_connections_than_said(database: str) -> None:
    pool = await Database.open(database, size=SIZE)
    try:
        await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.01)") for _ in range(20)))
        cancelled = [asyncio.create_task(pool.fetch("SELECT pg_sleep(10)")) for _ in range(SIZE)]
        await asyncio.sleep(0.05)
        for task in cancelled:
            task.cancel()
        await asyncio.wait(cancelled)
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.01)") for _ in range(20)))
        assert await sessions(pool, "idle") == SIZE - 1
        assert await sessions(pool, "idle in transaction%") == 0
    finally:
        await pool.close()


async def test_connections_that_the_server_ended_are_replaced(database: str) -> None:
    pool = await Database.open(database, size=SIZE)
    admin = await asyncpg.connect(database)
    try:
        for _ in range(5):
            await asyncio.gather(*(pool.fetch("SELECT 1") for _ in range(SIZE)))
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'perdure'"
                " AND datname = current_database()"
            )
            async with asyncio.timeout(WAIT_SECONDS):
                done = await asyncio.gather(*(pool.fetch("SELECT 1") for _ in range(10)), return_exceptions=True)
                assert all(isinstance(answer, list | Unavailable) for answer in done)
                while isinstance(
                    (await asyncio.gather(pool.fetch("SELECT 1"), return_exceptions=True))[0], Unavailable
                ):
                    pass
    finally:
        await admin.close()
        await pool.close()


async def test_closing_waits_for_those_who_are_at_work_and_no_longer(database: str) -> None:
    pool = await Database.open(database, size=SIZE)
    at_work = [asyncio.create_task(pool.fetch("SELECT pg_sleep(0.2)")) for _ in range(SIZE)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(3):
        await pool.close()
    assert [len(await task) for task in at_work] == [1] * SIZE


async def test_who_asks_a_database_that_is_away_is_told_to_come_back(database: str) -> None:
    with pytest.raises(Unavailable):
        await Database.open("postgresql://perdure@/perdure?host=/nowhere", size=1)
    pool = await Database.open(database, size=1)
    await pool.close()
    with pytest.raises(Unavailable):
        await pool.fetch("SELECT 1")


async def test_a_wrong_url_is_no_reason_to_come_back() -> None:
    with pytest.raises(ValueError, match="sslmode"):
        await Database.open("postgresql://localhost/perdure?sslmode=perhaps", size=1)


@pytest.mark.parametrize("value", ["\ud800", 7, object()])
async def test_a_value_that_cannot_be_sent_is_no_reason_to_come_back(database: str, value: object) -> None:
    pool = await Database.open(database, size=1)
    try:
        with pytest.raises(asyncpg.DataError, match="query argument"):
            await pool.fetch("SELECT $1::text", value)
        assert len(await pool.fetch("SELECT 1")) == 1
    finally:
        await pool.close()
