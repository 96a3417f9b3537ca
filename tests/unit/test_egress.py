"""Calls to URLs that users gave: which addresses are called, and that the checked one is the one that is called."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from perdure.domain.errors import EgressRefused, InvalidRequest
from perdure.services.egress import MAX_ANSWER_BYTES, Egress, call

LOOPBACK = Egress(("127.0.0.0/8", "::1"))
REFUSED = (
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]",
)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback that answers every request with these bytes; its port, and what it was sent."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], sent


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> Callable[[], int]:
    """Let every name resolve to the next of these addresses, one at each look; how often somebody looked."""
    looks = 0

    async def lookup(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        nonlocal looks
        address = answers[min(looks, len(answers) - 1)]
        looks += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    return lambda: looks


@pytest.mark.parametrize("host", REFUSED)
async def test_addresses_that_not_everybody_can_reach_are_refused(host: str) -> None:
    with pytest.raises(EgressRefused, match="PERDURE_EGRESS_ALLOW"):
        Egress().check_url(f"http://{host}/api/runs")
    async with Egress().client() as client:
        with pytest.raises(EgressRefused):
            await client.get(f"http://{host}:9/")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "0x7f.1", "2130706433", "127.1"])
async def test_other_spellings_of_loopback_are_refused_when_they_are_called(host: str) -> None:
    async with Egress().client() as client:
        with pytest.raises((EgressRefused, httpx.ConnectError)):
            await client.get(f"http://{host}:9/")


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]", "example.com"])
def test_what_everybody_can_reach_is_not(host: str) -> None:
    Egress().check_url(f"https://{host}/api/runs")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "example.com/x",
        "http://",
        "http:///x",
        "https://user:secret@example.com/",
        "https://user@example.com/",
        "http://example.com:99999/",
        "http://[::1/",
        "",
    ],
)
def test_what_is_no_url_to_call_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        Egress(("0.0.0.0/0",)).check_url(url)


def test_the_setting_opens_hosts_addresses_and_networks() -> None:
    for allow, host in (
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", "[::ffff:10.1.2.3]"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("127.0.0.0/8", "localhost"),
        ("LocalHost", "localhost"),
    ):
        Egress((allow,)).check_url(f"http://{host}/")
    with pytest.raises(EgressRefused):
        Egress(("10.0.0.0/8",)).check_url("http://192.168.0.1/")
    with pytest.raises(ValueError, match="PERDURE_EGRESS_ALLOW"):
        Egress(("10.0.0.0/99",))


async def test_a_name_is_resolved_once_and_the_checked_address_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as (port, sent):
        looks = resolving(monkeypatch, "127.0.0.1", "10.0.0.1")
        async with LOOPBACK.client() as client:
            reply = await call(client, "GET", f"http://runtime.example:{port}/x", headers={})
    assert (reply.status, reply.body, looks()) == (200, b"hi", 1)
    assert f"host: runtime.example:{port}".encode() in sent[0].lower()


async def test_a_name_that_means_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = resolving(monkeypatch, "10.0.0.1")
    async with LOOPBACK.client() as client:
        with pytest.raises(EgressRefused, match=r"runtime\.example"):
            await client.get("http://runtime.example/")
    assert looks() == 1
    assert [str(one) for one in await Egress(("runtime.example",)).addresses("runtime.example", 80)] == ["10.0.0.1"]


async def test_redirects_and_proxies_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with answering(moved) as (port, sent), LOOPBACK.client() as client:
        reply = await call(client, "GET", f"http://127.0.0.1:{port}/", headers={})
    assert (reply.status, len(sent)) == (302, 1)


async def test_an_endless_answer_is_cut_off_and_a_silent_one_given_up() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (4 * MAX_ANSWER_BYTES)
    async with answering(endless) as (port, _), LOOPBACK.client() as client:
        reply = await call(client, "GET", f"http://127.0.0.1:{port}/", headers={})
    assert len(reply.body) == MAX_ANSWER_BYTES
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi") as (port, _), LOOPBACK.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await call(client, "GET", f"http://127.0.0.1:{port}/", headers={})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with LOOPBACK.client() as client:
            with pytest.raises(httpx.TimeoutException):
                url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
                await call(client, "GET", url, headers={}, seconds=0.2)
