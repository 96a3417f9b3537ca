"""Read a finished run from its beginning, over its event stream."""

from __future__ import annotations

import asyncio
from time import perf_counter

import msgspec

from bench.load.scenario import Begin, Scenario
from bench.load.wire import EventStream, LoadError, Target, connect, get


class ReplayParams(msgspec.Struct, frozen=True):
    """`events`: how many public events the run has."""

    target: Target
    run_id: str
    events: int
    rounds: int
    replays: int
    warm_up: int


class ReplayResult(msgspec.Struct, frozen=True):
    """Milliseconds from the request to the end of the stream, round by round."""

    rounds: list[list[float]]


async def _measure(params: ReplayParams, begin: Begin) -> ReplayResult:
    stream = await connect(params.target, EventStream)
    request = get(params.target, f"/runs/{params.run_id}/stream")

    async def once() -> float:
        began = perf_counter()
        await asyncio.wait_for(stream.start(request), 60)
        seconds = perf_counter() - began
        if stream.count != params.events:
            raise LoadError(f"{stream.count} events came, of {params.events}.")
        return seconds * 1000

    for _ in range(params.warm_up):
        await once()
    begin()
    return ReplayResult([[await once() for _ in range(params.replays)] for _ in range(params.rounds)])


REPLAY = Scenario("replay", ReplayParams, ReplayResult, _measure)
