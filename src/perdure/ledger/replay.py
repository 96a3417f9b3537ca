"""Was this append, or its beginning, stored already? (veryfront.md 2.3)

A writer that lost an answer sends its events again at the old cursor. What it finds there decides: the same events
mean a replay (or a committed prefix of it), other events mean that somebody else wrote first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    if wanted.expected_event_id is not None:
        return await _after_event_id(database, run, wanted, wanted.expected_event_id)
    return await _after_external_sequence(database, run, wanted, wanted.expected_external_sequence or 0)


def rest_of(wanted: Append, skip: int) -> Append:
    """The append without its first `skip` events, which are stored: to be stored right after them.

    Where it named an event id, that alone says where: events of our own, which count in no external sequence, may be
    among those that were taken for its beginning.
    """
    segments: list[Segment] = []
    left, external = skip, 0
    by_event_id = wanted.expected_event_id is not None
    for segment in wanted.segments:
        external += min(left, len(segment.lines)) if segment.external else 0
        if left < len(segment.lines):
            segments.append(replace(segment, types=segment.types[left:], lines=segment.lines[left:]))
        left = max(0, left - len(segment.lines))
    return replace(
        wanted,
        segments=tuple(segments),
        expected_event_id=_moved(wanted.expected_event_id, skip),
        expected_external_sequence=None if by_event_id else _moved(wanted.expected_external_sequence, external),
    )


def same(stored: str, sent: str) -> bool:
    """Whether two events are equal JSON, whatever the order of their members and their white space."""
    return stored == sent or _canonical(stored) == _canonical(sent)


def _moved(cursor: int | None, by: int) -> int | None:
    return None if cursor is None else cursor + by


def _canonical(line: str) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(line), order="deterministic")
    except (msgspec.DecodeError, UnicodeError):
        return line.encode()  # a number that no reader takes, in an event of our own: equal to itself only


def _at_the_end(run: Run, wanted: Append) -> bool:
    return wanted.expected_event_id in (None, run.latest_event_id) and wanted.expected_external_sequence in (
        None,
        run.latest_external_sequence,
    )


async def _after_event_id(database: Database, run: Run, wanted: Append, expected: int) -> int:
    """Every event after the cursor counts, whoever wrote it."""
    if expected >= run.latest_event_id:
        raise CursorMismatch
    held = wanted.expected_external_sequence
    if held is not None and held != await run_events.external_sequence_at(database, run.key, expected):
        raise CursorMismatch
    rows = await run_events.read(database, run.key, expected, public_only=False, limit=wanted.event_count)
    return _shared((line for row in rows for line in row.lines()), [line for line, _ in _lines(wanted)])


async def _after_external_sequence(database: Database, run: Run, wanted: Append, expected: int) -> int:
    """Only events that count from outside are compared; of the private ones, those that stand right behind them."""
    if expected >= run.latest_external_sequence:
        raise CursorMismatch
    lines = _lines(wanted)
    counted = [place for place, (_, external) in enumerate(lines) if external]
    rows = await run_events.read_external_tail(database, run.key, expected, len(counted))
    tail = _external_lines(rows, expected)
    shared = _shared((line for _, line in tail), [lines[place][0] for place in counted])
    if shared == 0:
        raise CursorMismatch  # an append of private events only, at a place where others stand
    skip = counted[shared - 1] + 1
    private = [line for line, _ in lines[skip : counted[shared] if shared < len(counted) else len(lines)]]
    if private:
        behind = await run_events.read(database, run.key, tail[shared - 1][0], public_only=False, limit=len(private))
        skip += _equal(_private_lines(behind), private)
    return skip


def _lines(wanted: Append) -> list[tuple[str, bool]]:
    """Each event's JSON, and whether it counts in the external sequence."""
    return [(line, segment.external) for segment in wanted.segments for line in segment.lines]


def _external_lines(rows: Sequence[StoredEvents], after: int) -> list[tuple[int, str]]:
    """Event id and JSON of each event with an external sequence greater than `after`."""
    return [
        (row.first_event_id + place, line)
        for row in rows
        for place, line in enumerate(row.lines())
        if (row.first_external_sequence or 0) + place > after
    ]


def _private_lines(rows: Sequence[StoredEvents]) -> Iterator[str]:
    """The events up to the first public one."""
    for row in rows:
        if row.public:
            return
        yield from row.lines()


def _shared(stored: Iterable[str], sent: Sequence[str]) -> int:
    """How many of both there are, beginning with the first; CursorMismatch where they differ."""
    count = 0
    for was, wanted in zip(stored, sent, strict=False):
        if not same(was, wanted):
            raise CursorMismatch
        count += 1
    return count


def _equal(stored: Iterable[str], sent: Sequence[str]) -> int:
    """How many are equal, beginning with the first."""
    count = 0
    for was, wanted in zip(stored, sent, strict=False):
        if not same(was, wanted):
            break
        count += 1
    return count
