"""The whole HTTP application on a database, in this process, and a client that holds a key."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time_ns
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from starlette.types import ASGIApp

from perdure.blobs.blobs import Blobs
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.project import DEFAULT_PROJECT_ID
from perdure.http.application import Application, create_app
from perdure.http.context import HttpSettings
from perdure.services import catalog
from perdure.services.authentication import Authenticator
from perdure.services.core import Core
from perdure.services.health import Health
from perdure.services.keys import ensure_bootstrap_key
from perdure.services.projects import ensure_default_project
from tests.store.harness import WAIT_SECONDS, eventually, server

ADMIN_KEY = "pd_admin"
PROJECT = ProjectId(DEFAULT_PROJECT_ID)
SERVED = [
    ("agent", "echo"),
    *(("task", name) for name in ("a", "report", "t", "tidy", "unserved", "w", "x")),
    *(("workflow", name) for name in ("flow", "onboarding", "w")),
    *(("eval", name) for name in ("smoke", "w")),
]
"""What a worker is said to have served: nobody executes it."""


@dataclass
class Api:
    """A running application, and an administrator's client."""

    app: Application
    core: Core
    client: httpx.AsyncClient

    async def json(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        """The JSON of a successful answer."""
        if body is not None:
            more["json"] = body
        answer = await self.client.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json()

    async def problem(self, method: str, path: str, status: int, **more: Any) -> dict[str, Any]:
        """The problem of an answer that must have this status."""
        answer = await self.client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return problem_in(answer)

    async def new_key(self, **body: object) -> str:
        """A new key of the default project."""
        return str((await self.json("POST", "/keys", {"name": "test", **body}))["key"])

    async def create(self, **request: object) -> dict[str, Any]:
        """A new agent run that its caller executes, in a conversation of its own."""
        answer: dict[str, Any] = await self.json("POST", "/runs", agent_run(**request))
        return answer

    async def conversation_run(self, **request: object) -> tuple[str, RunKey]:
        """The path of a new run under its conversation, and the run."""
        made = await self.create(**request)
        run_id = made["run"]["run_id"]
        return f"/conversations/{made['conversation_id']}/runs/{run_id}", RunKey(PROJECT, RunId(run_id))


def agent_run(**request: object) -> dict[str, Any]:
    """The body of POST /runs for a run that its caller executes; `public_id` and the like are for the body itself."""
    outer: dict[str, Any] = {
        name: request.pop(name) for name in ("public_id", "parent_run_id", "trigger") if name in request
    }
    return {
        "kind": "agent",
        "owner": {"kind": "project", "id": str(PROJECT)},
        "conversation_mode": "create_new",
        "conversation_id": str(uuid4()),
        "request": {"mode": "agent", "agent_id": "writer", "initial_status": "running", **request},
        **outer,
    }


def problem_in(answer: httpx.Response) -> dict[str, Any]:
    """A problem document, whose form is checked."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["code"]
    assert problem["detail"]
    assert "Traceback" not in answer.text
    return problem


@asynccontextmanager
async def api(dsn: str, settings: HttpSettings | None = None, blobs: Blobs | None = None) -> AsyncIterator[Api]:
    """A running application with the default project, the agent `echo` in its catalogue, and an administrator's key."""
    async with application(dsn, settings, blobs) as app:
        core: Core = app.state.core
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            yield Api(app, core, client)


@asynccontextmanager
async def application(
    dsn: str, settings: HttpSettings | None = None, blobs: Blobs | None = None
) -> AsyncIterator[Application]:
    """The application alone."""
    async with server(dsn, clock=lambda: time_ns() // 1_000_000, blobs=blobs) as core:
        project = await ensure_default_project(core)
        await ensure_bootstrap_key(core, project.id, ADMIN_KEY)
        await catalog.register(core, "worker-1", SERVED, 1)
        yield create_app(core, Authenticator(core), Health(core, max_lag_ms=60_000), settings)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The application behind a real HTTP server on a free loopback port; its URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", ws="none", log_config=None, access_log=False)
    one = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(one.serve([listening]))
        await eventually(lambda: one.started or serving.done())
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            one.should_exit = True
            await asyncio.wait_for(serving, WAIT_SECONDS)
