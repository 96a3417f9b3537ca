"""What can be asked of the benchmark: `python -m bench --help`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent


class RowName(StrEnum):
    """The rows, by the names that `--rows` and `--profile` take."""

    APPEND = "append"
    BATCH = "batch"
    RUNS = "runs"
    FIRST_EVENT = "first-event"
    TOKENS = "tokens"
    FOLLOWERS = "followers"
    REPLAY = "replay"
    OPEN_RUN = "open-run"
    LIST = "list"
    BROWSE = "browse"
    STEPS = "steps"
    SLEEPERS = "sleepers"
    DISPATCH = "dispatch"
    TAKEOVER = "takeover"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done. The defaults are a whole measurement, of about ten minutes."""

    rounds: int = field(default=5, metadata={"help": "rounds of each row; the median counts"})
    seconds: float = field(default=4.0, metadata={"help": "length of a round, where a row is measured by time"})
    warm_up: float = field(default=1.5, metadata={"help": "seconds of load before a round counts"})
    connections: int = field(default=32, metadata={"help": "connections that append, and clients of pgbench"})
    batch: int = field(default=100, metadata={"help": "events of one append in row `batch` (at most 100)"})
    runs: int = field(default=500, metadata={"help": "runs of one round of row `runs`"})
    at_once: int = field(default=16, metadata={"help": "runs at once in row `runs`"})
    first_events: int = field(default=200, metadata={"help": "runs of one round of row `first-event`"})
    tokens: int = field(default=20_000, metadata={"help": "tokens of one run in row `tokens`"})
    followers: int = field(default=2_000, metadata={"help": "followers of one run in row `followers`"})
    fan_outs: int = field(default=20, metadata={"help": "events of one round of row `followers`"})
    replay_events: int = field(default=10_000, metadata={"help": "events of the run that row `replay` reads"})
    replays: int = field(default=10, metadata={"help": "readings in one round of row `replay`"})
    open_events: int = field(default=10_000, metadata={"help": "events of the run that row `open-run` opens"})
    opens: int = field(default=5, metadata={"help": "openings of each tab in one round of row `open-run`"})
    takeovers: int = field(default=3, metadata={"help": "workers that row `takeover` kills"})
    lease_seconds: int = field(default=5, metadata={"help": "lease of the workers that row `takeover` kills"})
    list_runs: int = field(default=0, metadata={"help": "runs of rows `list` and `browse`; 0 leaves them out"})
    list_requests: int = field(default=500, metadata={"help": "requests of one round of row `list`"})
    scroll_rows: int = field(default=5_000, metadata={"help": "rows that row `browse` scrolls through"})
    steps: int = field(default=500, metadata={"help": "steps of one workflow in row `steps`"})
    sleepers: int = field(default=10_000, metadata={"help": "workflows that sleep in row `sleepers`"})
    dispatches: int = field(default=200, metadata={"help": "runs of one round of row `dispatch`"})


QUICK = Sizes(
    rounds=1,
    seconds=0.7,
    warm_up=0.3,
    connections=8,
    runs=40,
    first_events=20,
    tokens=2_000,
    followers=100,
    fan_outs=5,
    replay_events=1_000,
    replays=3,
    open_events=1_000,
    opens=1,
    takeovers=1,
    lease_seconds=2,
    list_requests=50,
    scroll_rows=300,
    steps=50,
    sleepers=100,
    dispatches=20,
)
"""A smoke run: does everything still work? Its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """A benchmark that was asked for."""

    sizes: Sizes
    rows: tuple[RowName, ...]
    quick: bool
    profile: RowName | None
    output: Path | None
    scratch: Path


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the process with a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure a Perdure server on this machine.")
    add = parser.add_argument
    names = ", ".join(RowName)
    add("--quick", action="store_true", help="a smoke run of less than a minute; its figures mean nothing")
    add("--rows", type=_rows, metavar="NAME,…", help=f"only these, and nothing is written: {names}")
    add("--profile", type=RowName, choices=tuple(RowName), metavar="ROW", help="run one row and profile the server")
    add("--output", type=Path, metavar="FILE", help="where the results go (bench/results.md for a whole measurement)")
    scratch = ROOT / ".cache" / "bench"
    add("--scratch", type=Path, default=scratch, metavar="DIR", help="folder for data and profiles (.cache/bench)")
    sizes = parser.add_argument_group("sizes")
    for one in fields(Sizes):
        default = one.default
        sizes.add_argument(
            f"--{one.name.replace('_', '-')}",
            type=type(default),
            default=None,
            metavar="N",
            help=f"{one.metadata['help']} ({default})",
        )
    given = parser.parse_args(arguments)
    for row in (RowName.LIST, RowName.BROWSE):
        if row in (given.profile, *(given.rows or ())) and not given.list_runs:
            parser.error(f"row {row} needs --list-runs")
    return _options(given)


def _options(given: argparse.Namespace) -> Options:
    preset = QUICK if given.quick else Sizes()
    chosen = {
        one.name: getattr(preset, one.name) if getattr(given, one.name) is None else getattr(given, one.name)
        for one in fields(Sizes)
    }
    rows = (given.profile,) if given.profile else given.rows or tuple(RowName)
    partial = given.quick or given.profile is not None or given.rows is not None
    output: Path | None = given.output or (None if partial else BENCH / "results.md")
    return Options(
        sizes=Sizes(**chosen),
        rows=rows,
        quick=given.quick,
        profile=given.profile,
        output=output,
        scratch=given.scratch.resolve(),
    )


def _rows(text: str) -> tuple[RowName, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in tuple(RowName)]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"not a row: {', '.join(unknown) or text}")
    return tuple(row for row in RowName if row in names)
