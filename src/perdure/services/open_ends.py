"""What a run that ends early leaves open, and the events that close it (design section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.domain.closing import closing_events
from perdure.domain.event import TOOL_CALL_RESULT, Segment, segment_of
from perdure.domain.fold import LogFold
from perdure.domain.ids import RunKey
from perdure.domain.run import Status
from perdure.domain.transitions import Transition
from perdure.services.core import Core
from perdure.store import run_events

_ROWS_AT_ONCE = 500


class OpenEnds:
    """The open messages and tool calls of one run. The log is read once, and later only what was appended since."""

    def __init__(self, core: Core, key: RunKey) -> None:
        self._core = core
        self._key = key
        self._fold = LogFold()
        self._read_to = 0

    async def close(self, transition: Transition, before: Sequence[Segment]) -> tuple[tuple[Segment, ...], int | None]:
        """The events that close everything, to be written after `before` and before the transition's own events.

        They are right as long as the log ends at the event whose id comes with them. A run that neither fails nor is
        cancelled needs none, wherever its log ends (None).
        """
        if transition.state.status not in (Status.CANCELLED, Status.FAILED):
            return (), None
        await self._read_on()
        fold = LogFold(self._fold.past())
        for line in (line for segment in before for line in segment.lines):
            fold.add(line)
        answered = {event["toolCallId"] for event in transition.events if event["type"] == TOOL_CALL_RESULT}
        events = [
            event.model_dump(mode="json", by_alias=True)
            for event in closing_events(fold.past(), transition.state.status.value)
        ]
        left = [event for event in events if event["type"] != TOOL_CALL_RESULT or event["toolCallId"] not in answered]
        return ((segment_of(left),) if left else ()), self._read_to

    async def _read_on(self) -> None:
        while rows := await run_events.read(
            self._core.database, self._key, self._read_to, public_only=False, limit=_ROWS_AT_ONCE
        ):
            for row in rows:
                for line in row.lines():
                    self._fold.add(line)
            self._read_to = rows[-1].last_event_id
