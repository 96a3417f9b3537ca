"""Events: what the log is made of (design section 2).

An event travels as the JSON bytes it came in, with only its type beside it; nothing between the writer and the reader
parses it. `lines` hold one event each as compact text without line breaks, so that a stored batch, a JSON array with
one event a line, is split without parsing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from perdure.domain.ids import RunKey

RUN_STARTED: Final = "RUN_STARTED"
RUN_FINISHED: Final = "RUN_FINISHED"
RUN_ERROR: Final = "RUN_ERROR"
CUSTOM: Final = "CUSTOM"
TOOL_CALL_RESULT: Final = "TOOL_CALL_RESULT"
STEP_RECORD: Final = "perdure.step"
MODEL_CALL_CONTEXT: Final = "AGENT_RUN_MODEL_CALL_CONTEXT"

TERMINAL_TYPES: Final = frozenset({RUN_FINISHED, RUN_ERROR})
"""Written by the server when a run ends, never accepted on append (veryfront.md section 0, rule 10)."""

PRIVATE_EXTERNAL_TYPES: Final = frozenset({MODEL_CALL_CONTEXT})
"""Types that an outside writer appends and that stay private (veryfront.md 2.4)."""

MAX_EVENT_BYTES: Final = 256 * 1024
MAX_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive new events of one visibility; it becomes one row.

    `external` says that an outside writer appended them and that they count in the external sequence.
    """

    types: tuple[str, ...]
    lines: tuple[str, ...]
    public: bool = True
    external: bool = False

    def text(self) -> str:
        """The events as they are stored: a JSON array, one event a line."""
        return "[" + ",\n".join(self.lines) + "]"


@dataclass(frozen=True, slots=True)
class Append:
    """A request to append. All of its events are stored, or none.

    `expected_event_id` and `expected_external_sequence` are the cursors that the writer believes in (None: do not
    check); `fence` is an executor's fence (None: a writer without a lease). Source: veryfront.md 2.1, design section
    2.
    """

    key: RunKey
    segments: tuple[Segment, ...]
    expected_event_id: int | None = None
    expected_external_sequence: int | None = None
    fence: int | None = None

    @property
    def event_count(self) -> int:
        """How many events it holds."""
        return sum(len(segment.lines) for segment in self.segments)

    @property
    def external_count(self) -> int:
        """How many of them count in the external sequence."""
        return sum(len(segment.lines) for segment in self.segments if segment.external)


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: the run's counters after it, and how many events were newly stored."""

    latest_event_id: int
    latest_external_sequence: int
    appended_count: int
    revision: int


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """One stored row: events `first_event_id` … with consecutive ids and timestamps."""

    first_event_id: int
    first_ts: int
    first_external_sequence: int | None
    public: bool
    types: tuple[str, ...]
    text: str

    @property
    def last_event_id(self) -> int:
        """The id of its last event."""
        return self.first_event_id + len(self.types) - 1

    def lines(self) -> list[str]:
        """Each event's JSON, in order."""
        return self.text[1:-1].split(",\n")

    def after(self, event_id: int) -> StoredEvents:
        """The part of it that follows `event_id`; itself when it all does."""
        skip = event_id + 1 - self.first_event_id
        if skip <= 0:
            return self
        return StoredEvents(
            first_event_id=self.first_event_id + skip,
            first_ts=self.first_ts + skip,
            first_external_sequence=None
            if self.first_external_sequence is None
            else self.first_external_sequence + skip,
            public=self.public,
            types=self.types[skip:],
            text="[" + ",\n".join(self.lines()[skip:]) + "]",
        )


def line_of(event: object) -> str:
    """An event of our own making (a dict or msgspec struct) as one line of JSON."""
    return msgspec.json.encode(event).decode()


def segment_of(events: Iterable[dict[str, object]], *, public: bool = True) -> Segment:
    """Events of our own making as a segment. Each needs a string `type`."""
    made = list(events)
    return Segment(
        types=tuple(str(event["type"]) for event in made), lines=tuple(line_of(event) for event in made), public=public
    )


def custom(name: str, value: object) -> dict[str, object]:
    """A CUSTOM event; names that begin with `perdure.` are the server's (docs/events.md)."""
    return {"type": CUSTOM, "name": name, "value": value}
