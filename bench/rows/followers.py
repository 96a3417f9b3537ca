"""Row `followers`: many SSE clients of one run on one server process."""

from __future__ import annotations

from bench.load.followers import FOLLOWERS, FollowersParams
from bench.options import RowName
from bench.processes import BenchError, allow_open_files
from bench.report import Row, figure
from bench.rows.base import Measured
from bench.spread import Spread, percentile

TARGET_MS = 250.0
SPARE_FILES = 200


def measure(measured: Measured) -> list[Row]:
    """The row: the time from sending an append until the last follower has its event."""
    server, sizes = measured.server, measured.sizes
    allowed = allow_open_files()
    if allowed < sizes.followers + SPARE_FILES:
        raise BenchError(f"This user may open {allowed} files: too few for {sizes.followers} followers (ulimit -Hn).")
    log = measured.caller_run("followers")
    params = FollowersParams(server.target, log, sizes.followers, sizes.rounds, sizes.fan_outs, warm_up=3)
    result, cost = measured.drive(FOLLOWERS, params)
    last = Spread.of([percentile(times, 50) for times in result.last])
    every = [time for times in result.last for time in times]
    answered = Spread.of([percentile(times, 50) for times in result.answered])
    first = Spread.of([percentile(times, 50) for times in result.first])
    return [
        Row(
            RowName.FOLLOWERS,
            f"{sizes.followers:,} followers on one process: an event reaches the last",
            last,
            "ms",
            target=f"within {TARGET_MS:.0f} ms",
            met=last.median < TARGET_MS,
            reference=f"p99 {figure(percentile(every, 99))} ms",
            details=(
                f"from sending the append; it is answered after {figure(answered.median)} ms, "
                f"and the first follower has it after {figure(first.median)} ms"
            ),
            cost=cost,
        )
    ]
