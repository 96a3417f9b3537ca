"""The postgres engine's queue: what waits for a worker, and who holds what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.lease import Claimed, Held, Renewed
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("run_queue")
_AT_ONCE = 500


async def claim(
    database: Database, worker_id: str, routes: Sequence[str], limit: int, now_ms: int, expires: datetime
) -> list[Claimed]:
    """Take up to `limit` due runs of the given routes, highest priority first."""
    now = datetime.fromtimestamp(now_ms / 1000, expires.tzinfo)
    rows = await database.fetch(_SQL["claim_runs"], list(routes), now, limit, worker_id, expires, now_ms)
    return [
        Claimed(
            RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])),
            row["revision"], row["attempt"], row["fence"], row["latest_event_id"], row["available_at"],
        )
        for row in rows
    ]  # fmt: skip


async def renew(database: Database, worker_id: str, expires: datetime) -> list[Renewed]:
    """Extend every lease of a worker; what is not in the answer it has lost."""
    rows = await database.fetch(_SQL["renew_leases"], worker_id, expires)
    return [
        Renewed(RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])), row["fence"], row["cancelling"])
        for row in rows
    ]


async def expired(database: Database, now: datetime) -> list[Held]:
    """Runs whose lease has run out, oldest first."""
    rows = await database.fetch(_SQL["expired_leases"], now, _AT_ONCE)
    return [Held(RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])), row["fence"]) for row in rows]


async def overdue_cancels(database: Database, asked_before: datetime) -> list[RunKey]:
    """Running runs that were asked to cancel before the given time."""
    rows = await database.fetch(_SQL["overdue_cancels"], asked_before, _AT_ONCE)
    return [RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])) for row in rows]


@dataclass(frozen=True, slots=True)
class Depth:
    """How many runs wait for a worker and how many are held, and since when the oldest due one waits."""

    pending: int
    leased: int
    oldest: datetime | None


async def depth(database: Database, now: datetime) -> Depth:
    """What the queue holds."""
    row = await database.fetchrow(_SQL["queue_depth"], now)
    return Depth(0, 0, None) if row is None else Depth(row["pending"], row["leased"], row["oldest"])
