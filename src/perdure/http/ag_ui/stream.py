"""A turn as server-sent events: `data:` frames with AG-UI's events, as HttpAgent of `@ag-ui/client` reads them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec

from perdure.domain.ag_ui_history import History
from perdure.domain.errors import PerdureError
from perdure.domain.event import RUN_ERROR, StoredEvents
from perdure.domain.run import PendingCall, Status, WaitingReason
from perdure.domain.stored_run import Run
from perdure.http.ag_ui.projection import Made, Projection
from perdure.services import ag_ui, events, runs
from perdure.services.ag_ui import Turn
from perdure.services.core import Core

_MESSAGES_SNAPSHOT: Final = "MESSAGES_SNAPSHOT"


class TurnStream:
    """One turn of one client, from RUN_STARTED to its end."""

    def __init__(self, core: Core, turn: Turn, asked: Mapping[str, Any], answered: frozenset[str]) -> None:
        self._core = core
        self._turn = turn
        self._asked = asked
        self._answered = answered
        self._projection = self._new_projection()
        self._base: list[Made] = list(asked["messages"])
        self._stop: int | None = None
        self._waiting: tuple[tuple[PendingCall, ...], WaitingReason] = ((), WaitingReason.TOOL)
        self._waits_at(turn.run)

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """The frames. One that ends without RUN_FINISHED or RUN_ERROR was cut off; the same request goes on with it."""
        yield _frames([self._projection.started()])
        try:
            async with aclosing(self._events()) as made:
                async for chunk in made:
                    yield _frames(chunk)
        except PerdureError as error:
            yield _frames([{"type": RUN_ERROR, "message": error.detail, "code": error.code}])

    async def _events(self) -> AsyncGenerator[list[Made], None]:
        if self._turn.known:
            reset = await self._reset()
            if reset:
                yield reset
        if self._stop is not None and self._stop <= self._turn.after:
            yield self._projection.paused(*self._waiting)
            return
        async with aclosing(self._core.hub.follow(self._turn.run.key, self._turn.after)) as rows:
            async for row in rows:
                made, ends = await self._row(row.events)
                if made:
                    yield made
                if ends:
                    return
        if self._projection.ended is not None:
            run = await runs.get(self._core, self._turn.run.key)
            yield self._projection.finished(run.output)

    async def _row(self, row: StoredEvents) -> tuple[list[Made], bool]:
        """What a row says to the client, and whether the turn ends with it. A row may hold more than one turn."""
        made: list[Made] = []
        for event_id, event in _projected(row, self._projection):
            if self._turn.to is not None and event_id > self._turn.to:
                return [*made, *self._projection.left()], True
            made += [] if event is None else [event]
            if event is not None and self._projection.waits(event) and await self._left(event_id):
                return [*made, *self._projection.left()], True
        if self._projection.superseded:
            self._projection.superseded = False
            made.append(await self._snapshot(row.last_event_id))
        if self._stop is not None and row.last_event_id >= self._stop:
            return [*made, *self._projection.paused(*self._waiting)], True
        if self._turn.to is not None and row.last_event_id >= self._turn.to:
            return [*made, *self._projection.left()], True
        return made, False

    async def _left(self, event_id: int) -> bool:
        """Whether another turn goes on from here. Where none does, this one ends where the run waits now, if at all."""
        if await ag_ui.goes_on_after(self._core, self._turn.run.key, event_id) is not None:
            return True
        self._waits_at(await runs.get(self._core, self._turn.run.key))
        return False

    def _waits_at(self, run: Run) -> None:
        if run.status is Status.WAITING and run.waiting is not None and self._turn.to is None:
            self._stop, self._waiting = run.latest_event_id, (run.waiting.calls, run.waiting.reason)
        else:
            self._stop = None

    # --- messages that a client must forget --------------------------------------------------------------------------

    async def _reset(self) -> list[Made]:
        """A client that comes back gets the turn from its beginning: it forgets what it has of it already."""
        said = await self._said(self._turn.to)
        self._base = [message for message in self._asked["messages"] if message["id"] not in said.ids]
        if not self._base and self._turn.after == 0 and self._turn.run.input is not None:
            self._base = msgspec.json.decode(self._turn.run.input).get("messages", [])
        return [] if self._base == self._asked["messages"] else [self._messages(self._base)]

    async def _snapshot(self, event_id: int) -> Made:
        said = await self._said(event_id)
        return self._messages([*self._base, *said.messages()])

    def _messages(self, messages: list[Made]) -> Made:
        return {"type": _MESSAGES_SNAPSHOT, "messages": messages}

    async def _said(self, to: int | None) -> History:
        """What the turn has said up to an event, or so far."""
        history, projection = History(), self._new_projection()
        async for row in events.rows(self._core, self._turn.run.key):
            for event_id, event in _projected(row.after(self._turn.after), projection):
                if to is not None and event_id > to:
                    return history
                if event is not None:
                    history.add(event)
        return history

    def _new_projection(self) -> Projection:
        return Projection(self._asked["threadId"], self._asked["runId"], self._answered)


def _projected(row: StoredEvents, projection: Projection) -> Iterator[tuple[int, Made | None]]:
    """Each event's id, and what the client gets of it. Private ones, and those before the turn, are none."""
    if row.public and row.types:
        for event_id, (kind, line) in enumerate(zip(row.types, row.lines(), strict=True), row.first_event_id):
            yield event_id, projection.add(kind, line)


def _frames(events: Iterable[Made]) -> bytes:
    return b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in events)
