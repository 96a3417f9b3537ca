"""Find runs: one small interface, so that another search engine can follow the same projection later."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.search import Found, Hit, SearchRequest, bounded
from perdure.domain.stored_run import Viewer
from perdure.services.core import Core
from perdure.store import runs, search

MAX_LIMIT = 200


class RunSearch(Protocol):
    """What finds runs."""

    async def find(self, project_id: ProjectId, viewer: Viewer, wanted: SearchRequest) -> Found:
        """The runs of a project that `viewer` may see and that match. A private run of somebody else is neither among
        the hits nor in their number."""


class PostgresSearch:
    """Finds runs with PostgreSQL's own text search."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def find(self, project_id: ProjectId, viewer: Viewer, wanted: SearchRequest) -> Found:
        """See `RunSearch`. At most MAX_LIMIT hits at once; of a query its first MAX_QUERY characters count."""
        page = replace(
            wanted,
            query=bounded(wanted.query),
            limit=max(0, min(wanted.limit, MAX_LIMIT)),
            offset=max(0, wanted.offset),
        )
        found, total = await search.find(self._core.database, project_id, viewer, page)
        whole = await runs.get_many(self._core.database, [RunKey(project_id, run_id) for run_id, _ in found])
        hits = ((whole.get(RunKey(project_id, run_id)), score) for run_id, score in found)
        return Found(tuple(Hit(run, score) for run, score in hits if run is not None), total)
