"""The `database` fixture: the newest schema, nobody else's rows."""

from __future__ import annotations

import asyncpg
import pytest


@pytest.mark.parametrize("_again", [1, 2])
async def test_each_test_has_an_empty_migrated_database(database: str, _again: int) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SELECT count(*) FROM runs") == 0
        await connection.execute("CREATE TABLE left_behind ()")
    finally:
        await connection.close()
