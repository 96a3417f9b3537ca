"""An encrypted front for a Temporal server, as a cluster has one: the development server itself speaks no TLS.

It may ask for a client's certificate and for an API key, and notes what the calls said of themselves.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from hpack import Decoder

_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_FRAME_HEAD = 9
_HEADERS = 1
_PADDED, _PRIORITY = 0x08, 0x20
_CHUNK = 65_536


@dataclass
class Pki:
    """An authority, and the files (PEM) of its own certificate and of one that it issued for a client."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.authority.cert_pem.write_to_path(self.ca)
        client = self.authority.issue_cert("worker@example.test")
        client.private_key_pem.write_to_path(self.client_key)
        client.cert_chain_pems[0].write_to_path(self.client_cert)

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def client_cert(self) -> Path:
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        return self.folder / "client.key"

    def server(self, name: str, *, ask_clients: bool) -> ssl.SSLContext:
        """What a server of that name needs; with `ask_clients` it lets in only clients of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        context.set_alpn_protocols(["h2"])
        if ask_clients:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class TlsFront(AbstractAsyncContextManager["TlsFront"]):
    """Decrypts, and passes on to a server; hangs up on a call without the API key, where there is one to be had."""

    def __init__(self, behind: str, context: ssl.SSLContext, *, api_key: str | None = None) -> None:
        host, _, port = behind.rpartition(":")
        self._behind = (host, int(port))
        self._context = context
        self._api_key = api_key
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Future[None]] = set()
        self.calls: list[dict[str, str]] = []
        """Headers of the calls."""
        self.certificates: list[str] = []
        """Whom the clients' certificates name; one for each connection that showed one."""

    @property
    def address(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> TlsFront:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for one in self._connections:
            one.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._connected(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown = writer.get_extra_info("peercert")
        if shown:
            self.certificates += [value for kind, value in shown["subjectAltName"] if kind == "email"]
        back_reader, back_writer = await asyncio.open_connection(*self._behind)
        both = [
            asyncio.ensure_future(self._pass_calls(reader, back_writer)),
            asyncio.ensure_future(_pass(back_reader, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            writer.transport.abort()
            back_writer.transport.abort()

    async def _pass_calls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The client's side, frame by frame (RFC 9113, section 4)."""
        decoder = Decoder()
        with suppress(OSError, asyncio.IncompleteReadError):
            writer.write(await reader.readexactly(_PREFACE))
            while True:
                head = await reader.readexactly(_FRAME_HEAD)
                body = await reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == _HEADERS:
                    call = dict(_headers(decoder, head[4], body))
                    self.calls.append(call)
                    if self._api_key and call.get("authorization") != f"Bearer {self._api_key}":
                        return
                writer.write(head + body)
                await writer.drain()


def _headers(decoder: Decoder, flags: int, body: bytes) -> Iterator[tuple[str, str]]:
    padding = body[0] if flags & _PADDED else 0
    start = (1 if flags & _PADDED else 0) + (5 if flags & _PRIORITY else 0)
    for name, value in decoder.decode(body[start : len(body) - padding]):
        yield str(name), str(value)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
