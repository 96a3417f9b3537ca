"""The embedded PostgreSQL, with real processes: several owners, `kill -9` of each part, odd places, clear errors."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from perdure.store.embedded import EmbeddedPostgres, start_embedded
from perdure.store.embedded_cluster import StartTimeout
from perdure.store.embedded_process import command_of
from perdure.store.embedded_user import EmbeddedPostgresError
from tests.scratch import end_server

SECONDS = 30.0
OWNER = """
import signal, sys
from pathlib import Path
from perdure.store.embedded import start_embedded

interrupted = []
signal.signal(signal.SIGINT, lambda *_: interrupted.append(1))
with start_embedded(Path(sys.argv[1]), durable=False) as embedded:
    print(embedded.pid, embedded.dsn, flush=True)
    sys.stdin.readline()
    print(len(interrupted), embedded.pid, flush=True)
    sys.stdin.readline()
"""


@dataclass(frozen=True)
class Owner:
    """Another process that owns the server."""

    process: subprocess.Popen[str]
    server: int
    dsn: str

    def ask(self) -> str:
        """Its next line: how often it was interrupted, and the server's pid."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate("\n\n", timeout=SECONDS)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    end_server(folder.resolve() / "postgres")


@pytest.fixture
def spawn(data_dir: Path) -> Iterator[Callable[..., Owner]]:
    """Starts owners; afterwards none of them lives."""
    processes: list[subprocess.Popen[str]] = []

    def start(**environment: str) -> Owner:
        process = spawn_owner(data_dir, environment)
        processes.append(process)
        return greet(process)

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def spawn_owner(data_dir: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OWNER, str(data_dir)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def greet(process: subprocess.Popen[str]) -> Owner:
    assert process.stdout
    line = next((line for line in process.stdout if "postgresql://" in line and "embedded." not in line), "")
    pid, dsn = line.split()
    return Owner(process, int(pid), dsn)


def alive(pid: int) -> bool:
    """A zombie is not: who is to bury it (init, if there is one) takes its time."""
    return bool(command_of(pid))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def start(data_dir: Path, **options: Any) -> EmbeddedPostgres:
    return start_embedded(data_dir, **{"durable": False, **options})


def query(dsn: str, *statements: str) -> Any:
    """The value of the last statement. In a thread of its own, where no event loop is in the way."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _query(dsn, *statements)).result()


async def _query(dsn: str, *statements: str) -> Any:
    connection = await asyncpg.connect(dsn, timeout=SECONDS)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


@contextmanager
def busy(embedded: EmbeddedPostgres) -> Iterator[None]:
    """While a client's statement runs, so that the server's death leaves a child of it for a moment."""
    command = [str(embedded.binaries / "psql"), "-X", "-c", "SELECT pg_sleep(60)", embedded.dsn]
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running = "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    eventually(lambda: query(embedded.dsn, running) is True)
    try:
        yield
    finally:
        client.kill()
        client.wait(SECONDS)


# ── alone ────────────────────────────────────────────────────────────────────────────────────────


def test_data_survives_a_stop_and_settings_fit(data_dir: Path) -> None:
    embedded = start_embedded(data_dir)
    first = embedded.pid
    query(embedded.dsn, "CREATE TABLE kept AS SELECT 7 AS number", "SELECT 1")
    shown = {name: query(embedded.dsn, f"SHOW {name}") for name in ("fsync", "max_connections", "TimeZone")}
    assert shown == {"fsync": "on", "max_connections": "200", "TimeZone": "UTC"}
    assert query(embedded.dsn, "SHOW listen_addresses") == ""
    assert query(embedded.dsn, "SELECT current_database()") == "perdure"
    embedded.stop()
    embedded.stop()
    assert first is not None
    assert not alive(first)
    assert embedded.pid is None

    with start_embedded(data_dir) as again:
        assert query(again.dsn, "SELECT number FROM kept") == 7
    assert again.pid is None


def test_only_its_user_reaches_the_socket(data_dir: Path) -> None:
    with start(data_dir):
        assert stat.S_IMODE((data_dir / "postgres").stat().st_mode) == 0o700
        assert stat.S_IMODE(data_dir.stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize("name", ["x" * 150, "a b,c%d@é", "it's"], ids=["long", "odd", "quote"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    embedded = start(folder)
    try:
        assert query(embedded.dsn, "SELECT 1") == 1
        socket_folder = Path(str(query(embedded.dsn, "SHOW unix_socket_directories")))
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    finally:
        embedded.stop()
    assert not socket_folder.exists()


def test_a_path_that_no_shell_should_see_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="such a name"):
        start(tmp_path / "$(touch x)")


def test_what_an_interrupted_initdb_left_is_made_anew(data_dir: Path) -> None:
    unfinished = data_dir / "postgres.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with start(data_dir) as embedded:
        assert query(embedded.dsn, "SELECT 1") == 1
    assert not unfinished.exists()


def test_data_of_another_version_is_refused(data_dir: Path) -> None:
    start(data_dir).stop()
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 17"):
        start(data_dir)


def test_a_missing_database_is_made_again(data_dir: Path) -> None:
    with start(data_dir) as embedded:
        query(embedded.dsn.replace("/perdure?", "/postgres?"), "DROP DATABASE perdure", "SELECT 1")
        embedded.ensure_running()
        assert query(embedded.dsn, "SELECT 1") == 1


def test_a_start_that_fails_shows_the_log(data_dir: Path) -> None:
    start(data_dir).stop()
    with (data_dir / "postgres" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        start(data_dir)


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="Choose another PERDURE_DATA_DIR"):
        start(tmp_path / "data")


def test_a_slow_start_is_a_clear_error_and_goes_on(data_dir: Path) -> None:
    with start(data_dir) as embedded:
        pid_file = data_dir / "postgres" / "postmaster.pid"
        ready = pid_file.read_text()
        pid_file.write_text(ready.replace("ready", "starting"))
        with pytest.raises(StartTimeout, match="still starting") as raised:
            start(data_dir, start_timeout=0.1)
        assert "listening on Unix socket" in raised.value.detail
        pid_file.write_text(ready)
        assert query(embedded.dsn, "SELECT 1") == 1


def test_a_process_that_starts_for_ever_is_named(data_dir: Path) -> None:
    data_dir.mkdir()
    with (data_dir / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedPostgresError, match=r"holds .*postgres\.lock"):
            start(data_dir, start_timeout=0.1)


# ── kill -9 ──────────────────────────────────────────────────────────────────────────────────────


def test_the_server_of_a_killed_owner_is_taken_over(data_dir: Path, spawn: Callable[..., Owner]) -> None:
    owner = spawn()
    owner.kill()
    assert alive(owner.server)
    with start(data_dir) as embedded:
        assert embedded.pid == owner.server
        assert query(embedded.dsn, "SELECT 1") == 1
    assert not alive(owner.server)


@pytest.mark.parametrize("path", ["short", "l" + "o" * 150 + "ng"], ids=["short", "long"])
def test_a_killed_server_comes_back_where_it_was(tmp_path: Path, path: str) -> None:
    with start(tmp_path / path) as embedded:
        dsn, first = embedded.dsn, embedded.pid
        query(dsn, "CREATE TABLE kept AS SELECT 7 AS number", "SELECT 1")
        assert first is not None
        with busy(embedded):
            os.kill(first, signal.SIGKILL)
            embedded.ensure_running()
        assert embedded.pid not in (None, first)
        assert embedded.dsn == dsn
        assert query(dsn, "SELECT number FROM kept") == 7


def test_everything_killed_starts_again(data_dir: Path, spawn: Callable[..., Owner]) -> None:
    owner = spawn()
    query(owner.dsn, "CREATE TABLE kept AS SELECT 7 AS number", "SELECT 1")
    owner.kill()
    os.kill(owner.server, signal.SIGKILL)
    with start(data_dir) as embedded:
        assert embedded.pid != owner.server
        assert query(embedded.dsn, "SELECT number FROM kept") == 7


def test_a_stale_pid_that_is_somebody_elses_by_now(data_dir: Path, spawn: Callable[..., Owner]) -> None:
    owner = spawn()
    owner.kill()
    os.kill(owner.server, signal.SIGKILL)
    eventually(lambda: not alive(owner.server))
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(owner.server), str(os.getpid()), 1))
    with start(data_dir) as embedded:
        assert query(embedded.dsn, "SELECT 1") == 1


def test_deleted_data_under_a_running_server(data_dir: Path, spawn: Callable[..., Owner]) -> None:
    owner = spawn()
    shutil.rmtree(data_dir)
    with start(data_dir) as embedded:
        assert embedded.pid != owner.server
        assert not alive(owner.server)
        owner.end()
        assert query(embedded.dsn, "SELECT 1") == 1


# ── several owners ───────────────────────────────────────────────────────────────────────────────


def test_the_last_owner_stops_it(data_dir: Path, spawn: Callable[..., Owner]) -> None:
    embedded = start(data_dir)
    first, second = spawn(), spawn()
    assert {first.server, second.server} == {embedded.pid}
    embedded.stop()
    first.end()
    assert query(second.dsn, "SELECT 1") == 1
    second.end()
    assert not alive(second.server)


def test_two_holds_of_one_process_count_as_two(data_dir: Path) -> None:
    first, second = start(data_dir), start(data_dir)
    first.stop()
    assert query(second.dsn, "SELECT 1") == 1
    second.stop()
    assert second.pid is None


def test_a_killed_owner_neither_stops_nor_keeps_it(data_dir: Path, spawn: Callable[..., Owner]) -> None:
    killed, living = spawn(), spawn()
    killed.kill()
    assert query(living.dsn, "SELECT 1") == 1
    living.end()
    assert not alive(living.server)


def test_owners_that_start_at_once_share_one_server(data_dir: Path) -> None:
    processes = [spawn_owner(data_dir, {}) for _ in range(4)]
    try:
        owners = [greet(process) for process in processes]
        assert len({owner.server for owner in owners}) == 1
        for owner in owners:
            owner.end()
        assert not alive(owners[0].server)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_terminals_interrupt_reaches_the_owner_only(spawn: Callable[..., Owner]) -> None:
    owner = spawn()
    os.killpg(owner.process.pid, signal.SIGINT)
    assert owner.ask() == f"1 {owner.server}"
    assert query(owner.dsn, "SELECT 1") == 1
    owner.end()
    assert not alive(owner.server)


def test_the_environment_of_other_servers_does_not_matter(spawn: Callable[..., Owner]) -> None:
    owner = spawn(PGPORT="1", PGDATA="/nowhere", PGHOST="nowhere", PGUSER="nobody", LC_ALL="xx_XX", XDG_RUNTIME_DIR="")
    assert query(owner.dsn, "SELECT 1") == 1
    owner.end()


def test_who_wants_durability_gets_it(data_dir: Path) -> None:
    lax = start(data_dir)
    with pytest.raises(EmbeddedPostgresError, match="without fsync"):
        start_embedded(data_dir)
    assert query(lax.dsn, "SHOW fsync") == "off"
    lax.stop()


def test_a_lax_server_without_owner_is_started_again(data_dir: Path, spawn: Callable[..., Owner]) -> None:
    spawn().kill()
    with start_embedded(data_dir) as embedded:
        assert query(embedded.dsn, "SHOW fsync") == "on"


# ── users ────────────────────────────────────────────────────────────────────────────────────────
#
# PostgreSQL refuses to run as root, so Perdure then runs it as another user.

# The kernel lets nobody but root become another user or give files away, so there is nothing to see for anybody else.
# Continuous integration runs the tests as root, so they are not left out there.
of_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user, or gives data to one")


@of_root
def test_root_opens_a_private_home_to_one_user_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with start(home / "data") as embedded:
        assert query(embedded.dsn, "SELECT 1") == 1
        owner = (home / "data" / "postgres").stat().st_uid
        assert owner != 0
        assert stat.S_IMODE(home.stat().st_mode) & 0o007 == 0
        assert (home / "data").stat().st_uid == 0
        result = subprocess.run(["ls", str(home)], user=owner, extra_groups=[], capture_output=True, check=False)
        assert result.returncode != 0, "it may pass through, and not look around"


@of_root
def test_root_without_access_lists_opens_folders_to_pass_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no access lists here")

    monkeypatch.setattr(os, "setxattr", unsupported)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with start(home / "data") as embedded:
        assert query(embedded.dsn, "SELECT 1") == 1
    assert stat.S_IMODE(home.stat().st_mode) == 0o701


@of_root
def test_data_of_another_user_is_a_clear_error(data_dir: Path) -> None:
    start(data_dir).stop()
    os.chown(data_dir / "postgres", 54321, 54321)
    with pytest.raises(EmbeddedPostgresError, match="54321 has no name"):
        start(data_dir)
