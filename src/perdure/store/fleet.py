"""The workers of a deployment, with what they hold."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from perdure.domain.fleet import FleetWorker, Lease, WorkerSort
from perdure.domain.ids import ProjectId, RunId
from perdure.domain.stored_run import Viewer
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import private_to

_SQL = load("fleet")


async def workers(
    database: Database, project_id: ProjectId, viewer: Viewer, *, heard_since: datetime, leases: int
) -> list[FleetWorker]:
    """The engine's workers, and the project's external ones heard of since a time; at most `leases` runs of each."""
    rows = await database.fetch(_SQL["list_fleet"], project_id, private_to(viewer), heard_since, leases)
    return [_worker(row) for row in rows]


def _worker(row: asyncpg.Record) -> FleetWorker:
    held = zip(row["run_ids"] or (), row["fences"] or (), row["expiries"] or (), strict=True)
    return FleetWorker(
        sort=WorkerSort(row["sort"]),
        id=row["id"],
        name=row["name"],
        version=row["version"],
        serves=tuple(row["routes"]),
        concurrency=row["concurrency"],
        started_at=row["started_at"],
        heartbeat_at=row["heartbeat_at"],
        holding=row["holding"],
        leases=tuple(Lease(RunId(run_id), fence, expires_at) for run_id, fence, expires_at in held),
    )
