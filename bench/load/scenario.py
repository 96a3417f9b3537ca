"""How a load generator is asked and how it answers: JSON in, one line when it begins to measure, JSON out."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import uvloop

P = TypeVar("P", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)

MEASURING = "measuring"

Begin = Callable[[], None]
"""A scenario calls it once, when its warm-up is over."""


@dataclass(frozen=True, slots=True)
class Scenario(Generic[P, R]):
    """One sort of load: what it is given, what it finds out, and what it does."""

    name: str
    params: type[P]
    result: type[R]
    measure: Callable[[P, Begin], Awaitable[R]]


class Envelope(msgspec.Struct):
    """What comes out: the result, and what measuring it took of wall clock and of this process's processor time (s)."""

    result: msgspec.Raw
    wall: float
    cpu: float


def serve(scenario: Scenario[P, R]) -> None:
    """Run a scenario with the parameters on standard input, and print what it finds out."""
    params = msgspec.json.decode(sys.stdin.buffer.read(), type=scenario.params)
    began: list[tuple[float, float]] = []

    def begin() -> None:
        print(MEASURING, flush=True)
        began.append((time.perf_counter(), time.process_time()))

    async def run() -> R:
        return await scenario.measure(params, begin)

    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run())
    wall, cpu = began[0]
    envelope = Envelope(msgspec.Raw(msgspec.json.encode(result)), time.perf_counter() - wall, time.process_time() - cpu)
    print(msgspec.json.encode(envelope).decode(), flush=True)
