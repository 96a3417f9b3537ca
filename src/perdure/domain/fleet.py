"""The workers of a deployment, as an operator sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from perdure.domain.ids import RunId


class WorkerSort(StrEnum):
    """Who a worker is: a process with our code, which serves all projects, or an external one of a project."""

    ENGINE = "engine"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Lease:
    """A run that a worker holds."""

    run_id: RunId
    fence: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FleetWorker:
    """A worker that was heard of. `serves`: routes (`agent:demo`, `external:codex`); `concurrency`: None for one that
    takes a run when it asks for one. `holding` counts all its runs, `leases` has the newest of those that may be shown.
    """

    sort: WorkerSort
    id: str
    name: str | None
    version: str | None
    serves: tuple[str, ...]
    concurrency: int | None
    started_at: datetime
    heartbeat_at: datetime
    holding: int
    leases: tuple[Lease, ...]
