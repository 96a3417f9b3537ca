"""The keys that the server signs its tokens with: one text (`domain.signing_key`) for all servers on a database."""

from __future__ import annotations

from datetime import datetime

from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("signing_keys")


async def get(database: Database) -> tuple[str, datetime] | None:
    """The keys, and when the one that signs was made; None where none was made yet."""
    row = await database.fetchrow(_SQL["get_signing_key"])
    return None if row is None else (str(row["private_key"]), row["created_at"])


async def add(database: Database, private_key: str, now: datetime) -> None:
    """Store a private key (PEM), unless another server was faster."""
    await database.execute(_SQL["add_signing_key"], private_key, now)


async def replace(database: Database, before: str, after: str, now: datetime) -> bool:
    """Store `after` in place of `before`; False where another server was faster."""
    return await database.fetchrow(_SQL["replace_signing_key"], before, after, now) is not None
