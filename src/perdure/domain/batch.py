"""Batches: task runs that belong together, because they were sent together or name the same `batch_id`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType
from uuid import UUID

from perdure.domain.errors import NotFound
from perdure.domain.ids import ProjectId
from perdure.domain.run import Status

BatchId = NewType("BatchId", UUID)

MAX_REQUESTS: Final = 10_000
"""Task requests in one POST /batches."""


class BatchNotFound(NotFound):
    """There is no such batch."""

    code = "batch_not_found"


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that was sent as one, or that somebody cancelled. `cancelled_at` is when its cancel was asked for."""

    project_id: ProjectId
    id: BatchId
    request_hash: bytes | None
    created_at: datetime
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """How far a batch is: its runs by status."""

    id: BatchId
    counts: Mapping[Status, int]
    created_at: datetime
    cancelled_at: datetime | None

    @property
    def total(self) -> int:
        """All of its runs."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """Those that have ended, however."""
        return sum(count for status, count in self.counts.items() if status.terminal)

    @property
    def status(self) -> str:
        """`pending` (none has begun), `running`, `cancelling`, or, when all have ended, `completed`, `failed` (one of
        them, at least) or `cancelled`."""
        live = self.total - self.ended
        if live and self.cancelled_at is not None:
            return "cancelling"
        if live:
            return "pending" if self.counts.get(Status.PENDING, 0) == self.total else "running"
        if self.cancelled_at is not None:
            return "cancelled"
        return "failed" if self.counts.get(Status.FAILED, 0) else "completed"
