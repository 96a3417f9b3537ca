"""Where the server spends its time while a row is measured: py-spy where it is installed, else cProfile."""

from __future__ import annotations

import io
import pstats
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Protocol

from bench.generator import Watch
from bench.processes import BenchError, Process, wait_until

LINES = 40
SAMPLES_PER_SECOND = 250
WRITE_SECONDS = 30.0
IDLE = ("EpollSelector.select (", "KqueueSelector.select (", "Condition.wait (", "_worker (concurrent/")
"""Where threads wait; py-spy does not always see that they do."""


class Profiler(Protocol):
    """Something that looks into a server."""

    @property
    def wrapper(self) -> tuple[str, ...]:
        """What the server's command line must be started with; nothing for one that looks from outside."""

    def watch(self, server: Process) -> Watch:
        """Look while it is measured."""

    def summary(self) -> str:
        """What was seen, for a person."""


def profiler(folder: Path, name: str) -> Profiler:
    """The best one that is installed; its raw data go to `folder`."""
    found = shutil.which("py-spy")
    if found is not None:
        return Sampler(found, folder / f"profile-{name}.collapsed")
    return Tracer(folder / f"profile-{name}.pstats")


class Sampler:
    """py-spy: looks from outside many times a second, and costs the server little."""

    wrapper: tuple[str, ...] = ()

    def __init__(self, program: str, file: Path) -> None:
        self._program = program
        self._file = file
        self._stacks: Counter[str] = Counter()

    def watch(self, server: Process) -> Watch:
        """Sample between the two calls."""
        running: list[subprocess.Popen[bytes]] = []

        def began() -> None:
            command = [self._program, "record", "--format=raw", f"--rate={SAMPLES_PER_SECOND}"]
            command += [f"--pid={server.pid}", f"--output={self._file}"]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))

        def ended() -> None:
            sampler = running.pop()
            sampler.send_signal(signal.SIGINT)
            try:
                _, errors = sampler.communicate(timeout=WRITE_SECONDS)
            except subprocess.TimeoutExpired:
                sampler.kill()
                raise BenchError("py-spy does not end.") from None
            if not self._file.exists():
                raise BenchError(f"py-spy wrote nothing: {errors.decode(errors='replace')[-1000:]}")
            self._add(self._file.read_text())

        return Watch(began, ended)

    def summary(self) -> str:
        """The functions in which the most samples were taken, and those under which."""
        self._file.write_text("".join(f"{stack} {count}\n" for stack, count in self._stacks.items()))
        own: Counter[str] = Counter()
        under: Counter[str] = Counter()
        for stack, count in self._stacks.items():
            frames = stack.split(";")
            own[frames[-1]] += count
            under.update({frame.rpartition(":")[0]: count for frame in frames})
        total = max(1, self._stacks.total())
        return "\n".join(
            [
                f"{total} samples, {SAMPLES_PER_SECOND} a second",
                "",
                "In these lines:",
                *_shares(own, total),
                "",
                "In or under these functions:",
                *_shares(under, total),
            ]
        )

    def _add(self, text: str) -> None:
        for line in text.splitlines():
            stack, _, count = line.rpartition(" ")
            if not stack.rpartition(";")[2].startswith(IDLE):
                self._stacks[stack] += int(count)


class Tracer:
    """cProfile, inside the server: counts every call, and makes it a good deal slower."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def wrapper(self) -> tuple[str, ...]:
        """The command line under cProfile."""
        return (sys.executable, "-m", "bench.profiled", str(self._file))

    def watch(self, server: Process) -> Watch:
        """Collect between the two calls."""

        def began() -> None:
            self._file.unlink(missing_ok=True)
            server.signal(signal.SIGUSR1)

        def ended() -> None:
            server.signal(signal.SIGUSR2)
            for _ in wait_until(time.monotonic() + WRITE_SECONDS):
                if self._file.exists() and self._file.stat().st_size:
                    return
            raise BenchError("The server wrote no profile.")

        return Watch(began, ended)

    def summary(self) -> str:
        """The functions that took the most time themselves, and with what they called."""
        text = io.StringIO()
        stats = pstats.Stats(str(self._file), stream=text)
        stats.sort_stats("tottime").print_stats(LINES)
        stats.sort_stats("cumulative").print_stats(LINES)
        return text.getvalue()


def _shares(counts: Counter[str], total: int) -> list[str]:
    return [f"  {count / total:6.1%}  {name}" for name, count in counts.most_common(LINES)]
