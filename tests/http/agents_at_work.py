"""Agent runs over HTTP with a worker in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from perdure import App
from perdure.domain.ids import RunId, RunKey
from perdure.execution.engines.base import Working
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.executor import Executor
from perdure.execution.hands import WorkerOptions
from perdure.execution.kinds.resolve import Resolver
from perdure.services import events as event_service
from perdure.telemetry import Tracing
from tests.http.runs_app import PROJECT, Api
from tests.store.harness import WAIT_SECONDS

AGENTS = "/api/v1/agents"


@dataclass
class Agents:
    """An application, and the worker that serves the agents of a test."""

    api: Api
    worker: Working

    async def start(self, interaction: str, task: str | None = None, **body: object) -> str:
        """The id of a new run."""
        given = {} if task is None else {"data": {"task": task}}
        made = await self.api.json("POST", AGENTS, {"interaction": interaction, **given, **body})
        return str(made["id"])

    async def read(self, run_id: str) -> dict[str, Any]:
        """The run."""
        return dict(await self.api.json("GET", f"{AGENTS}/{run_id}"))

    async def signal(self, run_id: str, name: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a signal that is taken."""
        return dict(await self.api.json("POST", f"{AGENTS}/{run_id}/signal/{name}", payload))

    async def say(self, run_id: str, text: str, **more: object) -> None:
        """The user's next message."""
        await self.signal(run_id, "UserInput", {"message": text, **more})

    async def query(self, run_id: str, name: str) -> Any:
        """The answer to a query."""
        return await self.api.json("GET", f"{AGENTS}/{run_id}/query/{name}")

    async def events(self, run_id: str) -> list[dict[str, Any]]:
        """The public events of the run so far."""
        rows = event_service.rows(self.api.core, RunKey(PROJECT, RunId(run_id)))
        return [msgspec.json.decode(line) async for row in rows for line in row.lines()]

    async def customs(self, run_id: str, name: str) -> list[Any]:
        """The values of the run's CUSTOM events of a name."""
        return [event["value"] for event in await self.events(run_id) if event.get("name") == name]

    async def until(self, run_id: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The run in the canonical dialect, as soon as it is as wanted."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                run = dict(await self.api.json("GET", f"/runs/{run_id}"))
                if done(run):
                    return run
                await asyncio.sleep(0.01)

    async def waits(self, run_id: str, reason: str = "input") -> dict[str, Any]:
        """The run, as soon as it waits."""
        return await self.until(run_id, lambda run: run["status"] == "waiting" and run["waiting_reason"] == reason)

    async def ends(self, run_id: str) -> dict[str, Any]:
        """The run, as soon as it has ended."""
        return await self.until(run_id, lambda run: run["status"] in ("completed", "failed", "cancelled"))

    async def turns(self, run_id: str, count: int) -> None:
        """Return when so many turns have ended and the run waits for the user."""
        while True:
            await self.waits(run_id)
            if len(await self.customs(run_id, "perdure.turn.ended")) >= count:
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def agents_at_work(api: Api, app: App) -> AsyncIterator[Agents]:
    """A worker for `app` on the application's database."""
    engine = PostgresEngine(api.core, WorkerOptions(8, 10.0, 1.0))
    executor = Executor(api.core, Resolver(app), 0.01, Tracing())
    worker = await engine.work(frozenset(("agent", name) for name in app.agents), executor.execute)
    try:
        yield Agents(api, worker)
    finally:
        await worker.stop()
