"""What workers serve, and which workers there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perdure.domain.catalog import Published
from perdure.domain.run import Kind
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("catalog")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that a worker serves or served."""

    kind: str
    name: str
    last_seen_at: datetime
    description: str | None = None
    version: str | None = None
    input_schema: str | None = None
    concurrency: int | None = None

    @property
    def published(self) -> Published:
        """What its worker says of it."""
        return Published(
            Kind(self.kind), self.name, self.description, self.version, self.input_schema, self.concurrency
        )


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker that was heard of."""

    id: str
    routes: tuple[str, ...]
    concurrency: int
    started_at: datetime
    heartbeat_at: datetime
    version: str | None = None


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


async def publish(database: Database, published: Sequence[Published], now: datetime) -> None:
    """Remember what a worker says of what it serves."""
    await database.execute(
        _SQL["publish_catalog"],
        [one.kind.value for one in published],
        [one.name for one in published],
        [one.description for one in published],
        [one.version for one in published],
        [one.input_schema for one in published],
        now,
        [one.concurrency for one in published],
    )


async def set_version(database: Database, worker_id: str, version: str) -> None:
    """Say which version of its code a worker executes."""
    await database.execute(_SQL["set_worker_version"], worker_id, version)


async def entry(database: Database, kind: str, name: str) -> Entry | None:
    """One thing that some worker serves or served; None where nobody did."""
    row = await database.fetchrow(_SQL["get_catalog_entry"], kind, name)
    return None if row is None else _entry(row)


async def entries(database: Database) -> list[Entry]:
    """Everything that some worker serves or served."""
    return [_entry(row) for row in await database.fetch(_SQL["list_catalog"])]


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(
        row["kind"], row["name"], row["last_seen_at"],
        row["description"], row["version"], row["input_schema"], row["concurrency"],
    )  # fmt: skip


async def workers(database: Database) -> list[WorkerRow]:
    """All workers that were heard of."""
    rows = await database.fetch(_SQL["list_workers"])
    return [
        WorkerRow(
            row["id"], tuple(row["routes"]), row["concurrency"], row["started_at"], row["heartbeat_at"], row["version"]
        )
        for row in rows
    ]
