"""The one way to call a URL that a user gave: push runtimes, and whatever else is called at a user's word.

A host is resolved once, its addresses are checked, and the connection goes to an address that was checked: what the
name means a moment later (DNS rebinding) changes nothing. Only addresses that are reachable from everywhere are called;
loopback, private, link-local, shared, multicast and reserved ones, and IPv6 forms that carry one of them, are refused
unless PERDURE_EGRESS_ALLOW opens them. TLS verifies the host's name. Redirects are not followed, and proxies and
credentials of the environment are not used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import httpcore
import httpx

from perdure.domain.errors import EgressRefused, InvalidRequest

SETTING: Final = "PERDURE_EGRESS_ALLOW"
MAX_ANSWER_BYTES: Final = 64 * 1024
CONNECT_SECONDS: Final = 5.0
CALL_SECONDS: Final = 20.0
"""How long a whole call may take."""
MAX_CONNECTIONS: Final = 100

_NAT64: Final = IPv6Network("64:ff9b::/96")
_KEPT_SECONDS: Final = 15.0

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered: the status and at most as many bytes as were asked for."""

    status: int
    body: bytes


class Egress:
    """Where the server may call to. `allow`: hosts, addresses and networks that are open although they are not global.

    Raises ValueError for an entry with a slash that is no network.
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for entry in allow:
            network = _network(entry)
            if network is not None:
                self._networks.append(network)
            else:
                self._hosts.add(entry.lower().rstrip("."))

    def check_url(self, url: str, pointer: str | None = None) -> None:
        """Refuse a URL that can never be called: for the moment when it is given.

        A host that is a name is looked up when it is called. Raises InvalidRequest and EgressRefused.
        """
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
            httpx.URL(url)
        except (ValueError, httpx.InvalidURL):
            raise InvalidRequest("That is not a URL.", pointer=pointer) from None
        if parts.scheme not in ("http", "https") or not host:
            raise InvalidRequest("The URL must begin with http:// or https:// and name a host.", pointer=pointer)
        if parts.username is not None or parts.password is not None:
            raise InvalidRequest("The URL must not hold a user name or password.", pointer=pointer)
        literal = _literal(host)
        if literal is not None and not self._may(host, literal):
            raise _refused(host, pointer)
        if host.rstrip(".").lower() == "localhost" and "localhost" not in self._hosts and not self._loopback_open():
            raise _refused(host, pointer)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """What certificates are checked with, for all clients: reading the authorities takes some 35 ms each time."""
        return httpx.create_ssl_context(trust_env=False)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host that may be called. Raises EgressRefused where there are others only, OSError."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        known = dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
        allowed = [address for address in known if self._may(host, address)]
        if not allowed:
            raise _refused(host, None)
        return allowed

    def client(self) -> httpx.AsyncClient:
        """A client whose connections go where they may. Its caller closes it."""
        return httpx.AsyncClient(
            transport=_GuardedTransport(self),
            timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    def _may(self, host: str, address: Address) -> bool:
        forms = (address, *_carried(address))
        if host.lower().rstrip(".") in self._hosts or any(form in net for form in forms for net in self._networks):
            return True
        return all(form.is_global and not form.is_multicast and not form.is_reserved for form in forms[1:] or forms)

    def _loopback_open(self) -> bool:
        return any(self._may("localhost", ip_address(address)) for address in ("127.0.0.1", "::1"))


async def call(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None = None,
    seconds: float = CALL_SECONDS,
) -> Reply:
    """One call, bounded in time and in what is read of the answer.

    Raises httpx.HTTPError where no answer came in time, EgressRefused.
    """
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(method, url, headers=dict(headers), content=content) as answer,
        ):
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) >= MAX_ANSWER_BYTES:
                    break
            return Reply(answer.status_code, bytes(body[:MAX_ANSWER_BYTES]))
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"No whole answer within {seconds} s.") from error


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, never to a name."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                found = await self._egress.addresses(host, port)
                return await self._first(found, port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"No connection to {host} in time.") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def _first(
        self,
        found: list[Address],
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        for place, address in enumerate(found):
            try:
                return await self._inner.connect_tcp(str(address), port, None, local_address, socket_options)
            except httpcore.ConnectError:
                if place == len(found) - 1:
                    raise
        raise httpcore.ConnectError("The host has no address.")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("Sockets of this machine are not called.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_ERRORS: Final[Mapping[type[Exception], type[httpx.TransportError]]] = MappingProxyType(
    {
        httpcore.ConnectTimeout: httpx.ConnectTimeout,
        httpcore.PoolTimeout: httpx.PoolTimeout,
        httpcore.WriteTimeout: httpx.WriteTimeout,
        httpcore.ReadTimeout: httpx.ReadTimeout,
        httpcore.ConnectError: httpx.ConnectError,
        httpcore.WriteError: httpx.WriteError,
        httpcore.ReadError: httpx.ReadError,
        httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
        httpcore.LocalProtocolError: httpx.LocalProtocolError,
        httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    }
)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """The pool's errors as those that users of httpx know."""
    try:
        yield
    except tuple(_ERRORS) as error:
        raise _ERRORS[type(error)](str(error)) from error


class _Body(httpx.AsyncByteStream):
    """The answer's body, as it comes."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for chunk in self._answer.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


class _GuardedTransport(httpx.AsyncBaseTransport):
    """httpx on a pool whose connections are guarded."""

    def __init__(self, egress: Egress) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=egress.tls,
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=_GuardedBackend(egress),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        with _as_httpx():
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


def _network(entry: str) -> Network | None:
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        if "/" in entry:
            raise ValueError(f"{SETTING}: {entry!r} is not a network.") from None
        return None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _carried(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo and NAT64."""
    if isinstance(address, IPv4Address):
        return ()
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    teredo = address.teredo or ()
    return tuple(form for form in (address.ipv4_mapped, address.sixtofour, *teredo) if form is not None)


def _refused(host: str, pointer: str | None) -> EgressRefused:
    return EgressRefused(
        f"{host} is not an address that everybody can reach, so the server does not call it. "
        f"An operator can open it with {SETTING}.",
        pointer=pointer,
    )
