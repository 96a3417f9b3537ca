"""What stands around every route: request ids, problems, limits, metrics, and unexpected errors."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from perdure.domain import errors
from perdure.domain.errors import PerdureError, Unavailable
from perdure.http.docs_page import content_security_policy
from perdure.http.errors import mapped, problem_of
from perdure.http.operations import Endpoint
from perdure.http.requests import read_body
from tests.http.runs_app import Api, api, problem_in, served


def subclasses(kind: type[PerdureError]) -> list[type[PerdureError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in subclasses(child))]


@pytest.mark.parametrize("kind", [kind for kind in subclasses(PerdureError) if kind.__module__ == errors.__name__])
def test_every_error_of_ours_has_a_status(kind: type[PerdureError]) -> None:
    status = mapped(kind).status
    assert (status == 500) is (kind is PerdureError)
    assert status != 422
    problem = problem_of(kind())
    assert problem.detail
    assert problem.code == kind.code


async def test_unknown_routes_and_methods_are_problems(database: str) -> None:
    async with api(database) as at_work:
        for path in ("/nothing", "/runs/", "/runs/x/y", "/%ff", "/runs/a/b/c%2Fd"):
            assert (await at_work.problem("GET", path, 404))["code"] == "route_not_found"
            assert (await at_work.problem("GET", path, 404))["instance"] == path
        for method, path, allowed in (
            ("DELETE", "/runs", {"GET", "HEAD", "POST"}),
            ("PUT", "/runs/x", {"GET", "HEAD"}),
            ("GET", "/runs/x/cancel", {"POST"}),
            ("DELETE", "/projects", {"GET", "POST"}),
            ("FOO", "/conversations/x/runs/y/events", {"GET", "HEAD", "POST"}),
        ):
            answer = await at_work.client.request(method, path)
            assert problem_in(answer)["code"] == "method_not_allowed"
            assert answer.status_code == 405
            if path != "/projects":  # The framework names the methods of its first route only.
                assert set(answer.headers["allow"].split(", ")) == allowed


async def test_request_ids_are_taken_over_or_made(database: str) -> None:
    async with api(database) as at_work:
        given = await at_work.client.get("/runs", headers={"X-Request-Id": "my-id.1"})
        assert given.headers["x-request-id"] == "my-id.1"
        made = {(await at_work.client.get("/runs")).headers["x-request-id"] for _ in range(5)}
        assert len(made) == 5
        for strange in ("", "a b", "ü", "x" * 129, '"><script>'):
            answer = await at_work.client.get("/runs", headers=[(b"X-Request-Id", strange.encode())])
            assert answer.headers["x-request-id"] not in ("", strange)


async def test_nobody_gets_anything_without_a_key_or_its_scope(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        appender = {"Authorization": f"Bearer {await at_work.new_key(scopes=['agent-runs:events:append'])}"}
        reader = {"X-API-Key": await at_work.new_key(scopes=["runs:read"])}
        at_work.client.headers.pop("Authorization")
        run = f"/runs/{key.run_id}"
        reads = (
            "/runs",
            run,
            f"{run}/events",
            f"{run}/stream?after=x",
            path,
            f"{path}/events",
            "/projects/default/runs",
        )
        writes = ("/runs", f"{run}/cancel", f"{run}/complete", f"{run}/resume", f"{run}/restart", f"{run}/signals/go")
        for method, urls in (("GET", reads), ("POST", (*writes, f"{path}/events"))):
            for url in urls:
                assert (await at_work.problem(method, url, 401, content=b"{"))["code"] == "not_authenticated"
                status = 400 if method == "POST" and url == f"{path}/events" else 403
                await at_work.problem(method, url, status, content=b"{", headers=appender)
        for url in (*writes, f"{path}/events"):
            assert (await at_work.problem("POST", url, 403, content=b"{", headers=reader))["code"] == "not_allowed"


async def test_unexpected_errors_tell_nothing(database: str) -> None:
    async def broken(request: Request) -> Response:
        raise ValueError("the secret inside")

    async def refused(request: Request) -> Response:
        raise PerdureError("the secret inside")

    async def away(request: Request) -> Response:
        raise Unavailable("The database is away.")

    async def left(request: Request) -> Response:
        raise ClientDisconnect

    async with api(database) as at_work:
        for name, handler in (("broken", broken), ("refused", refused), ("away", away), ("left", left)):
            at_work.app.router.routes.append(Route(f"/{name}", Endpoint(f"/{name}", {"GET": handler}), methods=["GET"]))
        for path in ("/broken", "/refused"):
            problem = await at_work.problem("GET", path, 500)
            assert problem["code"] == "internal_error"
            assert "secret" not in str(problem)
        answer = await at_work.client.get("/away")
        assert problem_in(answer)["detail"] == "The database is away."
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        text = (await at_work.client.get("/metrics")).text
        assert 'perdure_http_requests_total{method="GET",route="/broken",status="500"} 1.0' in text


async def test_metrics_name_routes_and_never_paths(database: str) -> None:
    async with api(database) as at_work:
        await at_work.client.get("/runs/abc")
        await at_work.client.get("/some/where")
        await at_work.client.request("BREW", "/runs")
        text = (await at_work.client.get("/metrics")).text
        assert 'perdure_http_requests_total{method="GET",route="/runs/{run_id}",status="404"} 1.0' in text
        assert 'perdure_http_requests_total{method="GET",route="unknown",status="404"} 1.0' in text
        assert 'perdure_http_requests_total{method="other",route="/runs",status="405"} 1.0' in text
        assert "abc" not in text
        assert "where" not in text.replace("where this process", "")


async def test_a_body_that_comes_in_pieces_is_counted(database: str) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"cd", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]

    async def read(limit: int, sent: list[Message]) -> bytes:
        left = iter(sent)

        async def receive() -> Message:
            return next(left)

        return await read_body(Request({"type": "http", "headers": []}, receive), limit)

    assert await read(4, messages) == b"abcd"
    with pytest.raises(PerdureError, match="at most"):
        await read(3, messages)
    with pytest.raises(ClientDisconnect):
        await read(4, [messages[0], {"type": "http.disconnect"}])


async def test_a_large_body_is_refused_before_it_is_read(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        key = at_work.client.headers["authorization"]
        head = f"POST /runs HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: 99999999\r\n\r\n{{"
        writer.write(head.encode())
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 413")
        writer.close()
        await writer.wait_closed()


async def test_the_page_of_documents_needs_nothing_from_elsewhere(database: str) -> None:
    class Page(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.addresses: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            self.addresses.extend(value or "" for name, value in attrs if name in ("href", "src"))

    async with api(database) as at_work:
        at_work.client.headers.pop("Authorization")
        answer = await at_work.client.get("/docs")
        page = Page()
        page.feed(answer.text)
        assert answer.headers["content-security-policy"] == content_security_policy()
        assert "script" not in page.tags
        assert page.addresses == ["openapi.json"]
        for path in at_work.app.openapi()["paths"]:
            assert f"<code>{path}</code>" in answer.text


async def test_a_dead_client_does_not_disturb_others(at_work: Api) -> None:
    """Ten clients begin a body, and go."""
    async with served(at_work.app) as url, httpx.AsyncClient(base_url=url, headers=at_work.client.headers) as client:
        host, port = url.removeprefix("http://").split(":")
        for _ in range(10):
            _, writer = await asyncio.open_connection(host, int(port))
            key = at_work.client.headers["authorization"]
            writer.write(
                f"POST /runs HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: 9\r\n\r\n{{".encode()
            )
            await writer.drain()
            writer.transport.abort()
        assert (await client.get("/runs")).status_code == 200
        assert b'status="500"' not in at_work.core.metrics.render()
