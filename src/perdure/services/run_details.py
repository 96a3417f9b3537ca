"""What runs did, read from their logs, and the runs that they started (vertesia.md 1.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from perdure.domain.errors import RunNotFound
from perdure.domain.event import StoredEvents
from perdure.domain.ids import RunId, RunKey
from perdure.domain.principal import Principal
from perdure.domain.stored_run import Run, RunFilter, Viewer
from perdure.services import runs as run_service
from perdure.services import scoping
from perdure.services.core import Core
from perdure.store import run_events, runs

MAX_CHILDREN = 200
_ROWS_AT_ONCE = 500


async def rows_of_types(core: Core, key: RunKey, types: Sequence[str]) -> AsyncIterator[StoredEvents]:
    """The whole rows of a log, private ones included, that hold an event of one of these types, in order."""
    after = 0
    while found := await run_events.read_of_types(core.database, key, types, after, _ROWS_AT_ONCE, public_only=False):
        for row in found:
            yield row
        after = found[-1].first_event_id


async def children(core: Core, parent: Run, viewer: Viewer) -> tuple[list[Run], bool]:
    """The runs that a run started and `viewer` may see, newest first and at most MAX_CHILDREN, and whether that is not
    all."""
    wanted = RunFilter(viewer=viewer, parent_run_id=parent.run_id)
    found = await runs.list_page(core.database, parent.project_id, wanted, before=None, limit=MAX_CHILDREN + 1)
    return found[:MAX_CHILDREN], len(found) > MAX_CHILDREN


async def child(core: Core, principal: Principal, parent: RunKey, child_id: RunId) -> Run:
    """A run that `parent` started. Raises RunNotFound, also where the principal may not see it."""
    place = await scoping.project_of_run(core, principal, child_id)
    found = await run_service.get(core, RunKey(place, child_id))
    if (found.project_id, found.parent_run_id) != (parent.project_id, parent.run_id):
        raise RunNotFound(f"Run {parent.run_id} has no child {child_id}.")
    return found
