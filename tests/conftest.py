"""Fixtures for all tests: one embedded PostgreSQL per test session, and an empty, migrated database per test.

All workers of a parallel session share the server; the last one stops it. Set TEST_DATABASE_URL to a superuser's DSN to
test against another PostgreSQL (15 or newer) instead.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pydantic_ai.models
import pytest

from perdure.store.embedded import start_embedded
from perdure.store.migrate import upgrade
from perdure.store.schema import newest_revision
from perdure.telemetry import configure_logging
from tests.databases import Databases, without_schema
from tests.scratch import Scratch
from tests.temporal_server import TemporalServer

T = TypeVar("T")

FOREIGN_SETTINGS = ("PERDURE_", "OTEL_", "OPENAI_", "PG")
"""What the environment of whoever runs the tests must not change in them (nor in the processes that they start)."""


_SCRATCH = pytest.StashKey[Scratch]()


def pytest_configure(config: pytest.Config) -> None:
    """Cut the tests off from the environment and from models, and give them a folder of their own."""
    for name in [name for name in os.environ if name.startswith(FOREIGN_SETTINGS)]:
        del os.environ[name]
    pydantic_ai.models.ALLOW_MODEL_REQUESTS = False
    # How long one example takes says how busy the machine is, and nothing else.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    # Unconfigured, structlog draws every local variable of a traceback, which takes seconds.
    configure_logging(level="warning", pretty=False, stream=sys.__stderr__ or sys.stderr)
    if config.option.basetemp is None:
        config.stash[_SCRATCH] = scratch = Scratch()
        config.option.basetemp = str(scratch.folder / "tmp")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Clear up; in a parallel session that is the first process's work."""
    if (scratch := config.stash.get(_SCRATCH, None)) is not None:
        scratch.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a superuser on the session's server. Tests want `database` rather."""
    if other := os.environ.get("TEST_DATABASE_URL"):
        yield other
        return
    shared = _shared_folder(tmp_path_factory)
    with _alone(shared):
        embedded = start_embedded(shared / "data", durable=False)
    yield embedded.dsn
    with _alone(shared):
        embedded.stop()
        if embedded.pid is None:
            shutil.rmtree(shared / "data")


@pytest.fixture(scope="session")
def template(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with the newest schema and no rows, for others to be copied from."""
    name = f"perdure_template_{newest_revision()}"
    with _alone(_shared_folder(tmp_path_factory)):
        run(_make_template(postgres, name))
    return name


@pytest.fixture(scope="session")
def databases(postgres: str, template: str) -> Iterator[Databases]:
    """Where tests have their databases from."""
    made = Databases(postgres, template)
    yield made
    made.close()


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The DSN of a database of the test's own, with the newest schema and no rows."""
    with databases.lent() as dsn:
        yield dsn


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """The DSN of a database of the test's own without any schema; it is dropped afterwards."""
    with without_schema(postgres) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A Temporal server for tests that leave it alone; each takes a task queue of its own."""
    with TemporalServer(tmp_path_factory.mktemp("temporal")) as server:
        yield server


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread of its own, so that the test's own event loop is left alone."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _make_template(admin: str, name: str) -> None:
    """A half-made one (its maker was killed) keeps its other name, and is made anew."""
    connection = await asyncpg.connect(admin)
    try:
        if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            return
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}_new" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}_new" TEMPLATE template0')
        await upgrade(urlsplit(admin)._replace(path=f"/{name}_new").geturl())
        await connection.execute(f'ALTER DATABASE "{name}_new" RENAME TO "{name}"')
    finally:
        await connection.close()


def _shared_folder(factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this session."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Alone among the workers of this session."""
    with (folder / "fixtures.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
