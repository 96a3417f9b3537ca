"""Rows `append` and `batch`: events appended over HTTP, beside what pgbench inserts."""

from __future__ import annotations

from dataclasses import dataclass

from bench import reference
from bench.generator import Cost
from bench.load.append import APPEND, AppendParams, AppendResult, Log
from bench.options import RowName
from bench.processes import BenchError
from bench.report import Row, figure
from bench.rows.base import Measured, mean
from bench.spread import Spread

TARGET_OF_PGBENCH = 0.4
TARGET_OF_SINGLE = 8.0


@dataclass(slots=True)
class _Rounds:
    """What rounds of the same load found."""

    results: list[AppendResult]
    costs: list[Cost]

    def per_second(self) -> list[float]:
        """Events of each second, round by round."""
        return [result.events / result.seconds for result in self.results]

    def latency(self) -> str:
        """How long an append took, in words."""
        p50 = Spread.of([result.p50 for result in self.results])
        p99 = Spread.of([result.p99 for result in self.results])
        return f"an append takes {figure(p50.median)} ms (p50), {figure(p99.median)} ms (p99)"


def measure(measured: Measured, wanted: frozenset[RowName]) -> list[Row]:
    """Both rows: the second stands beside the first, so the first is measured for it too."""
    single = _Rounds([], [])
    batches = _Rounds([], [])
    pgbench: list[float] = []
    sizes = measured.sizes
    logs = [measured.caller_run(f"append-{number}") for number in range(sizes.connections)]
    if RowName.APPEND in wanted:
        _prepare_pgbench(measured)
    for _ in range(sizes.rounds):
        if RowName.APPEND in wanted:
            pgbench.append(_pgbench(measured, sizes.seconds))
        logs = _round(measured, logs, 1, single)
        if RowName.BATCH in wanted:
            logs = _round(measured, logs, sizes.batch, batches)
    _check(measured, logs)
    rows = [_append_row(single, pgbench, sizes.connections)] if RowName.APPEND in wanted else []
    return rows + ([_batch_row(batches, single, sizes.batch)] if RowName.BATCH in wanted else [])


def _prepare_pgbench(measured: Measured) -> None:
    for client in range(measured.sizes.connections):
        measured.caller_run(reference.run_id(client))
    _pgbench(measured, measured.sizes.warm_up)


def _pgbench(measured: Measured, seconds: float) -> float:
    server = measured.server
    return reference.appends_per_second(
        server.place, server.project_id, clients=measured.sizes.connections, seconds=seconds
    )


def _round(measured: Measured, logs: list[Log], batch: int, rounds: _Rounds) -> list[Log]:
    """One round; returns where the logs stand after it."""
    sizes = measured.sizes
    params = AppendParams(measured.server.target, logs, batch, sizes.warm_up, sizes.seconds)
    result, cost = measured.drive(APPEND, params)
    rounds.results.append(result)
    rounds.costs.append(cost)
    return [
        Log(log.conversation_id, log.run_id, sequence) for log, sequence in zip(logs, result.sequences, strict=True)
    ]


def _check(measured: Measured, logs: list[Log]) -> None:
    """Is everything there that was answered?"""
    for log in logs:
        run = measured.server.ask("GET", f"/conversations/{log.conversation_id}/runs/{log.run_id}")
        if run["latest_external_event_sequence"] != log.sequence:
            raise BenchError(f"{log.run_id} has {run['latest_external_event_sequence']} events, not {log.sequence}.")


def _append_row(single: _Rounds, pgbench: list[float], connections: int) -> Row:
    rate, inserts = Spread.of(single.per_second()), Spread.of(pgbench)
    ratio = Spread.of([mine / theirs for mine, theirs in zip(single.per_second(), pgbench, strict=True)])
    return Row(
        RowName.APPEND,
        f"single-event appends over HTTP, {connections} connections",
        ratio,
        "x pgbench",
        target=f"≥ {TARGET_OF_PGBENCH} x pgbench",
        met=ratio.median >= TARGET_OF_PGBENCH,
        reference=f"{figure(rate.median)}/s of pgbench's {figure(inserts.median)}/s",
        details=single.latency(),
        cost=mean(single.costs),
    )


def _batch_row(batches: _Rounds, single: _Rounds, batch: int) -> Row:
    rate, alone = Spread.of(batches.per_second()), Spread.of(single.per_second())
    ratio = Spread.of([many / one for many, one in zip(batches.per_second(), single.per_second(), strict=True)])
    return Row(
        RowName.BATCH,
        f"events appended in batches of {batch}",
        ratio,
        "x single",
        target=f"≥ {TARGET_OF_SINGLE:.0f} x single",
        met=ratio.median >= TARGET_OF_SINGLE,
        reference=f"{figure(rate.median)} events/s, {figure(alone.median)} singly",
        details=batches.latency(),
        cost=mean(batches.costs),
    )
