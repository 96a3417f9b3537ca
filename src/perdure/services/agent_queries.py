"""What one may ask an agent run about itself, answered from its log and its children, whoever is alive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from perdure.domain.agent_message import PUBLISHED
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.run import Kind, Status
from perdure.domain.stored_run import Run, RunFilter, Viewer
from perdure.services.core import Core
from perdure.store import run_events, runs

MAX_CHILDREN: Final = 200
"""Children of each sort that are answered, the newest ones."""

_LIVE: Final = (Status.PENDING, Status.RUNNING, Status.WAITING)
_ENDED: Final = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Published:
    """What an agent has published last under a name."""

    value: Any


@dataclass(frozen=True, slots=True)
class Workstreams:
    """The child runs of a run, oldest first. `now` is when they were looked at."""

    running: tuple[Run, ...]
    ended: tuple[Run, ...]
    now: datetime


class _Event(msgspec.Struct):
    name: object = None
    value: Any = None


async def published(core: Core, key: RunKey, name: str) -> Published | None:
    """The newest value that the run's agent has published under `name`; None where there is none."""
    before: int | None = None
    needle = msgspec.json.encode(name).decode()
    while row := await run_events.newest_with(core.database, key, (f'"{PUBLISHED}"', needle), before):
        for line in reversed(row.lines()):
            if needle in line and (found := _published_in(line, name)) is not None:
                return found
        before = row.first_event_id
    return None


def _published_in(line: str, name: str) -> Published | None:
    event = msgspec.json.decode(line, type=_Event)
    if event.name != PUBLISHED or not isinstance(event.value, dict) or event.value.get("name") != name:
        return None
    return Published(event.value.get("value"))


async def workstreams(core: Core, key: RunKey, viewer: Viewer) -> Workstreams:
    """The agent runs that name this one as their parent, as far as `viewer` may see them."""
    running = await _children(core, key, viewer, _LIVE)
    ended = await _children(core, key, viewer, _ENDED)
    return Workstreams(running, ended, runs.at(core.clock()))


async def _children(core: Core, key: RunKey, viewer: Viewer, statuses: tuple[Status, ...]) -> tuple[Run, ...]:
    project: ProjectId = key.project_id
    wanted = RunFilter(viewer=viewer, statuses=statuses, kind=Kind.AGENT, parent_run_id=key.run_id)
    found = await runs.list_page(core.database, project, wanted, before=None, limit=MAX_CHILDREN)
    return tuple(reversed(found))
