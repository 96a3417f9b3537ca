"""How long a run waits for its executor: the agent says when its first line ran, on the clock of the same machine."""

from __future__ import annotations

import asyncio
import time

import msgspec

from bench.load.runs import create, create_body
from bench.load.scenario import Begin, Scenario
from bench.load.wire import Client, EventStream, LoadError, Target, connect, get, post


class DispatchParams(msgspec.Struct, frozen=True):
    """`runs` one after the other, after `warm_up` that do not count."""

    target: Target
    project_id: str
    runs: int
    warm_up: int


class DispatchResult(msgspec.Struct, frozen=True):
    """Of each run, the time (ms) from the request that creates it to the first line of its agent."""

    waited: list[float]


class _Payload(msgspec.Struct):
    type: str
    delta: str = ""


class _Event(msgspec.Struct):
    payload: _Payload


class _Page(msgspec.Struct):
    data: list[_Event]


async def _measure(params: DispatchParams, begin: Begin) -> DispatchResult:
    client = await connect(params.target, Client)
    stream = await connect(params.target, EventStream)
    request = post(params.target, "/runs", create_body(params.project_id, "stamp", {}))
    waited: list[float] = []
    for number in range(params.warm_up + params.runs):
        if number == params.warm_up:
            begin()
            waited.clear()
        began = time.time()
        run_id = await create(client, request)
        await asyncio.wait_for(stream.start(get(params.target, f"/runs/{run_id}/stream")), 60)
        page = msgspec.convert((await client.ask(get(params.target, f"/runs/{run_id}/events"))).read(200), _Page)
        stamps = [event.payload.delta for event in page.data if event.payload.type == "TEXT_MESSAGE_CONTENT"]
        if len(stamps) != 1:
            raise LoadError(f"Run {run_id} says {len(stamps)} times when it began.")
        waited.append((float(stamps[0]) - began) * 1000)
    return DispatchResult(waited)


DISPATCH = Scenario("dispatch", DispatchParams, DispatchResult, _measure)
