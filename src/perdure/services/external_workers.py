"""External workers: they register, take runs under a lease, renew it, and name their session (veryfront.md 1.7).

A lease that expires makes the run claimable again (`lifecycle.recover_expired`); the fence has grown, and the renewal
of the worker that had it answers None. An external worker appends with its project's ordinary key, so it is told apart
by the fence of its claim, which it may send with an append (`services.events.append`).
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final

from perdure.domain.errors import LeaseLost, WorkerNotFound
from perdure.domain.external_worker import (
    ClaimedRun,
    ExternalWorker,
    SessionStatus,
    StoredWorker,
    WorkerSession,
    new_worker_token,
)
from perdure.domain.ids import ProjectId, RunId, RunKey, WorkerId, new_uuid
from perdure.domain.principal import Principal, Scope
from perdure.domain.run import Cancel
from perdure.domain.stored_run import Run
from perdure.services import lifecycle, messages
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.queue_watch import QueueWatch
from perdure.store import external_workers as store
from perdure.store import run_queue
from perdure.store.runs import at

SILENT_AFTER: Final = timedelta(days=7)
"""A worker that was not heard of for so long is forgotten when another one of its project registers."""

_POLL_SECONDS: Final = 2.0
"""How long a run whose hint got lost, or that was to start later, stays unnoticed by a claim that waits."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a worker says of itself. `metadata` is JSON text."""

    implementation_kind: str
    worker_key: str
    implementation_display_name: str | None = None
    display_name: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """A new worker. `token` is told this once."""

    worker: ExternalWorker
    token: str


async def register(core: Core, project_id: ProjectId, said: Registration) -> Registered:
    """A new worker of a project. Each registration is a worker of its own, with leases of its own."""
    now = at(core.clock())
    worker = ExternalWorker(
        id=WorkerId(new_uuid(core.clock())),
        project_id=project_id,
        implementation_kind=said.implementation_kind,
        implementation_display_name=said.implementation_display_name,
        worker_key=said.worker_key,
        display_name=said.display_name,
        metadata=said.metadata,
        created_at=now,
        last_heartbeat_at=now,
    )
    token = new_worker_token(worker.id)
    await store.register(core.database, StoredWorker(worker, _hash(token.encode())), now - SILENT_AFTER)
    return Registered(worker, token)


async def recognise(core: Core, worker_id: WorkerId, presented: bytes) -> ExternalWorker | None:
    """The worker of that id, if `presented` is its token."""
    stored = await store.get(core.database, worker_id)
    return stored.worker if stored is not None and stored.matches(_hash(presented)) else None


async def get(core: Core, principal: Principal, worker_id: WorkerId) -> ExternalWorker:
    """A worker of the principal's project, or for an administrator of any. Raises WorkerNotFound."""
    stored = await store.get(core.database, worker_id)
    own = stored is not None and (stored.worker.project_id == principal.project_id or principal.may(Scope.ADMIN))
    if stored is None or not own:
        raise WorkerNotFound
    return stored.worker


async def heartbeat(core: Core, worker: ExternalWorker) -> ExternalWorker:
    """Note that the worker was heard of; the worker as it is now. Raises WorkerNotFound."""
    await store.heartbeat(core.database, worker.project_id, worker.id, at(core.clock()))
    stored = await store.get(core.database, worker.id)
    if stored is None:
        raise WorkerNotFound
    return stored.worker


async def claim(
    core: Core,
    watch: QueueWatch,
    worker: ExternalWorker,
    *,
    lease_seconds: float,
    wait_seconds: float = 0.0,
    gone: asyncio.Event | None = None,
) -> ClaimedRun | None:
    """Take a due run for the worker, waiting up to `wait_seconds` for one; None where there is none.

    `gone` is set when nobody waits for the answer any more: nothing is taken then.
    """
    await store.heartbeat(core.database, worker.project_id, worker.id, at(core.clock()))
    ends = monotonic() + wait_seconds
    with watch.on(worker.routes) as work:
        while gone is None or not gone.is_set():
            work.clear()
            taken = await lifecycle.claim_external(
                core, worker.project_id, worker.lease_owner, worker.routes, lease_seconds
            )
            if taken is not None:
                run = await run_service.get(core, taken.key)
                return await _in_hand(core, worker, run, lease_seconds)
            left = ends - monotonic()
            if left <= 0 or watch.stopped:
                break
            await _first_of(work, gone, min(left, _POLL_SECONDS))
    return None


async def _first_of(work: asyncio.Event, gone: asyncio.Event | None, seconds: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (work, gone) if event is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def renew(core: Core, worker: ExternalWorker, run_id: RunId, lease_seconds: float) -> ClaimedRun | None:
    """Extend the worker's lease; None when it does not hold the run (any more) and must stop.

    A run that somebody wants cancelled ends here: None tells its worker so, which is all that a renewal can say.
    """
    key = RunKey(worker.project_id, run_id)
    now = at(core.clock())
    await store.heartbeat(core.database, worker.project_id, worker.id, now)
    held = await run_queue.renew_one(core.database, key, worker.lease_owner, now + timedelta(seconds=lease_seconds))
    if held is None:
        return None
    if held.cancelling:
        await lifecycle.apply(core, key, Cancel("The run was cancelled.", force=True))
        return None
    run = await run_service.get(core, key)
    if not run.state.held_under(held.fence):
        return None
    return await _in_hand(core, worker, run, lease_seconds)


async def record_session(
    core: Core,
    worker: ExternalWorker,
    run_id: RunId,
    *,
    session_key: str,
    status: SessionStatus = SessionStatus.ACTIVE,
    metadata: str | None = None,
) -> WorkerSession:
    """Keep what a worker says of its session for a run that it holds, or that it had last.

    Raises RunNotFound, and LeaseLost where the run is not the worker's.
    """
    key = RunKey(worker.project_id, run_id)
    now = at(core.clock())
    said = WorkerSession(
        id=new_uuid(core.clock()),
        run_id=run_id,
        implementation_kind=worker.implementation_kind,
        worker_id=worker.id,
        session_key=session_key,
        status=status,
        metadata=metadata,
        created_at=now,
        updated_at=now,
        ended_at=None if status is SessionStatus.ACTIVE else now,
    )
    stored = await store.put_session(core.database, key, said)
    if stored is None:
        await run_service.get(core, key)
        raise LeaseLost
    return stored


async def _in_hand(core: Core, worker: ExternalWorker, run: Run, lease_seconds: float) -> ClaimedRun:
    return ClaimedRun(
        run=run,
        lease_owner=worker.lease_owner,
        lease_expires_at=at(core.clock()) + timedelta(seconds=lease_seconds),
        session=await store.get_session(core.database, run.key),
        messages=await messages.before_run(core, run),
    )


def _hash(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
