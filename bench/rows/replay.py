"""Row `replay`: a finished run, read from its beginning over SSE."""

from __future__ import annotations

from bench.generator import Cost
from bench.load.append import event
from bench.load.replay import REPLAY, ReplayParams
from bench.options import RowName
from bench.report import Row, figure
from bench.rows.base import Measured
from bench.spread import Spread, percentile

TARGET_MS = 100.0
BATCH = 100
SMALL_BATCH = 5


def measure(measured: Measured) -> list[Row]:
    """The row: a log that came in large batches; and beside it one that came in small ones."""
    sizes = measured.sizes
    large, cost = _replayed(measured, "replay-large", BATCH)
    small, _ = _replayed(measured, "replay-small", SMALL_BATCH)
    return [
        Row(
            RowName.REPLAY,
            f"replay of a {sizes.replay_events:,}-event run over SSE",
            large,
            "ms",
            target=f"< {TARGET_MS:.0f} ms",
            met=large.median < TARGET_MS,
            reference=f"{figure(small.median)} ms when appended by {SMALL_BATCH}",
            details=f"appended by {BATCH}",
            cost=cost,
        )
    ]


def _replayed(measured: Measured, public_id: str, batch: int) -> tuple[Spread, Cost]:
    sizes = measured.sizes
    log = measured.caller_run(public_id)
    path = f"/conversations/{log.conversation_id}/runs/{log.run_id}/events"
    for first in range(0, sizes.replay_events, batch):
        last = min(first + batch, sizes.replay_events)
        measured.server.ask("POST", path, {"events": [event(number) for number in range(first, last)]})
    measured.complete(log.run_id)
    params = ReplayParams(
        measured.server.target, log.run_id, sizes.replay_events + 1, sizes.rounds, sizes.replays, warm_up=2
    )
    result, cost = measured.drive(REPLAY, params)
    return Spread.of([percentile(times, 50) for times in result.rounds]), cost
