"""Row `list`: pages and filters over many runs. The runs are put into the database by SQL, past the server."""

from __future__ import annotations

import asyncio

import asyncpg

from bench.load.requests import REQUESTS, RequestsParams
from bench.options import BENCH, RowName
from bench.report import Row, figure
from bench.rows.base import Measured
from bench.spread import Spread, percentile

TARGET_MS = 20.0
FILL = BENCH / "fill.sql"
FILL_SECONDS = 1_800.0
PATHS = (
    "/runs",
    "/runs?status=failed",
    "/runs?status=running&limit=20",
    "/runs?agent_id=agent-7",
    "/runs?kind=agent&status=completed",
    "/runs?tag=tag-3",
    "/runs?since=2026-01-01T00:00:00Z&limit=200",
)


def measure(measured: Measured) -> list[Row]:
    """The row, when it was asked for."""
    server, sizes = measured.server, measured.sizes
    if not sizes.list_runs:
        return []
    fill(measured)
    page = server.ask("GET", "/runs")
    paths = [*PATHS, f"/runs?cursor={page['page_info']['next']}"]
    params = RequestsParams(server.target, paths, sizes.rounds, sizes.list_requests, warm_up=3 * len(paths))
    result, cost = measured.drive(REQUESTS, params)
    p99 = Spread.of([percentile(times, 99) for times in result.rounds])
    p50 = Spread.of([percentile(times, 50) for times in result.rounds])
    return [
        Row(
            RowName.LIST,
            f"list and filter with {sizes.list_runs:,} runs",
            p99,
            "ms p99",
            target=f"p99 < {TARGET_MS:.0f} ms",
            met=p99.median < TARGET_MS,
            reference=f"{figure(p50.median)} ms p50",
            details=f"{len(paths)} requests in turn, one at a time",
            cost=cost,
        )
    ]


def fill(measured: Measured) -> None:
    """Put the runs into the database, unless another row did."""
    server = measured.server
    asyncio.run(_fill(server.place.postgres.dsn, server.project_id, measured.sizes.list_runs))


async def _fill(dsn: str, project_id: str, runs: int) -> None:
    connection = await asyncpg.connect(dsn, command_timeout=FILL_SECONDS)
    try:
        if await connection.fetchval("SELECT EXISTS (SELECT FROM runs WHERE run_id = 'listed-1')"):
            return
        for statement in FILL.read_text().split(";\n"):
            if statement.strip():
                await connection.execute(statement.replace(":project", f"'{project_id}'").replace(":runs", str(runs)))
    finally:
        await connection.close()
