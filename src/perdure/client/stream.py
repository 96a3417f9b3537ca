"""Follow a run's log over server-sent events, through lost connections and restarts of the server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import httpx
import msgspec
from httpx_sse import EventSource, ServerSentEvent, SSEError

from perdure.client.errors import ApiError, UnexpectedAnswer, Unreachable, api_error
from perdure.client.models import Event, RunStatus
from perdure.client.retry import WORTH_RETRYING
from perdure.client.transport import Call, Transport, url_of

SILENCE: Final = 45.0
"""Seconds without a byte after which a connection counts as lost: three heartbeats of the server."""

LONGEST_PAUSE: Final = 5.0
LONGEST_ASKED: Final = 60.0
_PAYLOAD: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Interruption:
    """The stream broke. It is opened again in `pause` seconds. `cause` is None where the server closed it in order."""

    cause: Exception | None
    pause: float
    last_event_id: int


OnInterruption = Callable[[Interruption], None]


class LogStream:
    """The events of one run after a cursor, each once and in order, until the run has ended.

    `give_up_after`: seconds without any contact after which Unreachable is raised; None tries for ever.
    """

    def __init__(
        self,
        transport: Transport,
        run_id: str,
        after: int,
        *,
        give_up_after: float | None,
        on_interruption: OnInterruption | None,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._cursor = after
        self._give_up_after = give_up_after
        self._on_interruption = on_interruption
        self._first_pause = transport.policy.first_delay
        self._failures = 0
        self._contact = monotonic()
        self._ended = False

    async def events(self) -> AsyncGenerator[Event, None]:
        """The events. Raises ApiError where the server refuses, Unreachable, UnexpectedAnswer."""
        while True:
            cause: Exception | None = None
            before = self._cursor
            try:
                async with aclosing(self._connection()) as connection:
                    async for event in connection:
                        yield event
                if self._ended or (self._cursor == before and await self._has_ended()):
                    return
            except httpx.TransportError as error:
                cause = error
            except ApiError as error:
                if error.status not in WORTH_RETRYING:
                    raise
                cause = error
            await self._pause(cause)

    async def _connection(self) -> AsyncGenerator[Event, None]:
        """The events of one connection, until it closes."""
        async with self._open() as response:
            if response.status_code >= 400:
                await response.aread()
                raise api_error(response)
            try:
                async with aclosing(_frames(response)) as frames:
                    async for frame in frames:
                        if frame.retry is not None:
                            self._first_pause = frame.retry / 1000
                        if frame.data and (event_id := _event_id(frame)) > self._cursor:
                            yield self._received(event_id, frame.data)
            finally:
                self._contact = monotonic()

    def _open(self) -> AbstractAsyncContextManager[httpx.Response]:
        http = self._transport.http
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if self._cursor:
            headers["last-event-id"] = str(self._cursor)
        timeout = httpx.Timeout(http.timeout.connect, read=SILENCE)
        return http.stream("GET", url_of("runs", self._run_id, "stream"), headers=headers, timeout=timeout)

    def _received(self, event_id: int, data: str) -> Event:
        try:
            event = Event(event_id=event_id, payload=_PAYLOAD.decode(data))
        except msgspec.DecodeError as error:
            raise UnexpectedAnswer(f"The stream of run {self._run_id} holds what is no event: {error}.") from error
        self._cursor = event_id
        self._ended = event.terminal
        self._failures = 0
        return event

    async def _has_ended(self) -> bool:
        """Whether there is nothing to follow: a stream that closes at once, of a run that ended at the cursor."""
        run = await self._transport.once(Call("GET", url_of("runs", self._run_id), repeatable=True), _Standing)
        return run.status.ended

    async def _pause(self, cause: Exception | None) -> None:
        self._failures += 1
        silent = monotonic() - self._contact
        if self._give_up_after is not None and silent > self._give_up_after:
            raise Unreachable(f"No contact with the server for {silent:.0f} s.") from cause
        asked = cause.retry_after if isinstance(cause, ApiError) else None
        doubled = self._first_pause * 2.0 ** min(self._failures - 1, 20) * (0.5 + 0.5 * self._transport.jitter())
        pause = min(asked, LONGEST_ASKED) if asked is not None else min(doubled, LONGEST_PAUSE)
        if self._on_interruption is not None:
            self._on_interruption(Interruption(cause, pause, self._cursor))
        await self._transport.sleep(pause)


class _Standing(msgspec.Struct):
    status: RunStatus


async def _frames(response: httpx.Response) -> AsyncGenerator[ServerSentEvent, None]:
    try:
        async with aclosing(EventSource(response).aiter_sse()) as frames:
            async for frame in frames:
                yield frame
    except SSEError as error:
        raise UnexpectedAnswer(f"{response.url} answered something else than an event stream: {error}.") from error


def _event_id(frame: ServerSentEvent) -> int:
    if not (frame.id.isascii() and frame.id.isdigit()):
        raise UnexpectedAnswer(f"The stream holds an event whose id is no number: {frame.id!r}.")
    return int(frame.id)
