"""Run a load generator against a server, and watch what it costs whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from bench import usage
from bench.load.scenario import MEASURING, Envelope, Scenario
from bench.processes import BenchError, conversation
from bench.server import Server

P = TypeVar("P", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)

LIMIT_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time during a measurement, as a share of one core (1.0: a whole core)."""

    server: float
    database: float
    load: float


@dataclass(slots=True)
class Watch:
    """Called when measuring begins and when it ends; a profile hangs itself in here."""

    began: Callable[[], None]
    ended: Callable[[], None]


def nobody() -> Watch:
    """A watch that does nothing."""
    return Watch(lambda: None, lambda: None)


def drive(server: Server, scenario: Scenario[P, R], params: P, watch: Watch) -> tuple[R, Cost]:
    """Put a server under a scenario's load. Raises BenchError."""
    spent: list[tuple[float, float]] = []
    last = ""
    with conversation("bench.load", scenario.name, msgspec.json.encode(params), limit=LIMIT_SECONDS) as lines:
        for line in lines:
            if line.strip() == MEASURING:
                watch.began()
                spent.append(used(server))
            else:
                last = line
                spent.append(used(server))
    if len(spent) != 2:
        raise BenchError(f"The load generator {scenario.name} said nothing.")
    envelope = msgspec.json.decode(last, type=Envelope)
    watch.ended()
    before, after = spent
    cost = Cost(
        server=(after[0] - before[0]) / envelope.wall,
        database=(after[1] - before[1]) / envelope.wall,
        load=envelope.cpu / envelope.wall,
    )
    return msgspec.json.decode(envelope.result, type=scenario.result), cost


def used(server: Server) -> tuple[float, float]:
    """Processor seconds so far: of the server's process, and of PostgreSQL's."""
    postmaster = server.place.postgres.pid
    database = 0.0 if postmaster is None else usage.seconds_of_children(postmaster)
    return usage.seconds(server.process.pid), database
