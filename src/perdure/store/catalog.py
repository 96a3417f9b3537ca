"""What workers serve, and which workers there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("catalog")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that a worker serves or served."""

    kind: str
    name: str
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker that was heard of."""

    id: str
    routes: tuple[str, ...]
    concurrency: int
    started_at: datetime
    heartbeat_at: datetime


async def register(
    database: Database, worker_id: str, served: Sequence[tuple[str, str]], concurrency: int, now_ms: int
) -> None:
    """Remember a worker and what it serves, as (kind, name) pairs."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    routes = [f"{kind}:{name}" for kind, name in served]
    async with database.transaction() as connection:
        await connection.execute(_SQL["register_worker"], worker_id, routes, concurrency, now)
        await connection.execute(
            _SQL["record_catalog"], [kind for kind, _ in served], [name for _, name in served], now
        )


async def unregister(database: Database, worker_id: str) -> None:
    """Forget a worker that stops; what it served stays known."""
    await database.execute(_SQL["remove_worker"], worker_id)


async def heartbeat(database: Database, worker_id: str, now: datetime, silent_since: datetime) -> None:
    """A worker is still there; those silent since the given time are forgotten."""
    await database.execute(_SQL["heartbeat_worker"], worker_id, now)
    await database.execute(_SQL["remove_silent_workers"], silent_since)


async def entries(database: Database) -> list[Entry]:
    """Everything that some worker serves or served."""
    rows = await database.fetch(_SQL["list_catalog"])
    return [Entry(row["kind"], row["name"], row["last_seen_at"]) for row in rows]


async def workers(database: Database) -> list[WorkerRow]:
    """All workers that were heard of."""
    rows = await database.fetch(_SQL["list_workers"])
    return [
        WorkerRow(row["id"], tuple(row["routes"]), row["concurrency"], row["started_at"], row["heartbeat_at"])
        for row in rows
    ]
