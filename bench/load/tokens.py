"""One run that streams tokens as fast as it can: watched by a follower, or by nobody but a reader of its counters."""

from __future__ import annotations

import asyncio
from time import perf_counter

import msgspec

from bench.load.runs import create, create_body
from bench.load.scenario import Begin, Scenario
from bench.load.wire import Client, EventStream, LoadError, Target, connect, get, post

POLL_SECONDS = 0.02
FRAME_EVENTS = 4
"""Public events around the tokens: the starts and ends of the run and of its message."""


class TokensParams(msgspec.Struct, frozen=True):
    """`watched`: by an event stream; else the run is read now and then until it has ended."""

    target: Target
    project_id: str
    tokens: int
    warm_up: int
    watched: bool


class TokensResult(msgspec.Struct, frozen=True):
    """Events that became durable, and the seconds from the request that creates the run until all were seen."""

    events: int
    seconds: float


async def _measure(params: TokensParams, begin: Begin) -> TokensResult:
    one_run = _watch if params.watched else _poll
    client = await connect(params.target, Client)
    await one_run(params, client, params.warm_up)
    begin()
    return await asyncio.wait_for(one_run(params, client, params.tokens), 120)


async def _start(params: TokensParams, client: Client, tokens: int) -> str:
    body = create_body(params.project_id, "tokens", {"tokens": tokens})
    return await create(client, post(params.target, "/runs", body))


async def _watch(params: TokensParams, client: Client, tokens: int) -> TokensResult:
    stream = await connect(params.target, EventStream)
    began = perf_counter()
    run_id = await _start(params, client, tokens)
    await stream.start(get(params.target, f"/runs/{run_id}/stream"))
    seconds = perf_counter() - began
    stream.transport.close()
    if stream.count != tokens + FRAME_EVENTS or b"RUN_FINISHED" not in stream.last_frames:
        raise LoadError(f"{stream.count} events of {tokens} tokens came, up to id {stream.last_id}.")
    return TokensResult(stream.count, seconds)


async def _poll(params: TokensParams, client: Client, tokens: int) -> TokensResult:
    began = perf_counter()
    run_id = await _start(params, client, tokens)
    request = get(params.target, f"/runs/{run_id}")
    while (status := (await client.ask(request)).read(200)["status"]) != "completed":
        if status not in ("pending", "running"):
            raise LoadError(f"Run {run_id} is {status}.")
        await asyncio.sleep(POLL_SECONDS)
    return TokensResult(tokens + FRAME_EVENTS, perf_counter() - began)


TOKENS = Scenario("tokens", TokensParams, TokensResult, _measure)
