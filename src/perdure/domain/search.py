"""What somebody looks for among runs (vertesia.md 1.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from perdure.domain.run import Kind, Status
from perdure.domain.stored_run import Run

MAX_QUERY: Final = 1_000
"""Characters of a query; the rest is not looked for."""

_LAST_WORD: Final = re.compile(r"[^\s\"]*\w$")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One level of the order of hits."""

    field: Literal["score", "started_at", "updated_at"]
    descending: bool = True


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Which runs are looked for; None or empty means any. Of tags and of categories one that matches is enough.

    `query`: words, all of which must be there; `"…"` a phrase, `or` either, `-` without; the last word finds all that
    begin with it. `since` is exclusive and `until` inclusive, both about the creation,
    which the Agent Runs API calls the start. `only_recorded` tells pending runs apart: those that nobody was asked to
    execute (True) or all others (False). Of `sort` two levels count; none:
    the best hits first and, without a query, the newest.
    """

    query: str = ""
    statuses: tuple[Status, ...] = ()
    kinds: tuple[Kind, ...] = ()
    agent_ids: tuple[str, ...] = ()
    started_by: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    content_type_name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    only_recorded: bool | None = None
    sort: tuple[SortKey, ...] = ()
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A run that was found. `score` grows with how well it fits, from 0 to below 1."""

    run: Run
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, and how many there are altogether."""

    hits: tuple[Hit, ...]
    total: int


def bounded(query: str) -> str:
    """What of a query is looked for: its first MAX_QUERY characters."""
    return query.replace("\x00", " ")[:MAX_QUERY].strip()


def last_word(query: str) -> str:
    """The word at the end of a query that may be the beginning of a longer one; empty where there is none.

    None ends a closed or open phrase, `or`, and what is to be left out.
    """
    found = _LAST_WORD.search(query)
    if found is None or query.count('"') % 2 or found.group().startswith("-") or found.group().lower() == "or":
        return ""
    return found.group()
