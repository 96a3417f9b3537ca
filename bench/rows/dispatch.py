"""Row `dispatch`: from the request that creates a run to the first line of its agent, on each engine."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.generator import Cost, drive, nobody
from bench.load.dispatch import DISPATCH, DispatchParams
from bench.options import RowName, Sizes
from bench.processes import BenchError, Process, wait_until
from bench.report import Row, figure
from bench.rows.base import mean
from bench.server import AGENTS, HOST, READY_SECONDS, Place, free_port, serving
from bench.spread import Spread, percentile


def measure(place: Place, sizes: Sizes) -> list[Row]:
    """A row for each engine; the second stands beside the first."""
    own, own_p99, cost = _rounds(place, sizes, {})
    row = Row(
        RowName.DISPATCH,
        "create → first line of the agent, engine postgres",
        own,
        "ms p50",
        reference=f"{figure(own_p99.median)} ms p99",
        details=f"p99 {figure(own_p99.low)} … {figure(own_p99.high)} ms; one run at a time",
        cost=cost,
    )
    with _temporal(place) as address:
        settings = {"PERDURE_ENGINE": "temporal", "PERDURE_TEMPORAL_ADDRESS": address}
        other, other_p99, cost = _rounds(place, sizes, settings)
    beside = Row(
        RowName.DISPATCH,
        "create → first line of the agent, engine temporal",
        other,
        "ms p50",
        reference=f"{figure(other_p99.median)} ms p99; {figure(other.median / own.median)} x postgres",
        details=f"p99 {figure(other_p99.low)} … {figure(other_p99.high)} ms; Temporal's development server",
        cost=cost,
    )
    return [row, beside]


def _rounds(place: Place, sizes: Sizes, settings: dict[str, str]) -> tuple[Spread, Spread, Cost]:
    with serving(place, "dev", str(AGENTS), settings=settings) as server:
        params = DispatchParams(server.target, server.project_id, sizes.dispatches, max(3, sizes.dispatches // 10))
        done = [drive(server, DISPATCH, params, nobody()) for _ in range(sizes.rounds)]
    p50, p99 = (Spread.of([percentile(result.waited, percent) for result, _ in done]) for percent in (50, 99))
    return p50, p99, mean([cost for _, cost in done])


@contextmanager
def _temporal(place: Place) -> Iterator[str]:
    """Temporal's development server, with its data beside ours; its address."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("temporal")),
        *("server", "start-dev", "--headless", "--ip", HOST, "--port", str(port), "--log-level", "error"),
        *("--db-filename", str(place.data_dir / "temporal.db")),
    ]
    with Process(command, {}, place.logs) as process:
        for _ in wait_until(time.monotonic() + READY_SECONDS):
            process.check()
            try:
                socket.create_connection((HOST, port), 1).close()
            except OSError:
                continue
            yield f"{HOST}:{port}"
            return
    raise BenchError("The Temporal server does not start.")
