"""Row `sleepers`: workflows that sleep hold nothing, and all of them wake at one moment."""

from __future__ import annotations

import asyncio
import time

import asyncpg

from bench.generator import used
from bench.load.workflows import SLEEPERS, SleepersParams
from bench.options import RowName
from bench.processes import BenchError, wait_until
from bench.report import Row, figure
from bench.rows.base import Measured
from bench.spread import Spread

CREATED_PER_SECOND = 60.0
"""Runs that are created and fall asleep in a second at the least, on a machine of this class."""
LIMIT_SECONDS = 600.0


def measure(measured: Measured) -> list[Row]:
    """The row: what server and database use while all sleep, and while nothing is there; and how long waking takes."""
    server, sizes = measured.server, measured.sizes
    empty = _usage(measured, sizes.seconds)
    until = time.time() + sizes.sleepers / CREATED_PER_SECOND + sizes.seconds + 5
    params = SleepersParams(server.target, server.project_id, sizes.sleepers, until, sizes.at_once)
    made, _ = measured.drive(SLEEPERS, params)
    _wait(measured, "waiting")
    asleep = _usage(measured, sizes.seconds)
    if time.time() >= until:
        raise BenchError(f"{sizes.sleepers} runs were not asleep within {figure(until - time.time())} s.")
    _wait(measured, "completed")
    woke = time.time() - until
    return [
        Row(
            RowName.SLEEPERS,
            f"{sizes.sleepers:,} sleeping workflows: processor time of server and database",
            Spread.of([asleep * 100]),
            "% of a core",
            reference=f"{figure(empty * 100)} % without them",
            details=(
                f"all woke at one moment, and had ended {figure(woke)} s later ({figure(sizes.sleepers / woke)}/s); "
                f"created in {figure(made.seconds)} s"
            ),
        )
    ]


def _usage(measured: Measured, seconds: float) -> float:
    """The share of one core that server and database use while they are left alone."""
    before, began = sum(used(measured.server)), time.monotonic()
    time.sleep(seconds)
    return (sum(used(measured.server)) - before) / (time.monotonic() - began)


def _wait(measured: Measured, status: str) -> None:
    """Wait until all sleepers have a status. Raises BenchError."""
    sizes = measured.sizes
    for _ in wait_until(time.monotonic() + LIMIT_SECONDS, 0.1):
        measured.server.process.check()
        if asyncio.run(_count(measured.server.place.postgres.dsn, status)) == sizes.sleepers:
            return
    raise BenchError(f"Not all of {sizes.sleepers} sleepers are {status}.")


async def _count(dsn: str, status: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchval(
            "SELECT count(*) FROM runs WHERE target = 'workflow:sleeper' AND status = $1", status
        )
    finally:
        await connection.close()
    return int(found)
