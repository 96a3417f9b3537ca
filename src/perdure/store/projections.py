"""How far the projections of each run are, and what is due."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.projection import State
from perdure.domain.stored_run import RunSpec
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from perdure.store.database import Connection

_SQL = load("projections")
_CALLS = load("calls")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far all projections are: their generation, and the time before which every ended run was projected."""

    generation: int
    rebuilding: bool
    ended_to: datetime


@dataclass(frozen=True, slots=True)
class Projected:
    """A run with what is to be found of it beside its log, and how far its projections are (None: not begun)."""

    key: RunKey
    agent_id: str | None
    target: str | None
    tags: tuple[str, ...]
    categories: tuple[str, ...]
    name: str | None
    title: str | None
    topic: str | None
    input: str | None
    error: str | None
    profile: str | None
    created_at: datetime
    updated_at: datetime
    revision: int
    generation: int
    event_id: int
    seen_updated_at: datetime | None
    state: State | None


@dataclass(frozen=True, slots=True)
class Text:
    """What a run is found by, in the order of weight: its names, its labels, what was said, what tools returned."""

    names: str
    labels: str
    said: str
    results: str


@dataclass(frozen=True, slots=True)
class Update:
    """One run's projections, moved on. `revision`: as it was read; `fresh`: made from the log's beginning.

    `text` is None where nothing changed in it; `calls` are columns of run_calls, `gone` keys of calls taken back.
    """

    key: RunKey
    revision: int
    generation: int
    event_id: int
    run_updated_at: datetime
    state: State
    fresh: bool
    text: Text | None
    calls: tuple[dict[str, object], ...]
    gone: tuple[str, ...]


@asynccontextmanager
async def alone(database: Database) -> AsyncIterator[Progress | None]:
    """Be the only process that projects while in the block; None when another one is at it."""
    async with database.transaction() as connection:
        row = await connection.fetchrow(_SQL["begin_pass"])
        yield None if row is None else Progress(row["generation"], row["rebuilding"], row["ended_to"])


async def due_live(database: Database, generation: int, limit: int) -> list[RunKey]:
    """Live runs that moved since they were projected."""
    return _keys(await database.fetch_planned_anew(_SQL["due_live"], [generation, limit]))


async def due_ended(
    database: Database, generation: int, limit: int, since: datetime
) -> tuple[list[RunKey], datetime | None]:
    """Ended runs that changed since `since`, and that moved since they were projected; when the newest of them did."""
    rows = await database.fetch_planned_anew(_SQL["due_ended"], [generation, limit, since])
    return _keys(rows), rows[-1]["updated_at"] if rows else None


async def due_for_rebuild(database: Database, generation: int, limit: int, after: RunKey | None) -> list[RunKey]:
    """Runs of an older generation, in the order of their keys."""
    place = after or RunKey(ProjectId(UUID(int=0)), RunId(""))
    return _keys(await database.fetch_planned_anew(_SQL["due_for_rebuild"], [generation, limit, *place]))


async def load_projected(database: Database, keys: Sequence[RunKey]) -> list[Projected]:
    """Runs and how far their projections are; those that are gone are left out."""
    return [_projected(row) for row in await database.fetch(_SQL["projected"], *_columns(keys))]


async def write(database: Database, updates: Sequence[Update]) -> int:
    """Write updates in one transaction; those that somebody else was faster with, and runs that are gone, are left out.

    Answers how many were written.
    """
    ordered = sorted(updates, key=lambda update: update.key)
    async with database.transaction() as connection:
        rows = await connection.fetch(
            _SQL["put_projections"],
            *_columns([update.key for update in ordered]),
            [update.revision for update in ordered],
            [update.generation for update in ordered],
            [update.event_id for update in ordered],
            [update.run_updated_at for update in ordered],
            [update.state.first_response_ts for update in ordered],
            [msgspec.json.encode(update.state).decode() for update in ordered],
        )
        kept = frozenset(_keys(rows))
        written = [update for update in ordered if update.key in kept]
        await _write_texts(connection, written)
        await _write_calls(connection, written)
    return len(written)


async def reached(database: Database, ended_to: datetime) -> None:
    """Every run that ended before `ended_to` is projected."""
    await database.execute(_SQL["reached"], ended_to)


async def begin_rebuild(database: Database) -> int:
    """Begin a rebuild, or go on with one; the generation that everything is to have."""
    row = await database.fetchrow(_SQL["begin_rebuild"])
    assert row is not None
    return int(row["generation"])


async def end_rebuild(database: Database, generation: int) -> None:
    """Everything is of this generation."""
    await database.execute(_SQL["end_rebuild"], generation)


async def oldest_behind(database: Database) -> int | None:
    """The last event's time (ms) of the live run that is furthest behind; None when none is."""
    rows = await database.fetch_planned_anew(_SQL["projection_lag"], [])
    return None if rows[0][0] is None else int(rows[0][0])


async def _write_texts(connection: Connection, updates: Sequence[Update]) -> None:
    changed = [(update.key, update.text) for update in updates if update.text is not None]
    if changed:
        await connection.execute(
            _SQL["put_texts"],
            *_columns([key for key, _ in changed]),
            [text.names for _, text in changed],
            [text.labels for _, text in changed],
            [text.said for _, text in changed],
            [text.results for _, text in changed],
        )


async def _write_calls(connection: Connection, updates: Sequence[Update]) -> None:
    if fresh := [update.key for update in updates if update.fresh and update.revision > 0]:
        await connection.execute(_CALLS["drop_calls"], *_columns(fresh))
    if gone := [(update.key, key) for update in updates for key in update.gone]:
        await connection.execute(
            _CALLS["take_back_calls"], *_columns([key for key, _ in gone]), [call for _, call in gone]
        )
    calls = [{**call, **update.key._asdict()} for update in updates for call in update.calls]
    if calls:
        await connection.execute(_CALLS["put_calls"], msgspec.json.encode(calls).decode())


async def tell(database: Database, key: RunKey, calls: Sequence[dict[str, object]], *, model_calls: bool) -> None:
    """Store calls that a caller told of a run. Raises asyncpg.ForeignKeyViolationError when there is no such run."""
    async with database.transaction() as connection:
        await connection.execute(_CALLS["note_told"], *key, model_calls)
        rows = [{**call, **key._asdict()} for call in calls]
        await connection.execute(_CALLS["put_calls"], msgspec.json.encode(rows).decode())


def _columns(keys: Sequence[RunKey]) -> tuple[list[ProjectId], list[RunId]]:
    return [key.project_id for key in keys], [key.run_id for key in keys]


def _keys(rows: Sequence[asyncpg.Record]) -> list[RunKey]:
    return [RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])) for row in rows]


def _projected(row: asyncpg.Record) -> Projected:
    state = row["state"]
    return Projected(
        key=RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])),
        agent_id=row["agent_id"],
        target=row["target"],
        tags=tuple(row["tags"]),
        categories=tuple(row["categories"]),
        name=row["name"] or msgspec.json.decode(row["spec"], type=RunSpec).name,
        title=row["title"],
        topic=row["topic"],
        input=row["input"],
        error=row["error_message"],
        profile=row["profile"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        revision=row["revision"] or 0,
        generation=row["generation"] or 0,
        event_id=row["event_id"] or 0,
        seen_updated_at=row["run_updated_at"],
        state=None if state is None else msgspec.json.decode(state, type=State),
    )
