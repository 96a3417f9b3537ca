"""Who works: the workers that were heard of, and what they hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from perdure.domain.fleet import FleetWorker
from perdure.domain.ids import ProjectId
from perdure.domain.stored_run import Viewer
from perdure.services.core import Core
from perdure.store import fleet
from perdure.store.runs import at

MOST_LEASES: Final = 100
"""Runs that are shown of each worker."""

_EXTERNAL_HEARD: Final = timedelta(hours=1)
"""How long an external worker is shown after it was heard of last."""


async def workers(core: Core, project_id: ProjectId, viewer: Viewer) -> list[FleetWorker]:
    """The engine's workers, which serve all projects, and the external ones of a project."""
    heard_since = at(core.clock()) - _EXTERNAL_HEARD
    return await fleet.workers(core.database, project_id, viewer, heard_since=heard_since, leases=MOST_LEASES)
