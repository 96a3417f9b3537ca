"""Batches: made with all of their runs in one statement, counted, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from perdure.domain.batch import BatchId, StoredBatch
from perdure.domain.event import segment_of
from perdure.domain.ids import ProjectId, RunId
from perdure.domain.run import Status
from perdure.domain.stored_run import NewRun
from perdure.domain.transitions import Transition
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import at

_SQL = load("batches")


async def create(
    database: Database,
    project_id: ProjectId,
    batch_id: BatchId,
    runs: Sequence[NewRun],
    *,
    request_hash: bytes,
    created_by: str | None,
    now: datetime,
) -> bool:
    """Create a batch with its pending task runs, which are scheduled alike; whether it is new. When it is not, nothing
    is created."""
    scheduling = runs[0].scheduling
    row = await database.fetchrow(
        _SQL["create_batch"],
        project_id, batch_id, request_hash, created_by, now,
        [run.key.run_id for run in runs],
        [run.target for run in runs],
        [msgspec.json.encode(run.spec).decode() for run in runs],
        [run.request_hash for run in runs],
        [run.route for run in runs],
        scheduling.priority, scheduling.run_after, scheduling.deadline,
    )  # fmt: skip
    return row is not None and bool(row[0])


async def get(database: Database, project_id: ProjectId, batch_id: BatchId) -> StoredBatch | None:
    """A batch that was sent as one or cancelled."""
    row = await database.fetchrow(_SQL["get_batch"], project_id, batch_id)
    if row is None:
        return None
    return StoredBatch(
        ProjectId(row["project_id"]), BatchId(row["id"]), row["request_hash"], row["created_at"], row["cancelled_at"]
    )


async def count(
    database: Database, project_id: ProjectId, batch_id: BatchId
) -> tuple[dict[Status, int], datetime | None]:
    """A batch's runs by status, and when the first of them was created."""
    rows = await database.fetch(_SQL["count_batch"], project_id, batch_id)
    first = min((row["created_at"] for row in rows), default=None)
    return {Status(row["status"]): row["runs"] for row in rows}, first


async def run_ids(database: Database, project_id: ProjectId, batch_id: BatchId) -> list[RunId]:
    """The runs that were created with a batch, in the order of their requests."""
    rows = await database.fetch(_SQL["list_batch_runs"], project_id, batch_id)
    return [RunId(row["run_id"]) for row in rows]


async def mark_cancelled(
    database: Database, project_id: ProjectId, batch_id: BatchId, created_by: str | None, now: datetime
) -> None:
    """Write down that a batch is to be cancelled."""
    await database.execute(_SQL["mark_batch_cancelled"], project_id, batch_id, created_by, now)


async def cancellable(database: Database, project_id: ProjectId, batch_id: BatchId, limit: int) -> list[RunId]:
    """Live runs of a batch that were not told to end yet."""
    rows = await database.fetch(_SQL["cancellable_runs"], project_id, batch_id, limit)
    return [RunId(row["run_id"]) for row in rows]


async def cancel_unbegun(
    database: Database, project_id: ProjectId, batch_id: BatchId, cancelled: Transition, limit: int, now_ms: int
) -> list[RunId]:
    """Move up to `limit` runs of a batch that nobody has begun, and that no other run waits for; answers which.

    `cancelled` is what `decide` makes of the cancel of such a run.
    """
    (event,), error, now = cancelled.events, cancelled.error, at(now_ms)
    assert error is not None, "a cancel has a reason"
    segment = segment_of((event,))
    rows = await database.fetch(
        _SQL["cancel_unbegun_runs"],
        project_id, batch_id, limit, now_ms, segment.types[0], segment.text(), now, error.code, error.message,
    )  # fmt: skip
    return [RunId(row["run_id"]) for row in rows]


async def cancelling(database: Database, limit: int) -> list[tuple[ProjectId, BatchId]]:
    """Batches whose cancel is not done yet."""
    rows = await database.fetch(_SQL["cancelling_batches"], limit)
    return [(ProjectId(row["project_id"]), BatchId(row["id"])) for row in rows]


async def settle(database: Database, project_id: ProjectId, batch_id: BatchId, now: datetime) -> None:
    """Write down that all runs of a cancelled batch were told."""
    await database.execute(_SQL["settle_batch"], project_id, batch_id, now)
