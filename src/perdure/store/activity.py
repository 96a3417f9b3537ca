"""What a dashboard shows of many runs: how many were made when, and what each has used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from perdure.domain.activity import Span, Usage
from perdure.domain.ids import ProjectId, RunId
from perdure.domain.run import Status
from perdure.domain.stored_run import RunFilter, Viewer
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import private_to

_SQL = load("activity")


async def count_over_time(
    database: Database, project_id: ProjectId, span: Span, wanted: RunFilter, words: str | None
) -> list[tuple[datetime, Status, int]]:
    """(start of an interval, status, runs made in it) for what there is.

    Of the filter all but its times counts; `words` are a query as `search.words` makes it.
    """
    rows = await database.fetch_planned_anew(
        _SQL["count_runs_over_time"],
        [
            project_id, span.since, span.until, span.interval, private_to(wanted.viewer),
            list(wanted.statuses) or None, wanted.kind, wanted.agent_id, wanted.target, wanted.tag,
            wanted.parent_run_id, list(wanted.waiting_reasons) or None, words,
        ],
    )  # fmt: skip
    return [(row["since"], Status(row["status"]), row["runs"]) for row in rows]


async def usage(database: Database, project_id: ProjectId, run_ids: Sequence[RunId], viewer: Viewer) -> list[Usage]:
    """What some runs have used; those that are not there or that `viewer` may not see are left out."""
    rows = await database.fetch(_SQL["usage_of_runs"], project_id, run_ids, private_to(viewer))
    return [Usage(RunId(row["run_id"]), row["input_tokens"], row["output_tokens"], row["settled"]) for row in rows]
