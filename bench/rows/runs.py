"""Rows `runs` and `first-event`: runs of an agent that does nothing."""

from __future__ import annotations

from bench.generator import Cost
from bench.load.runs import RUNS, RunsParams, RunsResult
from bench.options import RowName
from bench.report import Row, figure
from bench.rows.base import Measured, mean
from bench.spread import Spread, percentile

AEGRA_RUNS, AEGRA_FIRST_EVENT_MS = 49.0, 29.0
LANGGRAPH_RUNS, LANGGRAPH_FIRST_EVENT_MS = 16.0, 1_000.0
"""Aegra 0.11 and `langgraph dev` 0.16 on another 2-core machine of this class: what the targets were set against."""

TARGET_OF_AEGRA, TARGET_OF_LANGGRAPH = 10.0, 30.0
TARGET_P50_MS, TARGET_P99_MS = 10.0, 50.0


def measure(measured: Measured, wanted: frozenset[RowName]) -> list[Row]:
    """The rows that are wanted."""
    rows = []
    if RowName.RUNS in wanted:
        rows.append(_runs(measured))
    if RowName.FIRST_EVENT in wanted:
        rows.append(_first_event(measured))
    return rows


def _rounds(measured: Measured, runs: int, at_once: int) -> tuple[list[RunsResult], Cost]:
    server = measured.server
    warm_up = max(at_once, runs // 5)
    params = RunsParams(server.target, server.project_id, "noop", runs, at_once, warm_up)
    done = [measured.drive(RUNS, params) for _ in range(measured.sizes.rounds)]
    return [result for result, _ in done], mean([cost for _, cost in done])


def _runs(measured: Measured) -> Row:
    sizes = measured.sizes
    results, cost = _rounds(measured, sizes.runs, sizes.at_once)
    rate = Spread.of([len(result.end) / result.seconds for result in results])
    whole = Spread.of([percentile(result.end, 50) for result in results])
    return Row(
        RowName.RUNS,
        f"no-op agent runs, create → completed, {sizes.at_once} at once",
        rate,
        "runs/s",
        target=f"≥ {TARGET_OF_AEGRA:.0f} x Aegra, ≥ {TARGET_OF_LANGGRAPH:.0f} x langgraph dev",
        met=rate.median >= max(TARGET_OF_AEGRA * AEGRA_RUNS, TARGET_OF_LANGGRAPH * LANGGRAPH_RUNS),
        reference=(
            f"{figure(rate.median / AEGRA_RUNS)} x Aegra ({AEGRA_RUNS:.0f}/s), "
            f"{figure(rate.median / LANGGRAPH_RUNS)} x langgraph dev ({LANGGRAPH_RUNS:.0f}/s)"
        ),
        details=f"a run takes {figure(whole.median)} ms (p50)",
        cost=cost,
    )


def _first_event(measured: Measured) -> Row:
    results, cost = _rounds(measured, measured.sizes.first_events, 1)
    p50 = Spread.of([percentile(result.first_event, 50) for result in results])
    p99 = Spread.of([percentile(result.first_event, 99) for result in results])
    return Row(
        RowName.FIRST_EVENT,
        "create → first event at an SSE client",
        p50,
        "ms p50",
        target=f"p50 < {TARGET_P50_MS:.0f} ms, p99 < {TARGET_P99_MS:.0f} ms",
        met=p50.median < TARGET_P50_MS and p99.median < TARGET_P99_MS,
        reference=(
            f"{figure(p99.median)} ms p99; Aegra {AEGRA_FIRST_EVENT_MS:.0f} ms, "
            f"langgraph dev {LANGGRAPH_FIRST_EVENT_MS:,.0f} ms"
        ),
        details=f"p99 {figure(p99.low)} … {figure(p99.high)} ms; one run at a time",
        cost=cost,
    )
