"""The postgres engine's queue: what waits for a worker, and who holds what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.lease import Claimed, Held, Renewed
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("run_queue")
_AT_ONCE = 500
_CLAIM_ONE = _SQL["claim_runs"].replace(
    "WHERE q.route = served.route", "WHERE q.project_id = $7 AND q.run_id = $8 AND q.route = served.route"
)
"""One statement has the rules of a claim. A filter in it that may be absent would cost `claim_runs` its index."""


async def claim(
    database: Database, worker_id: str, routes: Sequence[str], limit: int, now_ms: int, expires: datetime
) -> list[Claimed]:
    """Take up to `limit` due runs of the given routes, highest priority first."""
    now = datetime.fromtimestamp(now_ms / 1000, expires.tzinfo)
    rows = await database.fetch(_SQL["claim_runs"], list(routes), now, limit, worker_id, expires, now_ms)
    return [_claimed(row) for row in rows]


async def claim_one(
    database: Database, worker_id: str, key: RunKey, route: str, now_ms: int, expires: datetime
) -> list[Claimed]:
    """Take one run, under the rules of `claim`; nothing where it is not due, or somebody else has it."""
    now = datetime.fromtimestamp(now_ms / 1000, expires.tzinfo)
    rows = await database.fetch(_CLAIM_ONE, [route], now, 1, worker_id, expires, now_ms, *key)
    return [_claimed(row) for row in rows]


async def claim_external(
    database: Database, project_id: ProjectId, worker_id: str, routes: Sequence[str], now_ms: int, expires: datetime
) -> list[Claimed]:
    """Take the first due run of the given external routes of one project, if there is one."""
    now = datetime.fromtimestamp(now_ms / 1000, expires.tzinfo)
    rows = await database.fetch(_SQL["claim_external_run"], project_id, list(routes), now, worker_id, expires, now_ms)
    return [_claimed(row) for row in rows]


def _claimed(row: asyncpg.Record) -> Claimed:
    return Claimed(
        RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])),
        row["revision"], row["attempt"], row["fence"], row["latest_event_id"], row["available_at"],
    )  # fmt: skip


async def renew_one(database: Database, key: RunKey, worker_id: str, expires: datetime) -> Renewed | None:
    """Extend one lease; None where the worker does not hold the run."""
    row = await database.fetchrow(_SQL["renew_lease"], key.project_id, key.run_id, worker_id, expires)
    return None if row is None else _renewed(row)


def _renewed(row: asyncpg.Record) -> Renewed:
    return Renewed(RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])), row["fence"], row["cancelling"])


async def renew(database: Database, worker_id: str, expires: datetime) -> list[Renewed]:
    """Extend every lease of a worker; what is not in the answer it has lost."""
    rows = await database.fetch(_SQL["renew_leases"], worker_id, expires)
    return [_renewed(row) for row in rows]


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
