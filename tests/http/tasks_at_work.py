"""The application with a worker for the tasks of `task_examples.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from perdure.blobs.blobs import Blobs
from perdure.blobs.place import BlobPlace
from perdure.execution.engines.base import Working
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.executor import Executor
from perdure.execution.hands import WorkerOptions
from perdure.execution.inputs import published
from perdure.execution.kinds.resolve import Resolver
from perdure.execution.loading import load_app
from perdure.execution.maintenance import Maintenance
from perdure.execution.registry import App
from perdure.execution.task_site import TaskSite
from perdure.services import catalog
from perdure.settings import whole_environment
from perdure.telemetry import Tracing
from tests.http.runs_app import PROJECT, Api, api

EXAMPLES = Path(__file__).parent / "task_examples.py"


@dataclass
class Tasks:
    """A running application and its worker."""

    api: Api
    worker: Working

    async def start(
        self, target: str, *, kind: str = "task", query: Mapping[str, str] | None = None, **request: Any
    ) -> str:
        """POST /runs; the run's id."""
        owner = {"kind": "project", "id": str(PROJECT)}
        body = {"kind": kind, "owner": owner, "request": {"target": f"{kind}:{target}", **request}}
        made = await self.api.json("POST", "/runs", body, params=query)
        return str(made["run"]["run_id"])

    async def run(self, run_id: str) -> dict[str, Any]:
        """The canonical run."""
        read: dict[str, Any] = await self.api.json("GET", f"/runs/{run_id}")
        return read

    async def until(self, run_id: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
        """The run, as soon as something is true of it."""
        async with asyncio.timeout(seconds):
            while True:
                run = await self.run(run_id)
                if holds(run):
                    return run
                await asyncio.sleep(0.02)

    async def ended(self, run_id: str) -> dict[str, Any]:
        """The run, as soon as it has ended."""
        return await self.until(run_id, lambda run: run["status"] in ("completed", "failed", "cancelled"))

    async def did(self, target: str, **request: Any) -> dict[str, Any]:
        """A run from its start to its end."""
        return await self.ended(await self.start(target, **request))

    async def events(self, run_id: str) -> list[dict[str, Any]]:
        """The payloads of the run's public events."""
        page = await self.api.json("GET", f"/runs/{run_id}/events", params={"limit": 500})
        return [one["payload"] for one in page["data"]]

    async def values(self, run_id: str, name: str) -> list[Any]:
        """The values of its CUSTOM events of a name."""
        return [event["value"] for event in await self.events(run_id) if event.get("name") == name]


@asynccontextmanager
async def tasks_at_work(dsn: str, folder: Path, examples: Path = EXAMPLES, **environment: str) -> AsyncIterator[Tasks]:
    """A server with a worker for the App of a file; the worker's environment has some more variables."""
    site = TaskSite(str(examples), {**whole_environment(), **environment})
    async with app_at_work(dsn, folder, load_app(str(examples)), site) as running:
        yield running


@asynccontextmanager
async def app_at_work(dsn: str, folder: Path, app: App, site: TaskSite | None = None) -> AsyncIterator[Tasks]:
    """A server with a worker for an App."""
    blobs = Blobs(BlobPlace(url=(folder / "blobs").as_uri()))
    blobs.open()
    async with api(dsn, blobs=blobs) as running:
        maintenance = Maintenance(running.core, timedelta(seconds=10))
        await maintenance.start()
        executor = Executor(running.core, Resolver(app, site), 0.01, Tracing())
        await catalog.publish(running.core, published(app))
        worker = await PostgresEngine(running.core, WorkerOptions(8, 10.0, 1.0)).work(app.serves, executor.execute)
        try:
            yield Tasks(running, worker)
        finally:
            await worker.stop()
            await maintenance.stop()
