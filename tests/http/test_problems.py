"""Every refusal of every published route is one form of problem (RFC 9457; veryfront.md 1.1), and none of them is 422.

The routes are read from the published document, so that a new one is asked, too. Another dialect (`/api/…`, `/sts/…`)
has an error object of its own (`test_agents_errors.py`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest_asyncio

from tests.http.runs_app import ADMIN_KEY, Api, api, problem_in

NOBODYS = str(UUID(int=7))
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "category", "request_id"}
CODE = re.compile(r"[a-z][a-z0-9_]*|[A-Z][A-Z0-9_]*")
SLASHED = "name that/is 100% new"


@dataclass(frozen=True)
class Route:
    """A published method of a path, and what the document says of it."""

    method: str
    path: str
    said: dict[str, Any]

    @property
    def url(self) -> str:
        """With ids that nothing has."""
        return re.sub(r"{\w+}", NOBODYS, self.path)

    @property
    def queries(self) -> set[str]:
        return {one["name"] for one in self.said.get("parameters", ()) if one["in"] == "query"}

    @property
    def body(self) -> dict[str, Any] | None:
        body: dict[str, Any] | None = self.said.get("requestBody")
        return body

    @property
    def schema(self) -> dict[str, Any]:
        """The body's schema; {} for one that is only named."""
        assert self.body is not None
        schema: dict[str, Any] = self.body["content"]["application/json"].get("schema", {})
        return schema


@dataclass
class Asked:
    """The application and its routes."""

    at_work: Api
    routes: list[Route]

    async def problem(self, route: Route, *statuses: int, query: str = "", **more: Any) -> dict[str, Any]:
        """The problem of an answer with one of these statuses."""
        url = route.url + query
        answer = await self.at_work.client.request(route.method, url, **more)
        # Who signs instead of naming itself is told of the signature first.
        signed = not route.said.get("security") and "{" in route.path
        expected = (*statuses, 401, 403) if signed else statuses
        assert answer.status_code in expected, (route.method, url, answer.status_code, answer.text)
        return whole(answer)

    def guarded(self) -> Iterator[Route]:
        return (route for route in self.routes if route.said.get("security"))

    def with_body(self) -> Iterator[Route]:
        return (route for route in self.routes if route.body is not None)


@pytest_asyncio.fixture
async def asked(database: str) -> AsyncIterator[Asked]:
    async with api(database) as at_work:
        document = (await at_work.client.get("/openapi.json")).json()
        routes = [
            Route(method.upper(), path, said)
            for path, methods in document["paths"].items()
            if not path.startswith(("/api/", "/sts/"))
            for method, said in methods.items()
        ]
        assert len(routes) > 40
        yield Asked(at_work, routes)


def whole(answer: httpx.Response) -> dict[str, Any]:
    """A problem, every member of which is looked at."""
    problem = problem_in(answer)
    assert set(problem) >= MEMBERS
    assert set(problem) <= MEMBERS | {"pointer", "suggestion", "error"}
    assert urlsplit(problem["type"]).scheme == "urn"
    assert problem["type"].endswith(problem["code"].lower())
    assert CODE.fullmatch(problem["code"])
    for member in MEMBERS - {"status"}:
        assert isinstance(problem[member], str)
        assert problem[member]
    # A path that is a secret is not said again: `-` stands for it.
    sent = answer.request.url.raw_path.decode().partition("?")[0]
    assert problem["instance"] in (sent, f"{sent.rpartition('/')[0]}/-")
    # An empty `error`, or one that is no string, hides `detail` from the client that appends (veryfront.md 1.1).
    assert "error" not in problem or (isinstance(problem["error"], str) and problem["error"])
    assert answer.status_code != 422
    return problem


async def test_who_does_not_say_who_it_is(asked: Asked) -> None:
    del asked.at_work.client.headers["Authorization"]
    for route in asked.guarded():
        for headers in ({}, {"Authorization": "Bearer nobody's"}, {"X-API-Key": "x"}):
            problem = await asked.problem(route, 401, headers=headers, content=b"{")
            assert (problem["code"], problem["category"]) == ("not_authenticated", "authentication")


async def test_who_may_not(asked: Asked) -> None:
    """A key that reads may not write, one that appends may nothing else."""
    keys = {scope: await asked.at_work.new_key(scopes=[scope]) for scope in ("runs:read", "agent-runs:events:append")}
    refused = 0
    for route in asked.guarded():
        statuses = {}
        for scope, key in keys.items():
            answer = await asked.at_work.client.request(
                route.method, route.url, headers={"Authorization": f"Bearer {key}"}, content=b"{"
            )
            statuses[scope] = answer.status_code
            if not answer.is_success:
                assert (whole(answer)["code"] == "not_allowed") is (answer.status_code == 403)
        refused += list(statuses.values()).count(403)
        # Whatever it is, at least one of the two may not do it, unless workers' own tokens are what it asks for.
        assert 403 in statuses.values(), (route.method, route.path, statuses)
    assert refused > len(asked.routes)


async def test_what_is_not_there(asked: Asked) -> None:
    for route in asked.routes:
        if "{" not in route.path:
            continue
        if route.body is None or not route.body.get("required"):
            problem = await asked.problem(route, 404)
            if problem["status"] == 404:
                assert (problem["code"].endswith("not_found"), problem["category"]) == (True, "not_found")
        else:
            await asked.problem(route, 400, 404, json={})
    for path in ("/nothing", "/runs/a/b/c", f"/runs/{NOBODYS}/nothing"):
        answer = await asked.at_work.client.get(path)
        assert (answer.status_code, whole(answer)["code"]) == (404, "route_not_found")


async def test_a_method_that_a_path_has_not(asked: Asked) -> None:
    there: dict[str, set[str]] = {}
    for route in asked.routes:
        there.setdefault(route.path, set()).add(route.method)
    by_path = {route.path: route for route in asked.routes}
    for path, methods in there.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - methods:
            other = Route(method, path, by_path[path].said)
            # One path is another's example: /runs/{run_id} and the like.
            problem = await asked.problem(other, 405, content=b"{")
            assert problem["code"] == "method_not_allowed"


async def test_what_is_too_large(asked: Asked) -> None:
    """The announced length is enough: nobody waits for 16 MB to be told so."""
    for route in asked.with_body():
        headers = {"Content-Length": str(64 * 1024 * 1024)}
        problem = await asked.problem(route, *((413, 404) if "{" in route.path else (413,)), headers=headers)
        assert problem["status"] == 404 or problem["code"] == "payload_too_large"
        # "payload must be less than" stands for a single event that is too large (rule 4), and stops its writer.
        assert "payload must be less than" not in problem["detail"]


async def test_what_is_no_json(asked: Asked) -> None:
    for route in asked.with_body():
        for content in (b"{", b"\xff", b'{"a":1}{', b"[" * 10_000, b"nonsense", b'{"a":"\\ud800"}'):
            problem = await asked.problem(route, 400, 404, content=content)
            assert problem["status"] == 400 or "{" in route.path


async def test_what_nobody_asked_for(asked: Asked) -> None:
    """A body of the wrong form, and one with a member that the schema does not know."""
    for route in asked.with_body():
        if route.schema.get("additionalProperties") is not False:
            continue
        bodies: tuple[object, ...] = ({"surprise": 1}, [], 7, "text")
        for body in bodies:
            problem = await asked.problem(route, 400, 404, json=body)
            assert problem["status"] == 404 or "pointer" in problem, (route.path, problem)
        await asked.problem(route, 400, 404, data={"a": "form"})


async def test_queries_that_do_not_fit(asked: Asked) -> None:
    wrong = {
        "limit": ("0", "-1", "x", "1e3", "", "99999999999999999999"),
        "cursor": ("x", "%00", "bnVsbA", "W10"),
        "after_event_id": ("-1", "x", "1.5"),
        "after": ("-1", "x"),
        "status": ("sleeping",),
        "since": ("yesterday",),
    }
    tried = set()
    for route in asked.routes:
        for name in route.queries & set(wrong):
            tried.add(name)
            for value in wrong[name]:
                problem = await asked.problem(route, 400, 404, query=f"?{name}={value}")
                assert problem["status"] == 400 or "{" in route.path, (route.path, name, value)
    assert tried == set(wrong)


async def test_the_content_type_does_not_matter(asked: Asked) -> None:
    """Bodies are JSON whatever they are called: no 415, which no client of the protocol expects."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "?"):
        answer = await asked.at_work.client.post(
            "/conversations", content=b'{"title":"t"}', headers={"Content-Type": content_type}
        )
        assert answer.is_success, answer.text


async def test_a_name_with_anything_in_it_comes_back_as_it_was_sent(asked: Asked) -> None:
    quoted = httpx.URL("http://test/").copy_with(path=f"/runs/{SLASHED}").raw_path.decode()
    answer = await asked.at_work.client.get(quoted, headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    assert answer.status_code == 404
    assert whole(answer)["instance"] == quoted
