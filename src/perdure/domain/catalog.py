"""What workers serve: agents, workflows, tasks and evals, with what each takes as its input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from perdure.domain.run import Kind


@dataclass(frozen=True, slots=True)
class Published:
    """What a worker says of one thing that it serves. `input_schema`: JSON Schema as JSON text; None: any object.

    `concurrency`: how many of its runs may be executed at once, in all projects together; None: any number.
    """

    kind: Kind
    name: str
    description: str | None = None
    version: str | None = None
    input_schema: str | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class ServingWorker:
    """A worker that is alive, and the version of its code."""

    id: str
    version: str | None
    heartbeat_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that some worker serves or served, as the last one published it, and who serves it now."""

    published: Published
    last_seen_at: datetime
    workers: tuple[ServingWorker, ...]
