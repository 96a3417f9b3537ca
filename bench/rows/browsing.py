"""Row `browse`: the dashboard's list of runs, of which there are many."""

from __future__ import annotations

import sys

from bench.load.browser import missing
from bench.load.browsing import BROWSING, BrowsingParams
from bench.options import RowName
from bench.report import Row, figure
from bench.rows.base import Measured
from bench.rows.listing import fill
from bench.spread import Spread

TARGET_MS = 1_000.0
SMOOTH_MS = 100.0
"""The longest that a page may be busy at a stretch while somebody scrolls: more is felt."""


def measure(measured: Measured) -> list[Row]:
    """The row, when it was asked for and there is a browser."""
    sizes = measured.sizes
    if not sizes.list_runs:
        return []
    lacks = missing()
    if lacks is not None:
        print(f"Row {RowName.BROWSE} is left out: {lacks}.", file=sys.stderr)
        return []
    fill(measured)
    # fill.sql gives each thousandth run the same word.
    newest = sizes.list_runs - (sizes.list_runs - 2) % 1000
    params = BrowsingParams(
        measured.server.target,
        scroll=min(sizes.scroll_rows, sizes.list_runs),
        word="seldom002",
        found=f"listed-{newest}",
        rounds=sizes.rounds,
        warm_up=2,
    )
    result, cost = measured.drive(BROWSING, params)
    opened, longest = Spread.of(result.opened), Spread.of(result.longest)
    filtered, searched = Spread.of(result.filtered), Spread.of(result.searched)
    return [
        Row(
            RowName.BROWSE,
            f"the dashboard's list of {sizes.list_runs:,} runs opens",
            opened,
            "ms",
            target=f"< {TARGET_MS:,.0f} ms; scrolling: no task of {SMOOTH_MS:.0f} ms",
            met=opened.median < TARGET_MS and longest.median < SMOOTH_MS,
            reference=f"scrolling {params.scroll:,} rows: longest task {figure(longest.median)} ms",
            details=f"a filter after {figure(filtered.median)} ms, a search after {figure(searched.median)} ms",
            cost=cost,
        )
    ]
