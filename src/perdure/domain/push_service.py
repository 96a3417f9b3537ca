"""Push services: runtimes of other people that runs are handed to over HTTP (veryfront.md 1.8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from perdure.domain.ids import ProjectId, PushServiceId, RunKey
from perdure.domain.lease import Claimed
from perdure.domain.run import Kind
from perdure.domain.stored_run import RunSpec, external_route, route_of

GLOBAL: Final = "global"
"""The `scope_key` of services that serve every project."""

SILENT_SECONDS: Final = 90
"""A service that was not heard of for so long gets no more work, and the leases of what it holds run out.

Clients send a heartbeat every 30 s.
"""

MAX_TRIES: Final = 8
"""How often a run is sent, while no service takes it, before it fails."""
_FIRST_MS: Final = 1_000
_LONGEST_MS: Final = 60_000


class PushStatus(StrEnum):
    """Whether a service gets work; an operator's word, which registrations do not change."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Errand(StrEnum):
    """What a service that holds a run is to be told."""

    CANCEL = "cancel"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class PushService:
    """A registered runtime. `project_id` is None for one that serves every project."""

    id: PushServiceId
    project_id: ProjectId | None
    scope_key: str
    service_key: str
    service_name: str
    agent_id: str | None
    base_url: str
    invoke_url: str
    version: str | None
    runtime: str | None
    region: str | None
    status: PushStatus
    last_heartbeat_at: datetime
    created_at: datetime
    updated_at: datetime

    @property
    def holder(self) -> UUID:
        """Whose calls to it are: its project's, or its own where it serves every project."""
        return self.id if self.project_id is None else self.project_id

    @property
    def routes(self) -> tuple[str, ...]:
        """The queues of the runs that it may be sent.

        Runs without an `implementation_kind`: those of its `agent_id`; where it names none, those of the agents that
        are called like its `service_name` or `service_key`. Runs whose `implementation_kind` is its `service_name` or
        `service_key`, if they name no `worker_key` or its `service_key` as that. One that names an `agent_id` gets runs
        of that agent only, by whichever way.
        """
        names = tuple(dict.fromkeys((self.service_name, self.service_key)))
        agents = (self.agent_id,) if self.agent_id is not None else names
        own = tuple(route_of(Kind.AGENT, name, None, RunSpec()) for name in agents)
        kinds = tuple(external_route(name, key) for name in names for key in (None, self.service_key))
        return (*own, *kinds)


@dataclass(frozen=True, slots=True)
class PushClaim:
    """A run that was claimed for a service; `tries` counts how often it was sent since a service took it."""

    claimed: Claimed
    tries: int


@dataclass(frozen=True, slots=True)
class DueErrand:
    """Something to tell the service that holds a run. `tries` counts this try, too."""

    key: RunKey
    errand: Errand
    tries: int
    told_event_id: int | None
    service_id: PushServiceId
    invoke_url: str


def backoff_ms(tries: int, chance: float) -> int:
    """The pause after the `tries`-th failure, in milliseconds: doubled each time, up to a minute.

    `chance` (0 to 1) cuts it by up to half, so that those who failed together do not come back together.
    """
    longest = min(_LONGEST_MS, _FIRST_MS << min(tries - 1, 16))
    return round(longest * (1 - chance / 2))
