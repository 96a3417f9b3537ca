"""Task runs that are sent, counted and cancelled together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Final, Unpack
from uuid import uuid4

from perdure.client.models import Answer
from perdure.client.scheduling import Scheduling, query_of
from perdure.client.transport import Call, Transport, url_of

MAX_REQUESTS: Final = 10_000
"""Task requests in one batch."""

_ENDED: Final = frozenset({"completed", "failed", "cancelled"})
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


class Batch(Answer, frozen=True):
    """How far a batch is. `counts`: its runs by status; `progress`: the part of them that has ended, 0 to 1.

    `status` is `pending` (none has begun), `running`, `cancelling`, or, when all have ended, `completed`, `failed` (one
    of them, at least) or `cancelled`.
    """

    batch_id: str
    status: str
    total: int
    ended: int
    progress: float
    counts: dict[str, int]
    created_at: datetime
    cancelled_at: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether all of its runs have ended."""
        return self.status in _ENDED


class CreatedBatch(Answer, frozen=True):
    """A batch that was accepted. `run_ids` are in the order of the requests; `duplicate`: it was there before."""

    accepted: bool
    duplicate: bool
    batch: Batch
    run_ids: tuple[str, ...]


class CancelledBatch(Answer, frozen=True):
    """The answer to a cancel. `cancelled` is False where nothing was left to cancel."""

    cancelled: bool
    batch: Batch


class Batches:
    """`client.batches`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        batch_id: str | None = None,
        project_id: str | None = None,
        **scheduling: Unpack[Scheduling],
    ) -> CreatedBatch:
        """Start 1 to 10,000 task runs, all or none: `{target, config, name, timeout_seconds, backoff_limit}` each.

        Safe to repeat: the same `batch_id` (a UUID, one made up for this call where none is given) with the same
        requests makes them once. `project_id` None: the caller's own project. `priority`, `run_after` and `deadline`
        are those of each run (`Scheduling`). ApiError `idempotency_key_reused` where the id stands for other requests.
        """
        owner = {} if project_id is None else {"owner": {"kind": "project", "id": project_id}}
        body = {"batch_id": batch_id or str(uuid4()), **owner, "requests": list(requests)}
        call = Call("POST", url_of("batches"), repeatable=True, query=query_of(scheduling), body=body)
        return await self._transport.call(call, CreatedBatch)

    async def get(self, batch_id: str) -> Batch:
        """How far a batch is. ApiError `batch_not_found` where there is none."""
        return await self._transport.call(Call("GET", url_of("batches", batch_id), repeatable=True), Batch)

    async def cancel(self, batch_id: str) -> CancelledBatch:
        """Cancel all live runs of a batch; of a large one, many of them end after the answer (`wait`)."""
        call = Call("POST", url_of("batches", batch_id, "cancel"), repeatable=True)
        return await self._transport.call(call, CancelledBatch)

    async def wait(self, batch_id: str, *, timeout: float | None = None) -> Batch:
        """The batch when all of its runs have ended; it is asked for again after 0.2 to 5 seconds.

        Raises TimeoutError after `timeout` seconds (None: never).
        """
        until = None if timeout is None else monotonic() + timeout
        pause = _FIRST_PAUSE
        while not (batch := await self.get(batch_id)).done:
            left = pause if until is None else until - monotonic()
            if left <= 0:
                raise TimeoutError(f"{batch.total - batch.ended} runs of batch {batch_id} have not ended in time.")
            await self._transport.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return batch
