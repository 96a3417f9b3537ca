"""A task's process, as the worker sees it: started, listened to, asked to end, killed (`task_child.py` is between)."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from perdure.execution import task_child

END: Final = b"T"
KILL: Final = b"K"
_STATUS_FILE: Final = "status.json"
_LINE_BYTES: Final = 512 * 1024
_KILLED: Final = 137


class Exit(msgspec.Struct, frozen=True):
    """How a process ended. `signal` 0: by itself. A signal's exit code is 128 and its number, as in a shell."""

    exit_code: int
    signal: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `memory_bytes` limits the address space of each process, `cpu_seconds` its processor time."""

    argv: Sequence[str]
    env: Mapping[str, str]
    memory_bytes: int | None = None
    cpu_seconds: int | None = None


class TaskProcess:
    """A started process. Cancelling a caller never ends it: `kill` does."""

    def __init__(
        self, process: asyncio.subprocess.Process, folder: Path, told: asyncio.StreamReader, line: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._folder = folder
        self._line = line
        self.told = told

    @property
    def stdout(self) -> asyncio.StreamReader:
        """Its standard output."""
        return _there(self._process.stdout)

    @property
    def stderr(self) -> asyncio.StreamReader:
        """Its standard error."""
        return _there(self._process.stderr)

    def ask_to_end(self) -> None:
        """SIGTERM, to its process group."""
        self._say(END)

    def kill(self) -> None:
        """SIGKILL, to everything that it has started."""
        self._say(KILL)

    async def wait(self) -> Exit:
        """How it ended. When this returns, nothing that it has started is left."""
        await self._process.wait()
        status = self._folder / _STATUS_FILE
        if not status.exists():
            return Exit(_KILLED, 9)  # the process between was killed, and the kernel has killed the task
        return msgspec.json.decode(status.read_bytes(), type=Exit)

    def close(self) -> None:
        """Let go of what is left of it: without us, it is killed."""
        _there(self._process.stdin).close()
        self._line.close()

    def _say(self, word: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            _there(self._process.stdin).write(word)


async def start(program: Program, folder: Path, ours: socket.socket, theirs: socket.socket) -> TaskProcess:
    """Start a program. It tells what it does on `theirs`, which it inherits; what it says comes out of `ours`.

    They are a pair of sockets, not a pipe: uvloop closes the file of a pipe once more after its descriptor, which may
    belong to another task by then. Both are this function's to close once it has returned; `folder` is where the
    process's files are. Raises OSError.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        task_child.__file__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(program.env),
        pass_fds=(theirs.fileno(),),
        start_new_session=True,
    )
    theirs.close()
    told, line = await asyncio.open_unix_connection(sock=ours, limit=_LINE_BYTES)
    job = {
        "argv": list(program.argv),
        "env": dict(program.env),
        "folder": str(folder),
        "status": str(folder / _STATUS_FILE),
        "memory_bytes": program.memory_bytes,
        "cpu_seconds": program.cpu_seconds,
    }
    _there(process.stdin).write(msgspec.json.encode(job) + b"\n")
    return TaskProcess(process, folder, told, line)


S = TypeVar("S", asyncio.StreamReader, asyncio.StreamWriter)


def _there(stream: S | None) -> S:
    assert stream is not None, "the process was started with pipes"
    return stream
