"""The table: on the screen, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench import usage
from bench.generator import Cost
from bench.options import Options, RowName
from bench.spread import Spread


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `value` is the median of the rounds with their spread, in `unit`; `reference` is what it stands beside, and `target`
    what it is meant to reach, both in words; `met` is None where there is no target.
    """

    name: RowName
    what: str
    value: Spread
    unit: str
    target: str = ""
    met: bool | None = None
    reference: str = ""
    details: str = ""
    cost: Cost | None = None


HEADINGS = ("what", "measured", "rounds", "target", "", "beside")


def figure(value: float) -> str:
    """A number with three digits that matter, or whole when it is large."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def table(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown(rows: Sequence[Row], machine: Mapping[str, str], options: Options, now: datetime) -> str:
    """The file of results."""
    parts = [
        "# Benchmark results",
        "",
        f"Written by `make bench` on {now.astimezone(UTC):%Y-%m-%d}. How it measures: [README](README.md).",
        "Client, server and database share the machine; every write is durable before it is answered.",
        "A figure is the median of the rounds; the column after it says how low and how high they went.",
        "",
        *([] if not options.quick else ["**A smoke run (`--quick`): these figures mean nothing.**", ""]),
        *_lines(HEADINGS, map(_cells, rows)),
        "",
        "## Machine",
        "",
        *_lines(("", ""), machine.items()),
        "",
        "## Details",
        "",
        "The last three columns: processor time of the server's process, of PostgreSQL, and of the load generator, as",
        "a share of one core.",
        "",
        *_lines(("what", "details", "server", "PostgreSQL", "load"), map(_detail_cells, rows)),
        "",
    ]
    return "\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {None: "", True: "met", False: "missed"}[row.met]
    spread = f"{figure(row.value.low)} … {figure(row.value.high)}"
    return row.what, f"{figure(row.value.median)} {row.unit}", spread, row.target, verdict, row.reference


def _detail_cells(row: Row) -> tuple[str, ...]:
    if row.cost is None or not usage.known():
        return row.what, row.details, "", "", ""
    return row.what, row.details, *(f"{share:.0%}" for share in (row.cost.server, row.cost.database, row.cost.load))


def _lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    ruled = [f"|{'|'.join(' --- ' for _ in headings)}|"]
    return [_line(headings), *ruled, *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
