"""What the PostgreSQL server itself says, and what an installation holds: for `perdure doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from perdure.domain.errors import Unavailable
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("server")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server's version as PostgreSQL counts it (150004 is 15.4), and the time on its clock."""

    version: int
    now: datetime


async def facts(database: Database) -> ServerFacts:
    """What the server says of itself. Raises Unavailable."""
    row = await database.fetchrow(_SQL["server_facts"])
    if row is None:
        raise Unavailable
    return ServerFacts(row["version"], row["now"])


async def count_usable_keys(database: Database, now: datetime) -> int:
    """How many API keys open something, in all projects."""
    row = await database.fetchrow(_SQL["count_usable_keys"], now)
    return 0 if row is None else int(row["keys"])
