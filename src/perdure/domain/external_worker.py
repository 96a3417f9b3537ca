"""External workers: programs of other people that take runs over HTTP (veryfront.md 1.7 and 3.4)."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from perdure.domain.conversation import StoredMessage
from perdure.domain.ids import ProjectId, RunId, WorkerId
from perdure.domain.stored_run import Run, external_route

MIN_LEASE_SECONDS: Final = 5
MAX_LEASE_SECONDS: Final = 15 * 60
DEFAULT_LEASE_SECONDS: Final = 60
MAX_WAIT_SECONDS: Final = 60
"""How long a claim may wait for work."""

_SECRET_BYTES: Final = 32


class SessionStatus(StrEnum):
    """How a worker's session with a run stands."""

    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ExternalWorker:
    """One registration of a worker. `metadata` is JSON text."""

    id: WorkerId
    project_id: ProjectId
    implementation_kind: str
    implementation_display_name: str | None
    worker_key: str
    display_name: str | None
    metadata: str | None
    created_at: datetime
    last_heartbeat_at: datetime

    @property
    def routes(self) -> tuple[str, ...]:
        """The queues that it is served from: the runs of its kind, and those that name its key."""
        kind = self.implementation_kind
        return external_route(kind, None), external_route(kind, self.worker_key)

    @property
    def lease_owner(self) -> str:
        """Who holds its leases."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class StoredWorker:
    """A worker with the hash that recognises its token."""

    worker: ExternalWorker
    token_hash: bytes

    def matches(self, token_hash: bytes) -> bool:
        """Whether this is the worker whose token's hash is given; takes the same time whatever the answer."""
        return hmac.compare_digest(self.token_hash, token_hash)


@dataclass(frozen=True, slots=True)
class WorkerSession:
    """What a worker said of its own session for a run. `metadata` is JSON text."""

    id: UUID
    run_id: RunId
    implementation_kind: str
    worker_id: WorkerId
    session_key: str
    status: SessionStatus
    metadata: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run in a worker's hands: its lease, the session of the last worker, and what the conversation says."""

    run: Run
    lease_owner: str
    lease_expires_at: datetime
    session: WorkerSession | None
    messages: tuple[StoredMessage, ...]


def new_worker_token(worker_id: WorkerId, random: Callable[[int], bytes] = os.urandom) -> str:
    """A worker's token: it names the worker, and holds 256 random bits. It has not the form of a JWT."""
    return f"pdw_{worker_id.hex}_{random(_SECRET_BYTES).hex()}"
