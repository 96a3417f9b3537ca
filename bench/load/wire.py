"""HTTP/1.1 as a load generator wants it: as little work as possible for each answer, on connections that stay open."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import msgspec

P = TypeVar("P", bound=asyncio.Protocol)

_HEAD_END = b"\r\n\r\n"
_STREAM_END = b"\r\n0\r\n\r\n"
_ID = b"\nid: "


class Target(msgspec.Struct, frozen=True):
    """Where the server is, and the key that it knows us by."""

    host: str
    port: int
    key: str


class LoadError(Exception):
    """The server did something that a measurement cannot go on with."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its whole body."""

    status: int
    body: bytes

    def read(self, expected: int) -> dict[str, object]:
        """The body's JSON object. Raises LoadError unless the status is the expected one."""
        if self.status != expected:
            raise LoadError(f"The server answered {self.status} instead of {expected}: {self.body[:500]!r}")
        document = json.loads(self.body)
        if not isinstance(document, dict):
            raise LoadError(f"The server answered with no object: {self.body[:500]!r}")
        return document


def get(target: Target, path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: {target.host}\r\nauthorization: Bearer {target.key}\r\n\r\n".encode()


def post(target: Target, path: str, body: bytes) -> bytes:
    """A POST request with a JSON body."""
    return post_head(target, path) + b"%d\r\n\r\n%b" % (len(body), body)


def post_head(target: Target, path: str) -> bytes:
    """A POST request up to the value of its content-length, for a writer that sends many alike."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: {target.host}\r\nauthorization: Bearer {target.key}\r\n"
        "content-type: application/json\r\ncontent-length: "
    ).encode()


async def connect(target: Target, make: Callable[[], P]) -> P:
    """Open a connection for a protocol of ours. Raises OSError."""
    _, protocol = await asyncio.get_running_loop().create_connection(make, target.host, target.port)
    return protocol


class Exchange(asyncio.Protocol):
    """One request at a time, each answered with a body of known length; `answered` is called for each."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. uvloop's is one by behaviour, not by class."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer, then hand it over."""
        if self._pending:
            data = self._pending + data
        end = data.find(_HEAD_END)
        if end < 0:
            self._pending = data
            return
        head = data[:end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(data) < end + 4 + length:
            self._pending = data
            return
        self._pending = b""
        self.answered(int(data[9:12]), data[end + 4 :])

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.lost(LoadError(f"The server closed a connection: {exc}"))

    @abstractmethod
    def answered(self, status: int, body: bytes) -> None:
        """An answer is there."""

    @abstractmethod
    def lost(self, error: LoadError) -> None:
        """The connection is gone."""


class Client(Exchange):
    """Ask and wait for the answer."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: asyncio.Future[Answer] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer. Raises LoadError when the connection ends before."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    def answered(self, status: int, body: bytes) -> None:
        """Wake the waiting one."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, body))

    def lost(self, error: LoadError) -> None:
        """Fail the waiting one."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class EventStream(asyncio.Protocol):
    """Follows one event stream at a time on a connection that stays open, and counts its events.

    `on_events(last_id, count)` is called for each piece that holds events, with the id of its last event.
    Frames are found by their lines, not by the answer's chunks: events hold no line breaks.
    """

    transport: asyncio.Transport

    def __init__(self, on_events: Callable[[int, int], None] | None = None) -> None:
        self.count = 0
        self.last_id = 0
        self.last_frames = b""
        self._on_events = on_events
        self._rest = b""
        self._in_head = True
        self._end: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. uvloop's is one by behaviour, not by class."""
        self.transport = cast("asyncio.Transport", transport)

    def start(self, request: bytes) -> asyncio.Future[None]:
        """Send a request; the future is done when the stream has ended, and fails with LoadError otherwise."""
        self.count = 0
        self.last_id = 0
        self._rest = b""
        self._in_head = True
        self._end = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._end

    def data_received(self, data: bytes) -> None:
        """Take whole frames, keep the rest."""
        data = self._rest + data
        if self._in_head:
            end = data.find(_HEAD_END)
            if end < 0:
                self._rest = data
                return
            if int(data[9:12]) != 200:
                self._fail(LoadError(f"The server answered a stream with {data[:500]!r}"))
                return
            self._in_head = False
            data = data[end + 2 :]
        cut = data.rfind(b"\n\n") + 1
        if cut:
            self._take(data[:cut])
            # The line break stays: the next frame may begin right behind it.
            data = data[cut:]
        self._rest = data
        if data.endswith(_STREAM_END) and self._end is not None and not self._end.done():
            self._end.set_result(None)

    def _take(self, frames: bytes) -> None:
        count = frames.count(_ID)
        if not count:
            return
        place = frames.rfind(_ID)
        self.count += count
        self.last_id = int(frames[place + 5 : frames.find(b"\n", place + 5)])
        self.last_frames = frames
        if self._on_events is not None:
            self._on_events(self.last_id, count)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._fail(LoadError(f"The server closed a stream: {exc}"))

    def _fail(self, error: LoadError) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_exception(error)
