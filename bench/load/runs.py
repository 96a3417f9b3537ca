"""Runs from their creation to their end, as a user sees them: POST /runs, then the event stream until it ends."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter

import msgspec

from bench.load.scenario import Begin, Scenario
from bench.load.wire import Client, EventStream, LoadError, Target, connect, get, post

EVENTS = 2
"""The public events of a run that does nothing: its start and its end."""


class RunsParams(msgspec.Struct, frozen=True):
    """`at_once`: runs that are under way at the same time; `warm_up`: runs before it counts."""

    target: Target
    project_id: str
    agent: str
    runs: int
    at_once: int
    warm_up: int


class RunsResult(msgspec.Struct, frozen=True):
    """How long all took (s); and of each run (ms) the time from its POST to its first event and to its end."""

    seconds: float
    first_event: list[float]
    end: list[float]


def create_body(project_id: str, agent: str, forwarded: dict[str, int]) -> bytes:
    """The body that creates a run of a registered agent."""
    given = {
        "messages": [{"role": "user", "content": "go"}],
        "context": {"project_id": None, "branch_id": None},
        "forwarded_props": forwarded,
    }
    body = {
        "kind": "agent",
        "owner": {"kind": "project", "id": project_id},
        "request": {"mode": "agent", "agent_id": agent, "input": given},
    }
    return json.dumps(body, separators=(",", ":")).encode()


async def create(client: Client, request: bytes) -> str:
    """Create a run; returns its id."""
    run = (await client.ask(request)).read(202)["run"]
    if not isinstance(run, dict) or not isinstance(run["run_id"], str):
        raise LoadError("The answer to POST /runs names no run.")
    return run["run_id"]


class User:
    """Somebody who starts one run after the other and watches each, over two connections."""

    def __init__(self, target: Target, client: Client) -> None:
        self._target = target
        self._client = client
        self._stream: EventStream | None = None
        self._first = 0.0

    @classmethod
    async def arrive(cls, target: Target) -> User:
        """Connect."""
        user = cls(target, await connect(target, Client))
        user._stream = await connect(target, lambda: EventStream(user._saw))
        return user

    def _saw(self, last_id: int, count: int) -> None:
        if not self._first:
            self._first = perf_counter()

    async def run_once(self, request: bytes) -> tuple[float, float]:
        """Start a run and watch it to its end; returns the ms until its first event and until its end."""
        if self._stream is None:
            raise LoadError("not connected")
        self._first = 0.0
        began = perf_counter()
        run_id = await create(self._client, request)
        await self._stream.start(get(self._target, f"/runs/{run_id}/stream"))
        ended = perf_counter()
        if b"RUN_FINISHED" not in self._stream.last_frames or self._stream.count != EVENTS:
            raise LoadError(f"Run {run_id} did not end well: {self._stream.last_frames[:300]!r}")
        return (self._first - began) * 1000, (ended - began) * 1000


async def _measure(params: RunsParams, begin: Begin) -> RunsResult:
    request = post(params.target, "/runs", create_body(params.project_id, params.agent, {}))
    users = [await User.arrive(params.target) for _ in range(params.at_once)]
    await _run_all(users, request, params.warm_up)
    begin()
    began = perf_counter()
    times = await _run_all(users, request, params.runs)
    seconds = perf_counter() - began
    return RunsResult(seconds, [first for first, _ in times], [end for _, end in times])


async def _run_all(users: list[User], request: bytes, count: int) -> list[tuple[float, float]]:
    left = iter(range(count))
    times: list[tuple[float, float]] = []

    async def work(user: User) -> None:
        for _ in left:
            times.append(await asyncio.wait_for(user.run_once(request), 60))

    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(work(user))
    return times


RUNS = Scenario("runs", RunsParams, RunsResult, _measure)
