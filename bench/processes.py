"""The processes that a measurement starts, each of which it also ends; never any other."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.options import ROOT

FOREIGN_SETTINGS = ("PERDURE_", "OTEL_", "OPENAI_", "PG", "PYTHON")
"""What of the environment must not change a measurement."""
STOP_SECONDS = 20.0
OPEN_FILES = 16_384
LOG_TAIL = 3_000


class BenchError(Exception):
    """The measurement cannot go on; the message says why."""


class Process:
    """A process of ours. Its output goes to a file. A context manager that ends it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._name = Path(command[0]).name
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**clean_environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise BenchError when it has ended, with the end of its output."""
        code = self._process.poll()
        if code is not None:
            raise BenchError(f"{self._name} ended with code {code}:\n{self.output()}")

    def output(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-LOG_TAIL:]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL, and wait for that."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it politely, then with force. Safe to call twice."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def clean_environment() -> dict[str, str]:
    """Our environment without the settings that would change what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_SETTINGS)}


def allow_open_files() -> int:
    """Let us and the processes that we start open many files; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return OPEN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


@contextmanager
def conversation(module: str, argument: str, given: bytes, *, limit: float) -> Iterator[Iterator[str]]:
    """Run `python -m module argument` with `given` as its input; yields the lines that it prints.

    It is killed after `limit` seconds, and whenever the block ends before it does. Raises BenchError when it fails.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, argument],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise BenchError("no pipes")
    timer = threading.Timer(limit, process.kill)
    timer.start()
    try:
        process.stdin.write(given.decode())
        process.stdin.close()
        yield iter(process.stdout)
        errors = process.stderr.read()
        if process.wait(STOP_SECONDS) != 0:
            raise BenchError(f"{module} {argument} failed (or took over {limit:.0f} s):\n{errors[-LOG_TAIL:]}")
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait(STOP_SECONDS)


def wait_until(deadline: float, step: float = 0.05) -> Iterator[None]:
    """Yield again and again, with pauses, until `time.monotonic()` has passed the deadline."""
    while time.monotonic() < deadline:
        yield
        time.sleep(step)
