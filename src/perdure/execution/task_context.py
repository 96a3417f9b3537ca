"""What a task's function is given: its run, and the way to the run's log and files. It lives in the task's own process.

All of it can be called from plain functions and from coroutine functions: what a call does is done when it returns, and
its answer may be awaited or not.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

PROGRESS: Final = "progress"
PUBLISH: Final = "publish"
MESSAGE: Final = "message"
LOG: Final = "log"
"""The words of what a task tells its worker: JSON lines `{tell, …}`."""

MAX_TOLD_BYTES: Final = 192 * 1024


class Done:
    """The answer of a call that is done: `await` it or not. (Typed as Any: a checker would ask for the `await`.)"""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class Teller:
    """Writes JSON lines to the worker. Safe to use from several threads."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def tell(self, what: str, **members: object) -> None:
        """Tell one thing. Raises TypeError for what is no JSON, ValueError for more than 192 KiB."""
        line = json.dumps({"tell": what, **members}, ensure_ascii=False, allow_nan=False).encode()
        if len(line) > MAX_TOLD_BYTES:
            raise ValueError(f"A task can tell at most {MAX_TOLD_BYTES} bytes at once. Write a file instead.")
        with self._lock, suppress(BrokenPipeError):  # without a worker it is about to be killed
            self._stream.write(line + b"\n")
            self._stream.flush()


class TaskFiles:
    """The task's output folder: when the task has ended, each file in it becomes an artifact of the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, data: bytes | str) -> Any:
        """Write a file, in place of the one at its path. Raises ValueError for a path that leads out of the folder."""
        wanted = PurePosixPath(path)
        if wanted.is_absolute() or ".." in wanted.parts or not wanted.parts:
            raise ValueError(f"{path!r} is no path within the task's output folder.")
        place = self.folder / wanted
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data.encode() if isinstance(data, str) else data)
        return Done()


@dataclass(frozen=True, kw_only=True)
class TaskContext:
    """One attempt of a task.

    `config` is what the run's request says. `deadline_ms` is the time at which the run's `timeout_seconds` are over, in
    milliseconds since 1970; None: never.
    """

    run_id: str
    attempt: int
    task: str
    config: Mapping[str, object]
    artifacts: TaskFiles
    teller: Teller
    deadline_ms: int | None = None
    asked_to_end: threading.Event = field(default_factory=threading.Event)

    @property
    def output_folder(self) -> Path:
        """Each file in it becomes an artifact of the run."""
        return self.artifacts.folder

    @property
    def cancelled(self) -> bool:
        """Whether the task was asked to end (SIGTERM): cancelled, out of time, or its worker stops."""
        return self.asked_to_end.is_set()

    @property
    def idempotency_key(self) -> str:
        """A key for outside systems: the same in each attempt of the run."""
        return f"{self.run_id}.task"

    def log(self, text: str) -> Any:
        """A line for the run's logs, beside standard output and error."""
        self.teller.tell(LOG, text=text)
        return Done()

    def progress(self, done: float, total: float | None = None, text: str = "") -> Any:
        """Tells how far the work is."""
        self.teller.tell(PROGRESS, done=done, total=total, text=text)
        return Done()

    def publish(self, name: str, value: object) -> Any:
        """Makes a JSON value the answer to the query `name` from now on."""
        self.teller.tell(PUBLISH, name=name, value=value)
        return Done()

    def message(self, text: str) -> Any:
        """Tells the run's clients something."""
        self.teller.tell(MESSAGE, text=text)
        return Done()


def told_by(fd: int) -> Teller:
    """What tells the worker at the other end of a pipe."""
    os.set_inheritable(fd, False)
    return Teller(os.fdopen(fd, "wb", buffering=0))
