"""The postgres engine's queue: what waits for a worker, and who holds what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from perdure.domain.ids import Clock, ProjectId, RunId, RunKey
from perdure.domain.lease import Claimed, Held, Renewed
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import at

if TYPE_CHECKING:
    import asyncpg

_SQL = load("run_queue")
_AT_ONCE = 500
CLAIMS_ALONE = _SQL["claims_alone"]
"""Until the end of the transaction nobody else claims where limits apply."""
_CLAIM_PLAINLY = (
    _SQL["claim_share"].rpartition("\nSELECT ")[0].replace("$2::bigint", "$3::bigint")
    + ", due AS ("
    + _SQL["claim_runs"].partition(", due AS (")[2]
)
"""A claim that need not be fair, and says `limited` where it must. Being fair costs `claim_runs` half of its time."""
_CLAIM_ONE = (
    _SQL["claim_runs"]
    .replace(
        "SELECT route, project_id, level FROM walked",
        "SELECT route, project_id, -priority AS level FROM run_queue WHERE project_id = $8 AND run_id = $9"
        " AND ($7 OR NOT (SELECT apply FROM limits))",
    )
    .replace("WHERE q.route = ", "WHERE q.run_id = $9 AND q.route = ")
)
"""One statement has the rules of a claim. A filter in it that may be absent would cost `claim_runs` its index."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The runs that a claim took. `limited`: limits apply to what it asked for, so they may be why it took no more."""

    runs: list[Claimed]
    limited: bool


async def claim(
    database: Database, worker_id: str, routes: Sequence[str], limit: int, clock: Clock, lease: timedelta
) -> Taken:
    """Take up to `limit` due runs of the given routes: of the projects with the fewest in flight first, and of each
    project by priority, then age."""

    def values(most: int) -> list[object]:
        return [list(routes), *_times(clock, lease, most, worker_id)]

    for statement, more in ((_CLAIM_PLAINLY, ()), (_SQL["claim_runs"], (False,))):
        rows = await database.fetch(statement, *values(limit), *more)
        if not _limited(rows):
            return Taken(_claimed_of(rows), limited=False)
    taken: list[Claimed] = []
    async with database.transaction() as connection:
        await connection.execute(CLAIMS_ALONE)
        # Where a limit is met in the middle of a claim, another run may go in the place of one that it kept back.
        while len(taken) < limit:
            found = _claimed_of(await connection.fetch(_SQL["claim_runs"], *values(limit - len(taken)), True))
            if not found:
                break
            taken.extend(found)
    return Taken(taken, limited=True)


async def claim_one(
    database: Database, worker_id: str, key: RunKey, route: str, clock: Clock, lease: timedelta
) -> Taken:
    """Take one run, under the rules of `claim`; nothing where it is not due, somebody else has it, or its limits are
    reached."""
    return await _one(database, _CLAIM_ONE, lambda: [[route], *_times(clock, lease, 1, worker_id)], *key)


async def claim_external(
    database: Database, project_id: ProjectId, worker_id: str, routes: Sequence[str], clock: Clock, lease: timedelta
) -> Taken:
    """Take the first due run of the given external routes of one project, if there is one and the project has room."""
    return await _one(
        database, _SQL["claim_external_run"], lambda: [project_id, list(routes), *_times(clock, lease, worker_id)]
    )


def _times(clock: Clock, lease: timedelta, *between: object) -> list[object]:
    """The values for now, and after those between for the end of the lease and for now in milliseconds.

    Each try reads the clock anew: while it waited for others, runs may have become due that go first.
    """
    now_ms = clock()
    now = at(now_ms)
    return [now, *between, now + lease, now_ms]


async def _one(database: Database, sql: str, values: Callable[[], Sequence[object]], *more: object) -> Taken:
    """At most one run: at once where no limit applies, otherwise while nobody else claims."""
    rows = await database.fetch(sql, *values(), False, *more)
    if not _limited(rows):
        return Taken(_claimed_of(rows), limited=False)
    async with database.transaction() as connection:
        await connection.execute(CLAIMS_ALONE)
        return Taken(_claimed_of(await connection.fetch(sql, *values(), True, *more)), limited=True)


def _limited(rows: Sequence[asyncpg.Record]) -> bool:
    return bool(rows) and bool(rows[0]["limited"])


def _claimed_of(rows: Sequence[asyncpg.Record]) -> list[Claimed]:
    return [_claimed(row) for row in rows if row["run_id"] is not None]


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
