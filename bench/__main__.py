"""`python -m bench`: measure, print the table, write the results."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Final

from bench.generator import nobody
from bench.load.wire import LoadError
from bench.machine import describe
from bench.options import Options, RowName, parse
from bench.processes import BenchError, allow_open_files
from bench.profiling import profiler
from bench.report import Row, markdown, table
from bench.rows import (
    append,
    browsing,
    dispatch,
    followers,
    listing,
    opening,
    replay,
    runs,
    sleepers,
    steps,
    takeover,
    tokens,
)
from bench.rows.base import Measured
from bench.server import AGENTS, Place, fresh_place, serving
from perdure.store.embedded_user import EmbeddedPostgresError
from perdure.telemetry.logs import configure_logging

BUSY = 0.25
"""Load for each core above which a machine is too busy to measure on."""


OWN_SERVERS = frozenset({RowName.TAKEOVER, RowName.DISPATCH})
"""Rows that start their servers themselves."""


_ONE_ROW: Final[Mapping[RowName, Callable[[Measured], list[Row]]]] = MappingProxyType(
    {
        RowName.TOKENS: tokens.measure,
        RowName.FOLLOWERS: followers.measure,
        RowName.REPLAY: replay.measure,
        RowName.OPEN_RUN: opening.measure,
        RowName.LIST: listing.measure,
        RowName.BROWSE: browsing.measure,
        RowName.STEPS: steps.measure,
        RowName.SLEEPERS: sleepers.measure,
    }
)
"""In the order in which they are measured."""


def main(arguments: list[str]) -> int:
    """Do what was asked for; returns the exit code."""
    options = parse(arguments)
    configure_logging(level="warning", pretty=True, stream=sys.stderr)
    allow_open_files()
    signal.signal(signal.SIGTERM, _end)
    _warn_when_busy()
    try:
        with fresh_place(options.scratch) as place:
            machine = describe(place.postgres.dsn, place.data_dir)
            if options.profile is not None:
                return _profile(place, options, options.profile)
            rows = list(_rows(place, options))
    except (BenchError, LoadError, EmbeddedPostgresError) as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\n{table(rows)}")
    if options.output is not None:
        options.output.write_text(markdown(rows, machine, options, datetime.now(UTC)))
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    """Leave as after an error, so that everything that was started is ended."""
    sys.exit(128 + number)


def _warn_when_busy() -> None:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY * cores:
        print(
            f"{load:.1f} processes are running on {cores} cores: the figures will be too low.",
            file=sys.stderr,
        )


def _rows(place: Place, options: Options) -> Iterator[Row]:
    """All rows that are wanted, on several servers one after the other."""
    wanted = frozenset(options.rows)
    if wanted - OWN_SERVERS:
        with serving(place, "dev", str(AGENTS)) as server:
            measured = Measured(server, options.sizes, nobody())
            for step in _steps(measured, wanted):
                yield from _told(step)
    if RowName.DISPATCH in wanted:
        yield from _told(lambda: dispatch.measure(place, options.sizes))
    if RowName.TAKEOVER in wanted:
        yield from _told(lambda: takeover.measure(place, options.sizes))


def _steps(measured: Measured, wanted: frozenset[RowName]) -> Iterator[Callable[[], list[Row]]]:
    if wanted & {RowName.APPEND, RowName.BATCH}:
        yield lambda: append.measure(measured, wanted)
    if wanted & {RowName.RUNS, RowName.FIRST_EVENT}:
        yield lambda: runs.measure(measured, wanted)
    for name, measure in _ONE_ROW.items():
        if name in wanted:
            yield partial(measure, measured)


def _told(step: Callable[[], list[Row]]) -> list[Row]:
    """Take a step and say at once what came out."""
    began = time.monotonic()
    rows = step()
    for row in rows:
        print(table([row]).splitlines()[-1], flush=True)
    if rows:
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
    return rows


def _profile(place: Place, options: Options, name: RowName) -> int:
    """Measure one row with somebody looking into the server."""
    if name in OWN_SERVERS:
        raise BenchError(f"There is nothing to profile in row {name}: it starts servers of its own, which mostly wait.")
    looking = profiler(options.scratch, name)
    with serving(place, "dev", str(AGENTS), wrapper=looking.wrapper) as server:
        measured = Measured(server, options.sizes, looking.watch(server.process))
        rows = [row for step in _steps(measured, frozenset({name})) for row in step()]
    print(table(rows))
    summary = looking.summary()
    file = options.scratch / f"profile-{name}.txt"
    file.write_text(f"{summary}\n")
    print(f"\n{summary}\n\nKept in {_shown(file)}.")
    return 0


def _shown(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
