"""Which process, if any, serves a PostgreSQL data folder: reading `postmaster.pid`, and not believing it blindly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from perdure.store.embedded_user import COMMAND_ENVIRONMENT

_END_SECONDS = 10.0


class State(StrEnum):
    """Of the server process. `starting` includes crash recovery."""

    DOWN = "down"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says. `socket_folder` is None in the first moments of a start."""

    pid: int
    state: State
    socket_folder: Path | None


def read_pid_file(pgdata: Path) -> Postmaster | None:
    """Its lines: pid, data folder, start time, port, socket folder, address, shared memory, state."""
    try:
        lines = [line.strip() for line in (pgdata / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return None
    if not lines or not lines[0].isdigit():
        return None
    word = lines[7] if len(lines) > 7 else State.STARTING
    return Postmaster(
        pid=int(lines[0]),
        state=State(word) if word in set(State) else State.STARTING,
        socket_folder=Path(lines[4]) if len(lines) > 4 and lines[4] else None,
    )


def is_server(pid: int, pgdata: Path) -> bool:
    """Whether the process is a living PostgreSQL on this folder (a number alone may be somebody else's by now).

    The folder may have been renamed since the server started in it: where it works is what counts, if it can be seen.
    """
    command = command_of(pid)
    if command is None or not _program(command).endswith("/postgres"):
        return False
    try:
        return Path(f"/proc/{pid}/cwd").samefile(pgdata)
    except OSError:
        return _serves(command, pgdata)


def command_of(pid: int) -> str | None:
    """The command line of a process, its words joined by spaces; empty for a zombie; None when there is none."""
    if not _has_proc():
        return _commands_by_ps().get(pid)
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None


def end_servers_of_deleted(pgdata: Path) -> None:
    """End servers whose data folder was deleted: once they notice, they would remove the new server's socket."""
    old = [pid for pid, command in _commands().items() if _serves(command, pgdata)]
    for pid in old:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
    for pid in old:
        wait_for_end(pid, pgdata)


def wait_for_end(pid: int, pgdata: Path) -> None:
    """Wait until the process serves the folder no more, or for 10 s."""
    deadline = time.monotonic() + _END_SECONDS
    while is_server(pid, pgdata) and time.monotonic() < deadline:
        time.sleep(0.005)


def _serves(command: str, pgdata: Path) -> bool:
    """By the command line alone."""
    folder = f"{command.partition(' -D ')[2]} "
    return _program(command).endswith("/postgres") and folder.startswith(f"{pgdata} ")


def _program(command: str) -> str:
    return command.partition(" -D ")[0]


def _has_proc() -> bool:
    return Path("/proc/self/cmdline").exists()


def _commands() -> dict[int, str]:
    """Every process's command line."""
    if not _has_proc():
        return _commands_by_ps()
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {pid: command for pid in pids if (command := command_of(pid)) is not None}


def _commands_by_ps() -> dict[int, str]:
    """For systems without /proc."""
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,stat=,command="],
        env=COMMAND_ENVIRONMENT,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        timeout=30,
    )
    rows = [row for line in listing.stdout.splitlines() if len(row := line.split(None, 2)) == 3]
    return {int(pid): "" if stat.startswith("Z") else command for pid, stat, command in rows}
