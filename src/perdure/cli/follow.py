"""Show a run, as it was and as it goes on; the exit code is how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from perdure.cli.exits import ExitCode
from perdure.cli.output import Screen, note, write_json_line
from perdure.cli.transcript import Transcript
from perdure.client import ApiError, Client, Event, Interruption, RunStatus, Unreachable

_QUIET: Final = 0.3
"""Seconds without an event after which a run is looked at: does it wait for somebody?"""

_PAGE: Final = 500

_CODES: Final = MappingProxyType(
    {
        RunStatus.COMPLETED: ExitCode.DONE,
        RunStatus.FAILED: ExitCode.FAILED,
        RunStatus.CANCELLED: ExitCode.CANCELLED,
        RunStatus.WAITING: ExitCode.WAITING,
        RunStatus.PENDING: ExitCode.UNFINISHED,
        RunStatus.RUNNING: ExitCode.UNFINISHED,
    }
)


@dataclass(frozen=True, slots=True)
class View:
    """How a run is shown. `after`: from which event id on; `through_waiting`: stay while it waits for somebody."""

    follow: bool = True
    after: int = 0
    through_waiting: bool = False
    as_json: bool = False


async def show_run(client: Client, run_id: str, view: View) -> ExitCode:
    """Show a run's events. Answers how it stands at the end."""
    shower = _Shower(run_id, view)
    try:
        if view.follow:
            waits = await _follow(client, run_id, view, shower)
        else:
            await _read(client, run_id, view, shower)
            waits = False
    finally:
        shower.close()
    if waits:
        return ExitCode.WAITING
    status = await _status(client, run_id, shower.last)
    if not view.follow and not view.as_json and not status.ended:
        note(f"The run is {status}.")
    return _CODES[status]


async def _status(client: Client, run_id: str, last: Event | None) -> RunStatus:
    """How the run stands; what its last event says where the server has just gone."""
    try:
        return (await client.runs.get(run_id)).status
    except Unreachable:
        if last is None or not last.terminal:
            raise
        if last.type == "RUN_FINISHED":
            return RunStatus.COMPLETED
        return RunStatus.CANCELLED if last.payload.get("code") == "CANCELLED" else RunStatus.FAILED


class _Shower:
    def __init__(self, run_id: str, view: View) -> None:
        self._transcript = Transcript(run_id)
        self._screen = Screen()
        self._as_json = view.as_json
        self.last: Event | None = None

    def show(self, event: Event) -> None:
        """Show the next event."""
        self.last = event
        if self._as_json:
            write_json_line({"event_id": event.event_id, "payload": event.payload})
        else:
            self._screen.write(self._transcript.feed(event.payload))

    def close(self) -> None:
        """End the line that is open."""
        if not self._as_json:
            self._screen.write(self._transcript.close())

    def interrupted(self, stop: Interruption) -> None:
        """Says so once it lasts: a server that is back at once is not worth a line."""
        if stop.cause is not None:
            self.close()
            cause = str(stop.cause) or type(stop.cause).__name__
            note(f"… connection lost ({cause}); going on after event {stop.last_event_id} in {stop.pause:.1f} s")


async def _read(client: Client, run_id: str, view: View, shower: _Shower) -> None:
    cursor = view.after
    while events := await client.runs.events(run_id, after=cursor, limit=_PAGE):
        for event in events:
            shower.show(event)
        cursor = events[-1].event_id


async def _follow(client: Client, run_id: str, view: View, shower: _Shower) -> bool:
    """Show events until the run has ended, or (True) waits for somebody."""
    stream = client.runs.stream(run_id, after=view.after, on_interruption=shower.interrupted)
    if view.through_waiting:
        async with aclosing(stream):
            async for event in stream:
                shower.show(event)
        return False
    return await _until_it_waits(client, run_id, stream, shower.show)


async def _waits(client: Client, run_id: str) -> bool | None:
    """Whether the run waits for somebody; None where the server does not say, which the stream will get over."""
    try:
        return (await client.runs.get(run_id)).status is RunStatus.WAITING
    except (Unreachable, ApiError):
        return None


async def _until_it_waits(
    client: Client, run_id: str, stream: AsyncGenerator[Event, None], show: Callable[[Event], None]
) -> bool:
    """The log of a run that waited once and went on holds that, too: only the run itself says whether it waits now."""
    look = True
    async with aclosing(stream):
        while True:
            following = asyncio.ensure_future(anext(stream, None))
            try:
                await asyncio.wait({following}, timeout=_QUIET)
                if look and not following.done():
                    waits = await _waits(client, run_id)
                    if waits and not following.done():
                        return True
                    look = waits is None
                event = await following
            finally:
                if not following.done():
                    following.cancel()
                    with suppress(asyncio.CancelledError, StopAsyncIteration):
                        await following
            if event is None:
                return False
            show(event)
            look = look or event.type in ("CUSTOM", "TOOL_CALL_RESULT")
