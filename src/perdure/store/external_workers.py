"""External workers and their sessions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from perdure.domain.external_worker import (
    ExternalWorker,
    SessionStatus,
    StoredWorker,
    WorkerSession,
)
from perdure.domain.ids import ProjectId, RunId, RunKey, WorkerId
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("external_workers")


async def register(database: Database, stored: StoredWorker, forget_before: datetime) -> None:
    """Store a new worker, and forget those of its project that were last heard of before `forget_before`."""
    worker = stored.worker
    await database.execute(
        _SQL["register_worker"],
        worker.id, worker.project_id, worker.implementation_kind, worker.implementation_display_name, worker.worker_key,
        worker.display_name, worker.metadata, stored.token_hash, worker.created_at, forget_before,
    )  # fmt: skip


async def get(database: Database, worker_id: WorkerId) -> StoredWorker | None:
    """A worker of whichever project."""
    row = await database.fetchrow(_SQL["get_worker"], worker_id)
    return None if row is None else _worker(row)


async def heartbeat(database: Database, project_id: ProjectId, worker_id: WorkerId, now: datetime) -> None:
    """A worker was heard of."""
    await database.execute(_SQL["worker_heartbeat"], project_id, worker_id, now)


async def get_session(database: Database, key: RunKey) -> WorkerSession | None:
    """A run's session with an external worker."""
    row = await database.fetchrow(_SQL["get_session"], key.project_id, key.run_id)
    return None if row is None else _session(row)


async def put_session(database: Database, key: RunKey, said: WorkerSession) -> WorkerSession | None:
    """Store what a worker says of its session; None when it does not hold the run. Without metadata they stay."""
    row = await database.fetchrow(
        _SQL["put_session"],
        key.project_id, key.run_id, said.id, said.implementation_kind, said.worker_id, said.session_key, said.status,
        said.metadata, said.updated_at,
    )  # fmt: skip
    return None if row is None else _session(row)


def _worker(row: asyncpg.Record) -> StoredWorker:
    worker = ExternalWorker(
        id=WorkerId(row["id"]),
        project_id=ProjectId(row["project_id"]),
        implementation_kind=row["implementation_kind"],
        implementation_display_name=row["implementation_display_name"],
        worker_key=row["worker_key"],
        display_name=row["display_name"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        last_heartbeat_at=row["last_heartbeat_at"],
    )
    return StoredWorker(worker, row["token_hash"])


def _session(row: asyncpg.Record) -> WorkerSession:
    return WorkerSession(
        id=row["id"],
        run_id=RunId(row["run_id"]),
        implementation_kind=row["implementation_kind"],
        worker_id=WorkerId(row["worker_id"]),
        session_key=row["session_key"],
        status=SessionStatus(row["status"]),
        metadata=row["metadata"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
    )
