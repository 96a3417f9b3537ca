"""A session's own folder for temporary files, instead of pytest's, which all sessions of a user share.

Each new session makes the shared one private again (chmod), which shuts out the PostgreSQL that another session, run by
root, has started in it. And what a killed session left behind, servers included, is cleared away by the next one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from perdure.store.embedded_process import is_server, read_pid_file, wait_for_end

PREFIX = "perdure-tests-"
_YOUNG_SECONDS = 60
"""Another session may be about to lock what it has just made."""


class Scratch:
    """A folder that belongs to this process until `close`; the lock says so to others, and dies with us."""

    def __init__(self) -> None:
        _clear_abandoned()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        self._lock = (self.folder / "session.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it."""
        _clear(self.folder)
        self._lock.close()


def _clear_abandoned() -> None:
    for lock_file in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/session.lock"):
        with suppress(OSError), lock_file.open("r+") as lock:
            if time.time() - lock_file.stat().st_mtime < _YOUNG_SECONDS:
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(lock_file.parent)


def _clear(folder: Path) -> None:
    for pid_file in folder.rglob("postmaster.pid"):
        end_server(pid_file.parent)
    shutil.rmtree(folder, ignore_errors=True)


def end_server(pgdata: Path) -> None:
    """End the PostgreSQL that runs on a data folder, if one does, at once."""
    found = read_pid_file(pgdata)
    if found is not None and is_server(found.pid, pgdata):
        with suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGQUIT)
        wait_for_end(found.pid, pgdata)
