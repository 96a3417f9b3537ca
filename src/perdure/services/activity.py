"""What a dashboard shows of many runs: how many were made when, and what each has used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from perdure.domain.activity import Span, Usage
from perdure.domain.ids import ProjectId, RunId
from perdure.domain.run import Status
from perdure.domain.search import bounded
from perdure.domain.stored_run import RunFilter, Viewer
from perdure.services.core import Core
from perdure.store import activity, search

MAX_RUNS = 200


async def counts(
    core: Core, project_id: ProjectId, span: Span, wanted: RunFilter, query: str = ""
) -> list[tuple[datetime, Status, int]]:
    """How many runs were made in each interval, by the status that they have now; intervals without are left out.

    Only those that pass the filter, whose times do not count, and hold the words of `query`, as the search finds them.
    """
    words = None
    if typed := bounded(query):
        words = await search.words(core.database, typed)
        if words == "":
            return []
    return await activity.count_over_time(core.database, project_id, span, wanted, words)


async def usage(core: Core, project_id: ProjectId, run_ids: Sequence[RunId], viewer: Viewer) -> list[Usage]:
    """What at most MAX_RUNS runs have used; those that `viewer` may not see are left out."""
    return await activity.usage(core.database, project_id, run_ids[:MAX_RUNS], viewer)
