"""The `database` fixture: the newest schema, nobody else's rows."""

from __future__ import annotations

import asyncpg
import pytest

from tests.databases import ROOM_BYTES, Databases

ROWS = """
    SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM runs), (SELECT count(*) FROM run_head),
           (SELECT count(*) FROM projection_progress), to_regclass('left_behind') IS NULL
"""
NEW = (0, 0, 0, 1, True)
PROJECT = "INSERT INTO projects (id, slug, name, created_at) VALUES (gen_random_uuid(), 'p', 'P', now())"
TOO_MUCH = f"""
    INSERT INTO catalog (kind, name, last_seen_at)
    SELECT 'agent', repeat('x', 1000) || n, now() FROM generate_series(1, {ROOM_BYTES // 1000}) n
"""


@pytest.mark.parametrize(
    ("left", "again"),
    [
        (PROJECT, True),
        ("DELETE FROM projection_progress", True),
        ("CREATE TABLE left_behind ()", False),
        ("ALTER TABLE runs ADD COLUMN left_behind int", False),
        (
            "CREATE OR REPLACE FUNCTION push_run_moved() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            False,
        ),
        ("ALTER TABLE run_head DISABLE TRIGGER push_run_moved", False),
        ("DROP INDEX runs_live", False),
        ("DROP TABLE alembic_version", False),
        (TOO_MUCH, False),
    ],
)
async def test_each_test_has_a_database_as_new(databases: Databases, left: str, again: bool) -> None:
    with databases.lent() as one:
        await execute(one, left)
    with databases.lent() as other:
        connection = await asyncpg.connect(other)
        try:
            assert tuple(await connection.fetchrow(ROWS) or ()) == NEW
        finally:
            await connection.close()
    assert (one == other) is again


async def test_one_that_somebody_is_still_connected_to_is_not_lent_again(databases: Databases) -> None:
    with databases.lent() as one:
        connection = await asyncpg.connect(one)
    with databases.lent() as other:
        assert other != one
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetchval("SELECT 1")
    await connection.close()


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
