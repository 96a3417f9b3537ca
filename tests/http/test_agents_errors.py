"""Every refusal of every route of the Agent Runs dialect is its one closed object (vertesia.md 1.10)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from perdure.http.agents.operations import OPERATIONS
from perdure.http.agents.schemas import token_error_schema
from perdure.http.operations import Operation
from tests.http.runs_app import Api

ERROR = Draft202012Validator(token_error_schema())
GUARDED = [operation for operation in OPERATIONS if operation.scope is not None]
WITH_BODY = [operation for operation in OPERATIONS if operation.body is not None]


def url_of(operation: Operation) -> str:
    """Its path, with names that nothing has."""
    return re.sub(r"{\w+(:path)?}", "nothing", operation.path)


def check(answer: httpx.Response, *statuses: int) -> None:
    """The dialect's error, with one of these statuses."""
    where = (answer.request.method, str(answer.request.url))
    assert answer.status_code in statuses, (where, answer.text)
    assert answer.headers["content-type"] == "application/json", where
    error = answer.json()
    ERROR.validate(error)
    assert error["status"] == answer.status_code
    assert error["message"]
    assert answer.headers["x-request-id"]


async def test_who_does_not_say_who_it_is(at_work: Api) -> None:
    for operation in GUARDED:
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer x"}, {"Authorization": "", "X-API-Key": "x"}):
            answer = await at_work.client.request(operation.method, url_of(operation), headers=headers, content=b"{")
            check(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_is_not_there(at_work: Api) -> None:
    for operation in OPERATIONS:
        if "{run_id}" in operation.path:
            check(await at_work.client.request(operation.method, url_of(operation)), 400, 404)
    for path in ("/api/v1/nothing", "/api/v1/agents/r/nothing", "/sts/nothing", "/api/v1/agents/r/details/x"):
        check(await at_work.client.get(path), 404)


async def test_a_method_that_a_path_has_not(at_work: Api) -> None:
    there: dict[str, set[str]] = {}
    for operation in OPERATIONS:
        there.setdefault(operation.path, set()).add(operation.method)
    for path, methods in there.items():
        url = re.sub(r"{\w+(:path)?}", "nothing", path)
        for method in {"PATCH", "OPTIONS", "PUT"} - methods:
            answer = await at_work.client.request(method, url, content=b"{")
            check(answer, 405)
            assert answer.headers["allow"]


def bodies() -> Iterator[tuple[bytes, int]]:
    """Bodies that no route takes, and what each is answered."""
    for content in (b"{", b"\xff", b'{"a":1}{', b"[" * 10_000, b"nonsense", b'{"a":"\\ud800"}', b"7", b"[]"):
        yield content, 400


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: f"{operation.method} {operation.path}")
async def test_what_is_no_such_body(at_work: Api, operation: Operation) -> None:
    url = url_of(operation)
    for content, status in bodies():
        check(await at_work.client.request(operation.method, url, content=content), status, 404)
    large = {"Content-Length": str(64 * 1024 * 1024)}
    check(await at_work.client.request(operation.method, url, headers=large), 413, 404)
