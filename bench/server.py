"""The measured server: started as users start it, on a fresh data folder, with a durable embedded PostgreSQL."""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load.wire import Target
from bench.options import BENCH
from bench.processes import BenchError, Process, wait_until
from perdure.store.embedded import EmbeddedPostgres, start_embedded

HOST = "127.0.0.1"
AGENTS = BENCH / "served" / "agents.py"
READY_SECONDS = 60.0
REQUEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder with its PostgreSQL, which we own too, so that it outlives the servers that come and go on it."""

    data_dir: Path
    postgres: EmbeddedPostgres
    key: str

    @property
    def logs(self) -> Path:
        """Where the processes' output goes."""
        return self.data_dir / "bench.log"

    def environment(self, port: int, more: Mapping[str, str]) -> dict[str, str]:
        """The settings of a process on this place."""
        return {
            "PERDURE_HOST": HOST,
            "PERDURE_PORT": str(port),
            "PERDURE_DATA_DIR": str(self.data_dir),
            "PERDURE_BOOTSTRAP_API_KEY": self.key,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready, and the place that it serves."""

    place: Place
    process: Process
    target: Target
    project_id: str

    def ask(self, method: str, path: str, body: object = None, *, expected: int = 200) -> Any:
        """One request on a connection of its own; returns the answer's JSON. For preparations, not for measuring."""
        return ask(self.target, method, path, body, expected=expected)


@contextmanager
def fresh_place(scratch: Path) -> Iterator[Place]:
    """A new data folder below `scratch` with a running PostgreSQL; both are gone afterwards."""
    scratch.mkdir(parents=True, exist_ok=True)
    data_dir = Path(tempfile.mkdtemp(prefix="data-", dir=scratch))
    try:
        with start_embedded(data_dir) as postgres:
            yield Place(data_dir, postgres, f"bench_{secrets.token_hex(6)}_{secrets.token_hex(24)}")
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


@contextmanager
def serving(
    place: Place, *arguments: str, settings: Mapping[str, str] | None = None, wrapper: tuple[str, ...] = ()
) -> Iterator[Server]:
    """`perdure <arguments>` until the end of the block: `dev app.py`, or `serve`. Raises BenchError.

    `wrapper`: a Python program that runs the command line instead, given its arguments.
    """
    port = free_port()
    command = [*(wrapper or perdure()), *arguments]
    with Process(command, place.environment(port, settings or {}), place.logs) as process:
        target = Target(HOST, port, place.key)
        _wait_until_ready(process, target)
        project = ask(target, "GET", "/projects/default")
        yield Server(place, process, target, project["id"])


def working(place: Place, settings: Mapping[str, str]) -> Process:
    """`perdure worker` with the benchmark's agents. It may take a second until it takes runs."""
    return Process([*perdure(), "worker", str(AGENTS)], place.environment(0, settings), place.logs)


def perdure() -> list[str]:
    """The command line of this environment."""
    return [str(Path(sys.executable).with_name("perdure"))]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        port: int = listening.getsockname()[1]
        return port


def ask(target: Target, method: str, path: str, body: object = None, *, expected: int = 200) -> Any:
    """One request on a connection of its own. Raises OSError, and BenchError for another status."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=REQUEST_SECONDS)
    try:
        connection.request(
            method,
            path,
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != expected:
        raise BenchError(f"{method} {path} answered {answer.status}: {text[:1000]!r}")
    return json.loads(text)


def _wait_until_ready(process: Process, target: Target) -> None:
    for _ in wait_until(time.monotonic() + READY_SECONDS):
        process.check()
        try:
            ask(target, "GET", "/readyz")
        except (OSError, http.client.HTTPException, BenchError):
            continue
        return
    raise BenchError(f"The server was not ready after {READY_SECONDS:.0f} s:\n{process.output()}")
