"""What a run's process has said, read from its log (veryfront.md 1.4: `logs`)."""

from __future__ import annotations

from typing import Final

import msgspec

from perdure.domain.event import CUSTOM, StoredEvents
from perdure.domain.ids import RunKey
from perdure.domain.task_log import LOG
from perdure.services.core import Core
from perdure.store import run_events

MOST: Final = 256 * 1024
"""Characters that are answered: the last ones. All of it is in the run's events."""

_ROWS_AT_ONCE: Final = 50


class _Piece(msgspec.Struct):
    text: str = ""


class _Custom(msgspec.Struct):
    type: str
    name: object = None
    value: msgspec.Raw = msgspec.Raw(b"null")


async def logs_of(core: Core, key: RunKey) -> str | None:
    """The output of all attempts, as it came; None where there is none. Raises Unavailable."""
    pieces: list[str] = []
    length = 0
    before: int | None = None
    while length <= MOST and (rows := await run_events.newest_of_name(core.database, key, LOG, before, _ROWS_AT_ONCE)):
        for row in rows:
            said = _said(row)
            pieces.append(said)
            length += len(said)
        before = rows[-1].first_event_id
    if not pieces:
        return None
    whole = "".join(reversed(pieces))
    if len(whole) <= MOST:
        return whole
    return f"(earlier output is in the run's events)\n{whole[-MOST:]}"


def _said(row: StoredEvents) -> str:
    if row.first_external_sequence is not None:
        return ""
    events = (
        msgspec.json.decode(line, type=_Custom)
        for line, kind in zip(row.lines(), row.types, strict=True)
        if kind == CUSTOM and LOG in line
    )
    return "".join(msgspec.json.decode(event.value, type=_Piece).text for event in events if event.name == LOG)
