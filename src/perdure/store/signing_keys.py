"""The key that the server signs its tokens with: one for all servers on a database."""

from __future__ import annotations

from datetime import datetime

from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("signing_keys")


async def get(database: Database) -> str | None:
    """The private key as PEM; None where none was made yet."""
    row = await database.fetchrow(_SQL["get_signing_key"])
    return None if row is None else str(row["private_key"])


async def add(database: Database, private_key: str, now: datetime) -> None:
    """Store a private key (PEM), unless another server was faster."""
    await database.execute(_SQL["add_signing_key"], private_key, now)
