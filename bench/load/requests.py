"""The same few GET requests in turn, one at a time, each timed."""

from __future__ import annotations

from time import perf_counter

import msgspec

from bench.load.scenario import Begin, Scenario
from bench.load.wire import Client, Target, connect, get


class RequestsParams(msgspec.Struct, frozen=True):
    """`paths` are asked for in turn, `requests` in a round."""

    target: Target
    paths: list[str]
    rounds: int
    requests: int
    warm_up: int


class RequestsResult(msgspec.Struct, frozen=True):
    """Milliseconds of each request, round by round."""

    rounds: list[list[float]]


async def _measure(params: RequestsParams, begin: Begin) -> RequestsResult:
    client = await connect(params.target, Client)
    requests = [get(params.target, path) for path in params.paths]

    async def ask(count: int) -> list[float]:
        times = []
        for number in range(count):
            began = perf_counter()
            answer = await client.ask(requests[number % len(requests)])
            times.append((perf_counter() - began) * 1000)
            answer.read(200)
        return times

    await ask(params.warm_up)
    begin()
    return RequestsResult([await ask(params.requests) for _ in range(params.rounds)])


REQUESTS = Scenario("requests", RequestsParams, RequestsResult, _measure)
