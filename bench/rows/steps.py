"""Row `steps`: recorded steps of workflows, beside what pgbench inserts."""

from __future__ import annotations

from bench import reference
from bench.generator import Cost
from bench.load.workflows import STEPS, StepsParams
from bench.options import RowName
from bench.report import Row, figure
from bench.rows.base import Measured, mean
from bench.spread import Spread


def measure(measured: Measured) -> list[Row]:
    """The row: steps a second of several workflows at once over pgbench's durable inserts; and of one alone."""
    sizes = measured.sizes
    for client in range(sizes.at_once):
        measured.caller_run(reference.run_id(client))
    several, alone, ratios = [], [], []
    for _ in range(sizes.rounds):
        inserts = reference.appends_per_second(
            measured.server.place, measured.server.project_id, clients=sizes.at_once, seconds=sizes.seconds
        )
        several.append(_once(measured, sizes.at_once))
        alone.append(_once(measured, 1))
        ratios.append(several[-1][0] / inserts)
    rate, one = Spread.of([rate for rate, _ in several]), Spread.of([rate for rate, _ in alone])
    return [
        Row(
            RowName.STEPS,
            f"workflow steps, {sizes.at_once} workflows at once",
            Spread.of(ratios),
            "x pgbench",
            reference=f"{figure(rate.median)} steps/s; {figure(one.median)} steps/s of one workflow",
            details=f"{sizes.steps:,} steps a workflow, each durable before the next begins",
            cost=mean([cost for _, cost in several]),
        )
    ]


def _once(measured: Measured, runs: int) -> tuple[float, Cost]:
    server, sizes = measured.server, measured.sizes
    params = StepsParams(server.target, server.project_id, runs, sizes.steps, max(10, sizes.steps // 10))
    result, cost = measured.drive(STEPS, params)
    return runs * sizes.steps / result.seconds, cost
