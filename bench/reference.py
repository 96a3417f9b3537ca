"""The reference: pgbench, which comes with PostgreSQL, running the durable insert of an append on the same database."""

from __future__ import annotations

import json
import re
import subprocess

from bench.load.append import event
from bench.options import BENCH
from bench.processes import BenchError, clean_environment
from bench.server import Place

SCRIPT = BENCH / "append.sql"
THREADS = 2
_RATE = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)


def run_id(client: int) -> str:
    """The run that a client of pgbench appends to; it must exist and be running."""
    return f"pgbench-{client}"


def appends_per_second(place: Place, project_id: str, *, clients: int, seconds: float) -> float:
    """What pgbench reaches with `clients` connections, each with a run of its own, in whole seconds of at least one."""
    whole = max(1, round(seconds))
    command = [
        str(place.postgres.binaries / "pgbench"),
        *("--no-vacuum", "--protocol=prepared", f"--file={SCRIPT}"),
        *(f"--client={clients}", f"--jobs={min(THREADS, clients)}", f"--time={whole}"),
        f"--define=project={project_id}",
        f"--define=events={json.dumps([event(0)], separators=(',', ':'))}",
        place.postgres.dsn,
    ]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=whole + 30, check=False
    )
    rate, failed = _RATE.search(done.stdout), _FAILED.search(done.stdout)
    if done.returncode != 0 or rate is None or (failed is not None and int(failed[1])):
        raise BenchError(f"pgbench failed:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")
    return float(rate[1])
