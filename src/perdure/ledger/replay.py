"""Was this append, or its beginning, stored already? (veryfront.md 2.3)

A writer that lost an answer sends its events again at the old cursor. What it finds there decides: the same events
mean a replay (or a committed prefix of it), other events mean that somebody else wrote first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from perdure.domain.errors import CursorMismatch
from perdure.domain.event import Append, Segment, StoredEvents
from perdure.domain.stored_run import Run
from perdure.store import run_events
from perdure.store.database import Database


async def stored_part(database: Database, run: Run, wanted: Append) -> int:
    """How many of the append's first events are stored already, right after its expected cursor.

    0 when the cursor is the log's end, or when no cursor was given. Raises CursorMismatch when the cursor is ahead of
    the log, when the two cursors contradict each other, or when other events stand there.
    """
    if _at_the_end(run, wanted):
        return 0
    tail = await _tail(database, run, wanted)
    lines = [line for segment in wanted.segments for line in segment.lines]
    shared = min(len(tail), len(lines))
    if any(canonical(stored) != canonical(sent) for stored, sent in zip(tail[:shared], lines[:shared], strict=True)):
        raise CursorMismatch
    return shared


def rest_of(wanted: Append, skip: int, at_event_id: int) -> Append:
    """The append without its first `skip` events, to be stored right after event `at_event_id`."""
    segments: list[Segment] = []
    for segment in wanted.segments:
        if skip < len(segment.lines):
            segments.append(replace(segment, types=segment.types[skip:], lines=segment.lines[skip:]))
        skip = max(0, skip - len(segment.lines))
    return replace(wanted, segments=tuple(segments), expected_event_id=at_event_id, expected_external_sequence=None)


def canonical(line: str) -> bytes:
    """An event's JSON in one form, whatever the order of its members and its white space."""
    return msgspec.json.encode(msgspec.json.decode(line), order="deterministic")


def _at_the_end(run: Run, wanted: Append) -> bool:
    return wanted.expected_event_id in (None, run.latest_event_id) and wanted.expected_external_sequence in (
        None,
        run.latest_external_sequence,
    )


async def _tail(database: Database, run: Run, wanted: Append) -> list[str]:
    """The stored events that follow the expected cursor, as many as the append holds."""
    count = wanted.event_count
    if wanted.expected_event_id is not None:
        if wanted.expected_event_id >= run.latest_event_id:
            raise CursorMismatch
        rows = await run_events.read(database, run.key, wanted.expected_event_id, public_only=False, limit=count)
        if wanted.expected_external_sequence is not None:
            _check_both(rows, run, wanted.expected_external_sequence)
        return _lines(rows)[:count]
    expected = wanted.expected_external_sequence or 0
    if expected >= run.latest_external_sequence:
        raise CursorMismatch
    rows = await run_events.read_external_tail(database, run.key, expected, count)
    first = rows[0].first_external_sequence if rows else None
    return _lines(rows)[expected + 1 - (first or 0) :][:count]


def _check_both(rows: Sequence[StoredEvents], run: Run, expected: int) -> None:
    """The external cursor must be the one that held at the expected event id."""
    external = [row for row in rows if row.first_external_sequence is not None]
    held = (external[0].first_external_sequence or 0) - 1 if external else run.latest_external_sequence
    if held != expected:
        raise CursorMismatch


def _lines(rows: Sequence[StoredEvents]) -> list[str]:
    return [line for row in rows for line in row.lines()]
