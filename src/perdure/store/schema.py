"""Which revision of the schema a database has, and which this code needs, without what migrates it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import asyncpg

from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("schema")
_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


@cache
def newest_revision() -> str:
    """The revision that this code needs: migrations are numbered, and their files bear the numbers."""
    return max(file.name.partition("_")[0] for file in _MIGRATIONS.glob("[0-9]*_*.py"))


async def is_newest(dsn: str) -> bool:
    """Whether nothing is left to migrate. `dsn`: postgresql://…"""
    connection = await asyncpg.connect(dsn)
    try:
        return bool(await connection.fetchval(_SQL["current_revision"]) == newest_revision())
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await connection.close()


async def current_revision(database: Database) -> str | None:
    """The revision, None where nothing has been applied. Raises Unavailable when the database does not answer."""
    try:
        row = await database.fetchrow(_SQL["current_revision"])
    except asyncpg.UndefinedTableError:
        return None
    return None if row is None else str(row["version_num"])
