"""Which revision of the schema a database has."""

from __future__ import annotations

import asyncpg

from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("schema")


async def current_revision(database: Database) -> str | None:
    """The revision, None where nothing has been applied. Raises Unavailable when the database does not answer."""
    try:
        row = await database.fetchrow(_SQL["current_revision"])
    except asyncpg.UndefinedTableError:
        return None
    return None if row is None else str(row["version_num"])
