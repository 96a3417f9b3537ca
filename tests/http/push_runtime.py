"""A push runtime for tests: an HTTP server on loopback that answers as it is told and remembers what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from perdure.services.core import Core
from perdure.services.egress import Egress
from tests.http.runs_app import PROJECT, Api, agent_run, served

ACCEPTED: tuple[int, Any] = (202, {"accepted": True, "duplicate": False})


@dataclass(frozen=True)
class Sent:
    """One request to the runtime."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Runtime:
    """`answers`: what is answered to the next dispatches, then 202; likewise for resumes and cancels."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    resumes: list[tuple[int, Any]] = field(default_factory=list)
    cancels: list[tuple[int, Any]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    hold: asyncio.Event | None = None

    def of(self, method: str, end: str = "") -> list[Sent]:
        """What was sent with this method to paths that end so."""
        return [one for one in self.sent if one.method == method and one.path.endswith(end)]

    @property
    def dispatched(self) -> list[Sent]:
        """The runs that it was sent."""
        return self.of("POST", "/api/runs")

    async def serve(self, request: Request) -> Response:
        """Any request to it."""
        body = await request.body()
        sent = Sent(request.method, request.url.path, request.headers, await request.json() if body else None)
        self.sent.append(sent)
        if self.hold is not None:
            await self.hold.wait()
        queue = self.cancels if sent.method == "DELETE" else self.resumes if "/resume" in sent.path else self.answers
        status, said = queue.pop(0) if queue else ACCEPTED
        return Response(status_code=status) if said is None else JSONResponse(said, status)


@asynccontextmanager
async def runtime(**members: Any) -> AsyncIterator[Runtime]:
    """A runtime that is up."""
    made = Runtime(**members)
    routes = [Route("/{path:path}", made.serve, methods=["GET", "POST", "DELETE"])]
    async with served(Starlette(routes=routes)) as url:
        made.url = url
        yield made


def open_to_loopback(at_work: Api) -> Core:
    """Let the application call loopback; its core from then on."""
    at_work.core = replace(at_work.core, egress=Egress(("127.0.0.0/8",)))
    at_work.app.state.core = at_work.core
    return at_work.core


async def register(at_work: Api, to: str, *, headers: Mapping[str, str] | None = None, **said: object) -> Any:
    """Register a service there; what is answered."""
    body = {
        "service_name": "helper", "service_key": "helper:1", "scope_kind": "project", "project_id": str(PROJECT),
        "agent_id": "writer", "base_url": to, "invoke_url": f"{to}/api/runs", **said,
    }  # fmt: skip
    body = {name: value for name, value in body.items() if value is not None}
    return (await at_work.json("POST", "/agent-runtimes/push-services", body, headers=headers or {}))["service"]


async def started(at_work: Api, *, agent: str = "writer", tools: tuple[str, ...] = (), **more: Any) -> Any:
    """A run with input, to be executed by whoever serves the agent."""
    given = {
        "messages": [{"id": "m1", "role": "user", "content": "Hello"}],
        "context": {"project_id": str(PROJECT), "branch_id": None},
        "tools": [{"name": name, "parameters": {"type": "object"}} for name in tools],
        **more,
    }
    body = agent_run(agent_id=agent, initial_status="pending", input=given)
    body["public_id"] = f"run_{uuid4().hex}"
    return (await at_work.json("POST", "/runs", body))["run"]
