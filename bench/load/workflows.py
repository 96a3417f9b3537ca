"""Runs of workflows: their steps one after the other, or asleep."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter

import msgspec

from bench.load.runs import create
from bench.load.scenario import Begin, Scenario
from bench.load.wire import Client, LoadError, Target, connect, get, post

POLL_SECONDS = 0.02


class StepsParams(msgspec.Struct, frozen=True):
    """`runs` workflows at once, each of `steps` steps; one of them with `warm_up` steps goes first."""

    target: Target
    project_id: str
    runs: int
    steps: int
    warm_up: int


class StepsResult(msgspec.Struct, frozen=True):
    """Seconds from the first request until the last workflow has ended."""

    seconds: float


class SleepersParams(msgspec.Struct, frozen=True):
    """`runs` workflows that sleep until `until` (`time.time()`), created over so many connections."""

    target: Target
    project_id: str
    runs: int
    until: float
    connections: int


class SleepersResult(msgspec.Struct, frozen=True):
    """Seconds that creating them took."""

    seconds: float


def _request(target: Target, project_id: str, name: str, given: dict[str, float]) -> bytes:
    body = {
        "kind": "workflow",
        "owner": {"kind": "project", "id": project_id},
        "request": {"workflow_id": name, "target": f"workflow:{name}", "input": given},
    }
    return post(target, "/runs", json.dumps(body, separators=(",", ":")).encode())


async def _step(params: StepsParams, steps: int) -> None:
    """One workflow, from its request to its end."""
    client = await connect(params.target, Client)
    run_id = await create(client, _request(params.target, params.project_id, "steps", {"steps": steps}))
    request = get(params.target, f"/runs/{run_id}")
    while (status := (await client.ask(request)).read(200)["status"]) != "completed":
        if status not in ("pending", "running"):
            raise LoadError(f"Run {run_id} is {status}.")
        await asyncio.sleep(POLL_SECONDS)


async def _steps(params: StepsParams, begin: Begin) -> StepsResult:
    await _step(params, params.warm_up)
    begin()
    began = perf_counter()
    async with asyncio.timeout(180), asyncio.TaskGroup() as group:
        for _ in range(params.runs):
            group.create_task(_step(params, params.steps))
    return StepsResult(perf_counter() - began)


async def _sleepers(params: SleepersParams, begin: Begin) -> SleepersResult:
    request = _request(params.target, params.project_id, "sleeper", {"until": params.until})
    left = iter(range(params.runs))

    async def work() -> None:
        client = await connect(params.target, Client)
        for _ in left:
            await create(client, request)

    begin()
    began = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(params.connections):
            group.create_task(work())
    return SleepersResult(perf_counter() - began)


STEPS = Scenario("steps", StepsParams, StepsResult, _steps)
SLEEPERS = Scenario("sleepers", SleepersParams, SleepersResult, _sleepers)
