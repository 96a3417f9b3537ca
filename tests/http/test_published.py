"""The published OpenAPI document: it is whole, and the server does what it says, whatever comes in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema_rs import meta
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from perdure.http.ag_ui.routes import OPERATIONS as AG_UI
from perdure.http.agents.operations import OPERATIONS as AGENTS
from perdure.http.dashboard.routes import PATHS as DASHBOARD
from perdure.http.errors import AGENTS_PREFIXES
from perdure.http.platform.signed_routes import OPERATIONS as SIGNED
from perdure.http.runs.create_schema import create_run_schema
from perdure.http.runs.operations import OPERATIONS as RUNS
from tests.http.runs_app import ADMIN_KEY, Api, agent_run, application, served
from tests.store.harness import WAIT_SECONDS, copied_database

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
OPERATIONS = (*RUNS, *AGENTS, *AG_UI, *SIGNED)
PUBLIC = {
    "/livez",
    "/readyz",
    "/metrics",
    "/.well-known/jwks.json",
    "/auth/token",
    "/webhooks/{webhook_id}",
    "/sts/token/issue",
    "/sts/token/refresh",
    *(operation.path for operation in SIGNED),
}
ROUTES = [
    *((operation.method, operation.published_path) for operation in OPERATIONS),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/projects"),
    ("POST", "/projects"),
    ("GET", "/projects/{ref}"),
    ("PATCH", "/projects/{ref}"),
    ("GET", "/projects/{ref}/keys"),
    ("POST", "/projects/{ref}/keys"),
    ("DELETE", "/projects/{ref}/keys/{key_id}"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys/{key_id}"),
]
"""What is tried below; a test says which route is missing here."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


async def test_every_route_is_in_the_document(at_work: Api) -> None:
    document = (await at_work.client.get("/openapi.json")).json()
    served_paths = {
        (route.path, method)
        for route in at_work.app.routes
        if isinstance(route, Route) and not isinstance(route, APIRoute)
        for method in (route.methods or set()) - {"HEAD"}
        if route.path not in ("/docs", "/openapi.json", *DASHBOARD)
    }
    described = {
        (path, method.upper()): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert served_paths == {(operation.path, operation.method) for operation in OPERATIONS}
    assert set(described) == {(path, method) for method, path in ROUTES}
    assert len({operation["operationId"] for operation in described.values()}) == len(described)
    for (path, method), operation in described.items():
        assert "422" not in operation["responses"], path
        assert operation["summary"], path
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and path != "/readyz":
                kind = "application/json" if path.startswith(AGENTS_PREFIXES) else "application/problem+json"
                assert kind in answer["content"], (path, method, status)
        assert bool(operation.get("security")) is not (path in PUBLIC), path
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_the_create_schema_is_published_as_it_validates(at_work: Api) -> None:
    document = (await at_work.client.get("/openapi.json")).json()
    body = document["paths"]["/runs"]["post"]["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"] == create_run_schema()


async def test_every_schema_is_one(at_work: Api) -> None:
    def schemas(node: Any) -> Iterator[Any]:
        if isinstance(node, dict):
            if isinstance(node.get("schema"), dict):
                yield node["schema"]
            for child in node.values():
                yield from schemas(child)
        elif isinstance(node, list):
            for child in node:
                yield from schemas(child)

    document = (await at_work.client.get("/openapi.json")).json()
    found = [*schemas(document["paths"]), *document["components"]["schemas"].values()]
    assert len(found) > 50
    for schema in found:
        meta.validate(schema)


# --- whatever comes in -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """A server in a thread of its own."""

    url: str
    schema: Any


@pytest.fixture(scope="module")
def running(postgres: str, template: str) -> Iterator[Running]:
    """A server over HTTP, for all of these tests."""
    url: Future[str] = Future()
    stop = threading.Event()

    async def serve(dsn: str) -> None:
        async with application(dsn) as app, served(app) as address:
            url.set_result(address)
            await asyncio.to_thread(stop.wait)

    with copied_database(postgres, template) as dsn:
        thread = threading.Thread(target=lambda: asyncio.run(serve(dsn)))
        thread.start()
        try:
            address = url.result(WAIT_SECONDS)
            document = httpx.get(f"{address}/openapi.json").json()
            yield Running(address, schemathesis.openapi.from_dict(document))
        finally:
            stop.set()
            thread.join(WAIT_SECONDS)


@pytest.fixture
def runs(running: Running) -> dict[str, dict[str, str]]:
    """A run that goes on, and one that has ended."""
    # It reads no certificates: that took longer than most of these tests.
    with httpx.Client(base_url=running.url, headers=HEADERS, verify=False) as client:
        live, ended = _new_run(client), _new_run(client)
        client.post(f"/runs/{ended['run_id']}/complete", json={"status": "completed"}).raise_for_status()
    return {"live": live, "ended": ended, "generated": {}}


def _new_run(client: httpx.Client) -> dict[str, str]:
    made = client.post("/runs", json=agent_run()).raise_for_status().json()
    return {"run_id": made["run"]["run_id"], "conversation_id": made["conversation_id"]}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_server_does_what_the_document_says(
    running: Running, runs: dict[str, dict[str, str]], method: str, path: str
) -> None:
    """No 500 and no answer that is not described; what does not fit the schema is refused."""
    described = running.schema[path][method]
    modes = st.sampled_from(list(schemathesis.GenerationMode))

    @EXAMPLES
    @given(st.data(), modes, st.sampled_from(sorted(runs)))
    def check(data: st.DataObject, mode: schemathesis.GenerationMode, run: str) -> None:
        case: Case[Any] = data.draw(described.as_strategy(generation_mode=mode))
        # A stream of a run that goes on has no end.
        known = runs["ended" if run == "live" and path.endswith("/stream") else run]
        case.path_parameters.update({name: known[name] for name in known if name in case.path_parameters})
        answer = case.call(base_url=running.url, headers=HEADERS)
        # What is wrong in the path or in a header was put right above.
        sent = case.meta is not None and any(
            map(case.meta.is_negative_at, (ParameterLocation.QUERY, ParameterLocation.BODY))
        )
        case.validate_response(answer, checks=[*CHECKS, negative_data_rejection] if sent else CHECKS)

    check()
