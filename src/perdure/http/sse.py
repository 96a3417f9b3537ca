"""Server-sent events: a run's log as an endless answer (design section 8, veryfront.md 2.5).

A stream begins with `retry:`, sends a comment from time to time, and ends after the run's terminal event, when the log
is exhausted or the run deleted, when its reader's key or token is good no more, or when the server stops. To go on, a
client says the `id:` of the last event that it saw.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from time import monotonic, perf_counter
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from perdure.domain.errors import NotAllowed, NotAuthenticated, Unavailable
from perdure.domain.event import StoredEvents
from perdure.http.requests import cursor_of
from perdure.ledger.hub import Delivery
from perdure.telemetry import LogLine, get_logger

EVENT_STREAM: Final = "text/event-stream"

Render = Callable[[StoredEvents], bytes]
"""From a row of the log to the bytes of its frames; none for what the format leaves out."""

Check = Callable[[], Awaitable[object]]
"""Asks whether a reader may still read; raises NotAuthenticated or NotAllowed where it may not."""

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
_HEARTBEAT: Final = b": still here\n\n"


class _ClientGone(Exception):
    """The client has closed the connection."""


async def rendered(
    follow: AsyncGenerator[Delivery, None], format_name: str, render: Render
) -> AsyncGenerator[bytes, None]:
    """What a follower is given, as frames: a chunk for each row that has any.

    A row is rendered once for all followers: the bytes stay with the delivery, under `format_name`.
    """
    async with aclosing(follow):
        async for delivery in follow:
            frames = delivery.rendered.get(format_name)
            if frames is None:
                frames = delivery.rendered[format_name] = render(delivery.events)
            if frames:
                yield frames


class EventStream:
    """An ASGI answer that sends chunks of frames as they come, until there are no more."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        check: Check,
        *,
        heartbeat_seconds: float,
        recheck_seconds: float,
        retry_ms: int,
    ) -> None:
        self._chunks = chunks
        self._check = check
        self._heartbeat = heartbeat_seconds
        self._recheck = recheck_seconds
        self._retry_ms = retry_ms
        self._sending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream until it ends or the client is gone."""
        began = perf_counter()
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        reason = "end of log"
        async with aclosing(self._chunks):
            if scope["method"] != "HEAD":
                try:
                    async with asyncio.TaskGroup() as group:
                        watch = group.create_task(self._watch(receive, send), name="event-stream-watch")
                        await self._write(send)
                        watch.cancel()
                except* (_ClientGone, OSError):
                    reason = "client gone"
                except* (NotAuthenticated, NotAllowed):
                    reason = "not allowed any more"
        if reason != "client gone":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        get_logger().debug(LogLine.STREAM_ENDED, reason=reason, seconds=round(perf_counter() - began, 3))

    async def _write(self, send: Send) -> None:
        await self._chunk(send, b"retry: %d\n\n" % self._retry_ms)
        async for frames in self._chunks:
            await self._chunk(send, frames)

    async def _chunk(self, send: Send, frames: bytes) -> None:
        self._sending = True
        await send({"type": "http.response.body", "body": frames, "more_body": True})
        self._sending = False

    async def _watch(self, receive: Receive, send: Send) -> None:
        """Send a heartbeat and look at the reader's leave from time to time, until the client is gone.

        Raises what the check raises, but for Unavailable: a database that is away takes nobody's leave.
        """
        beat_at, check_at = monotonic() + self._heartbeat, monotonic() + self._recheck
        while True:
            try:
                async with asyncio.timeout(max(0.0, min(beat_at, check_at) - monotonic())):
                    message = await receive()
            except TimeoutError:
                if monotonic() >= check_at:
                    with suppress(Unavailable):
                        await self._check()
                    check_at = monotonic() + self._recheck
                if monotonic() >= beat_at:
                    # A client that does not even take what is on its way needs no proof of life.
                    if not self._sending:
                        await send({"type": "http.response.body", "body": _HEARTBEAT, "more_body": True})
                    beat_at = monotonic() + self._heartbeat
                continue
            if message["type"] == "http.disconnect":
                raise _ClientGone


def stream_cursor(request: Request) -> int:
    """The event id after which a client wants to go on; 0 is the beginning. Raises InvalidRequest.

    `Last-Event-ID` wins over `?after=`: a browser that reconnects sends the header, and the URL that it began with.
    """
    after = request.query_params.get("after")
    cursor = 0 if after is None else cursor_of(after, "The query parameter `after`")
    seen = request.headers.get("last-event-id")
    return cursor_of(seen, "The header Last-Event-ID") if seen else cursor
