"""Batches of tasks: sent as one, counted, cancelled as a whole.

A batch is made in one statement: all of its runs or none. Its cancel is written down first and then carried out run by
run, by whoever asked and by every server's maintenance, so that it goes on when the first of them dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from perdure.domain.batch import Batch, BatchId, BatchNotFound
from perdure.domain.errors import IdempotencyKeyReused, RunNotFound
from perdure.domain.ids import ProjectId, RunId, RunKey, new_run_id
from perdure.domain.stored_run import NewRun, served_name
from perdure.services import catalog, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import RunRequest
from perdure.store import batches as store
from perdure.store.runs import at

_AT_ONCE: Final = 200
_UNBEGUN_AT_ONCE: Final = 1_000
_CANCELLED: Final = "The batch was cancelled."
_CHECKED_AT_ONCE: Final = 100
_TOGETHER: Final = 8
_BATCHES_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class CreatedBatch:
    """The batch that a request made or found (`duplicate`), and its runs in the order of their requests."""

    batch: Batch
    run_ids: Sequence[RunId]
    duplicate: bool


async def create(
    core: Core,
    project_id: ProjectId,
    batch_id: BatchId,
    requests: Sequence[RunRequest],
    *,
    fingerprint: bytes,
    created_by: str | None,
) -> CreatedBatch:
    """Create a batch of task runs, or answer the one that the same request made before.

    Its runs are scheduled alike. Raises TargetNotFound, InvalidRequest for a config that does not fit and for times
    that cannot be kept, and IdempotencyKeyReused where the batch exists and another request made it, or runs that named
    it.
    """
    await _check(core, requests)
    if requests and await store.get(core.database, project_id, batch_id) is None:
        requests[0].scheduling.check(at(core.clock()))
    now = core.clock()
    ids = sorted({new_run_id(now) for _ in range(len(requests) + 8)})
    new: list[NewRun] = [
        replace(run_service.new_run(core, project_id, request), key=RunKey(project_id, run_id), batch_id=batch_id)
        for request, run_id in zip(requests, ids, strict=False)
    ]
    made = await store.create(
        core.database, project_id, batch_id, new, request_hash=fingerprint, created_by=created_by, now=at(now)
    )
    if made:
        lifecycle.announce_moved(core, [run.key for run in new])
        for route in {run.route for run in new if run.route is not None}:
            lifecycle.announce_queued(core, route)
    else:
        known = await store.get(core.database, project_id, batch_id)
        if known is None or known.request_hash != fingerprint:
            raise IdempotencyKeyReused("A batch of this id exists, and another request made it.")
    return CreatedBatch(
        await get(core, project_id, batch_id), await store.run_ids(core.database, project_id, batch_id), not made
    )


async def _check(core: Core, requests: Sequence[RunRequest]) -> None:
    """What POST /runs checks of each. Others have their turn meanwhile: there may be many."""
    for number, request in enumerate(requests):
        name = served_name(request.kind, request.agent_id, request.target)
        await catalog.check(core, request.kind, name, request.spec.config or {}, f"/requests/{number}/config")
        if number % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)


async def get(core: Core, project_id: ProjectId, batch_id: BatchId) -> Batch:
    """How far a batch is. Raises BatchNotFound."""
    stored = await store.get(core.database, project_id, batch_id)
    counts, first = await store.count(core.database, project_id, batch_id)
    created_at = stored.created_at if stored is not None else first
    if created_at is None:
        raise BatchNotFound(f"There is no batch {batch_id}.")
    return Batch(batch_id, counts, created_at, None if stored is None else stored.cancelled_at)


async def cancel(core: Core, project_id: ProjectId, batch_id: BatchId, by: str | None) -> Batch:
    """Cancel all live runs of a batch; answers how far it is. Large batches are cancelled on after the answer.

    Raises BatchNotFound.
    """
    batch = await get(core, project_id, batch_id)
    if batch.ended < batch.total:
        await store.mark_cancelled(core.database, project_id, batch_id, by, at(core.clock()))
        await _cancel_some(core, project_id, batch_id)
    return await get(core, project_id, batch_id)


async def go_on_cancelling(core: Core) -> None:
    """Carry on with the cancels of batches that were written down, here or elsewhere."""
    for project_id, batch_id in await store.cancelling(core.database, _BATCHES_AT_ONCE):
        if not await _cancel_some(core, project_id, batch_id):
            await store.settle(core.database, project_id, batch_id, at(core.clock()))


async def _cancel_some(core: Core, project_id: ProjectId, batch_id: BatchId) -> int:
    """Cancel some of a batch's runs; answers how many were left to cancel."""
    while ended := await lifecycle.cancel_unbegun(core, project_id, batch_id, _CANCELLED, _UNBEGUN_AT_ONCE):
        if ended < _UNBEGUN_AT_ONCE:
            break
    left = await store.cancellable(core.database, project_id, batch_id, _AT_ONCE)
    waiting = iter(left)

    async def some() -> None:
        for run_id in waiting:
            with suppress(RunNotFound):
                await lifecycle.cancel(core, RunKey(project_id, run_id), _CANCELLED)

    async with asyncio.TaskGroup() as group:
        for _ in range(_TOGETHER):
            group.create_task(some())
    return len(left)
