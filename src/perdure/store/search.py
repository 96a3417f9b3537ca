"""Find runs by what they say: PostgreSQL's own text search over run_texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.domain.ids import ProjectId, RunId
from perdure.domain.search import SearchRequest, SortKey, last_word
from perdure.domain.stored_run import Viewer
from perdure.store.database import Database
from perdure.store.queries import load

_SQL = load("search")
_BEST: Final = SortKey("score")
_NEWEST: Final = SortKey("started_at")


async def find(
    database: Database, project_id: ProjectId, viewer: Viewer, wanted: SearchRequest
) -> tuple[list[tuple[RunId, float]], int]:
    """A page of run ids with their scores, and how many runs there are to be found by this viewer."""
    filters = [
        None if viewer.sees_all else viewer.subject, _any(wanted.statuses), _any(wanted.kinds), _any(wanted.agent_ids),
        _any(wanted.started_by), _any(wanted.tags), _any(wanted.categories), wanted.content_type_name, wanted.since,
        wanted.until,
    ]  # fmt: skip
    page = [wanted.limit, wanted.offset, wanted.only_recorded]
    if wanted.query.strip():
        sought = await words(database, wanted.query)
        if sought == "":
            return [], 0
        order = _order(wanted.sort or (_BEST,))
        values = [project_id, sought, *filters, *order, *page]
        rows = await database.fetch_planned_anew(_SQL["search_runs"], values)
    else:
        order = _order([key for key in wanted.sort if key.field != "score"] or (_NEWEST,))
        rows = await database.fetch_planned_anew(_SQL["list_found_runs"], [project_id, *filters, *order, *page])
    return [(RunId(row["run_id"]), row["score"]) for row in rows if row["run_id"] is not None], rows[0]["total"]


async def words(database: Database, query: str) -> str:
    """What somebody typed, as a `tsquery` in words; "" where it is nothing but signs."""
    row = await database.fetchrow(_SQL["search_words"], query, last_word(query))
    assert row is not None
    return str(row[0])


def _order(keys: Sequence[SortKey]) -> list[object]:
    """Two levels: the column of each, and its direction as a sign."""
    levels: list[object] = []
    for key in [*keys, _NEWEST][:2]:
        levels.extend((key.field, 1 if key.descending else -1))
    return [*levels, *(["started_at", 1] if len(levels) == 2 else [])]


def _any(values: Sequence[str]) -> list[str] | None:
    return list(values) or None
