"""Row `tokens`: one run that streams as fast as its agent can yield, all of it durable before anybody sees it."""

from __future__ import annotations

from bench.generator import Cost
from bench.load.tokens import TOKENS, TokensParams
from bench.options import RowName
from bench.report import Row, figure
from bench.rows.base import Measured, mean
from bench.spread import Spread

TARGET_PER_SECOND = 5_000.0


def measure(measured: Measured) -> list[Row]:
    """The row: the rate at an SSE follower; and beside it the rate when nobody watches."""
    watched = [_once(measured, watched=True) for _ in range(measured.sizes.rounds)]
    alone = Spread.of([_once(measured, watched=False)[0] for _ in range(measured.sizes.rounds)])
    rate = Spread.of([rate for rate, _ in watched])
    return [
        Row(
            RowName.TOKENS,
            "token stream of one run, at an SSE follower",
            rate,
            "events/s",
            target=f"≥ {TARGET_PER_SECOND:,.0f} events/s",
            met=rate.median >= TARGET_PER_SECOND,
            reference=f"{figure(alone.median)} events/s with nobody watching",
            details=f"{measured.sizes.tokens:,} tokens of a function agent",
            cost=mean([cost for _, cost in watched]),
        )
    ]


def _once(measured: Measured, *, watched: bool) -> tuple[float, Cost]:
    server, sizes = measured.server, measured.sizes
    params = TokensParams(server.target, server.project_id, sizes.tokens, max(100, sizes.tokens // 10), watched)
    result, cost = measured.drive(TOKENS, params)
    return result.events / result.seconds, cost
