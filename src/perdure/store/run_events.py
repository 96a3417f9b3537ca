"""The log's rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.domain.event import Append, Appended, Segment, StoredEvents
from perdure.domain.ids import RunKey
from perdure.domain.run import Status
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("run_events")
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Tail:
    """What a followed run has new: rows after the cursor, and where its log ends."""

    rows: tuple[StoredEvents, ...]
    latest_event_id: int
    status: Status


def segment_columns(segments: Sequence[Segment]) -> tuple[list[object], ...]:
    """The columns of one append's segments: skipped, external_skipped, size, public, types, events."""
    skipped: list[object] = []
    external_skipped: list[object] = []
    before = external_before = 0
    for segment in segments:
        size = len(segment.lines)
        skipped.append(before)
        external_skipped.append(external_before if segment.external else None)
        before += size
        external_before += size if segment.external else 0
    return (
        skipped,
        external_skipped,
        [len(segment.lines) for segment in segments],
        [segment.public for segment in segments],
        ["\n".join(segment.types) for segment in segments],
        [segment.text() for segment in segments],
    )


async def append(database: Database, appends: Sequence[Append], now_ms: int) -> list[Appended | None]:
    """Append to many runs (each at most once) in one commit.

    Answers, in order, what each did; None for a run that is locked just now or whose guards fail.
    """
    columns: tuple[list[object], ...] = ([], [], [], [], [], [])
    ords: list[int] = []
    for position, wanted in enumerate(appends, start=1):
        ords.extend([position] * len(wanted.segments))
        for column, values in zip(columns, segment_columns(wanted.segments), strict=True):
            column.extend(values)
    rows = await database.fetch(
        _SQL["append_events"],
        [wanted.key.project_id for wanted in appends],
        [wanted.key.run_id for wanted in appends],
        [wanted.expected_event_id for wanted in appends],
        [wanted.expected_external_sequence for wanted in appends],
        [wanted.fence for wanted in appends],
        [wanted.event_count for wanted in appends],
        [wanted.external_count for wanted in appends],
        now_ms,
        ords,
        *columns,
    )
    answers: list[Appended | None] = [None] * len(appends)
    for position, latest, external, revision in rows:
        answers[position - 1] = Appended(latest, external, appends[position - 1].event_count, revision)
    return answers


async def read(
    database: Database, key: RunKey, after: int, *, public_only: bool = True, limit: int = 1_000
) -> list[StoredEvents]:
    """The rows of one run after event id `after`, at most `limit` rows; a row that holds the cursor is cut."""
    rows = await database.fetch(_SQL["read_events"], key.project_id, key.run_id, after, public_only, limit)
    return [_stored(row).after(after) for row in rows]


async def lines(database: Database, key: RunKey, *, external: bool) -> AsyncIterator[str]:
    """All events of a run as JSON texts in order, private ones included; what outsiders appended only if `external`."""
    after = 0
    while rows := await read(database, key, after, public_only=False, limit=_ROWS_AT_ONCE):
        for row in rows:
            if external or row.first_external_sequence is None:
                for line in row.lines():
                    yield line
        after = rows[-1].last_event_id


async def read_of_types(
    database: Database, key: RunKey, types: Sequence[str], after: int, limit: int, *, public_only: bool = True
) -> list[StoredEvents]:
    """At most `limit` whole rows that begin after event id `after` and hold an event of one of these types."""
    query = _SQL["read_events_of_types"] if public_only else _SQL["read_whole_log_of_types"]
    rows = await database.fetch(query, key.project_id, key.run_id, list(types), after, limit)
    return [_stored(row) for row in rows]


async def newest_with(
    database: Database, key: RunKey, texts: tuple[str, str], before: int | None
) -> StoredEvents | None:
    """The newest whole public row that begins before event id `before` and holds a CUSTOM event and both texts."""
    row = await database.fetchrow(_SQL["newest_event_with"], key.project_id, key.run_id, *texts, before)
    return None if row is None else _stored(row)


async def newest_of_name(
    database: Database, key: RunKey, name: str, before: int | None, limit: int
) -> list[StoredEvents]:
    """At most `limit` whole public rows before event id `before` that hold a CUSTOM event and a text, newest first."""
    rows = await database.fetch(_SQL["newest_events_of_name"], key.project_id, key.run_id, name, before, limit)
    return [_stored(row) for row in rows]


async def read_external_tail(database: Database, key: RunKey, after: int, limit: int) -> list[StoredEvents]:
    """The rows that outside writers appended after external sequence `after`."""
    rows = await database.fetch(_SQL["read_external_tail"], key.project_id, key.run_id, after, limit)
    return [_stored(row) for row in rows]


async def external_sequence_at(database: Database, key: RunKey, event_id: int) -> int:
    """The run's external sequence when event `event_id` was the last of its log."""
    row = await database.fetchrow(_SQL["external_sequence_at"], key.project_id, key.run_id, event_id)
    return 0 if row is None else int(row[0])


async def read_tails(database: Database, cursors: Sequence[tuple[RunKey, int]], limit: int) -> list[Tail | None]:
    """What each of many runs has after its cursor (at most `limit` rows a run); None for a run that is gone."""
    rows = await database.fetch(
        _SQL["read_tails"],
        [key.project_id for key, _ in cursors],
        [key.run_id for key, _ in cursors],
        [cursor for _, cursor in cursors],
        limit,
    )
    found: dict[int, list[StoredEvents]] = {}
    ends: dict[int, tuple[int, Status]] = {}
    for row in rows:
        ends[row["ord"]] = (row["latest_event_id"], Status(row["status"]))
        events = found.setdefault(row["ord"], [])
        if row["first_event_id"] is not None:
            events.append(_stored(row))
    return [
        Tail(tuple(found[position]), *ends[position]) if position in ends else None
        for position in range(1, len(cursors) + 1)
    ]


def _stored(row: asyncpg.Record) -> StoredEvents:
    return StoredEvents(
        first_event_id=row["first_event_id"],
        first_ts=row["first_ts"],
        first_external_sequence=row["first_external_sequence"],
        public=row["public"],
        types=tuple(row["types"]),
        text=row["events"],
    )
