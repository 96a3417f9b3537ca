"""The server driven by a client that we did not write: the npm package `veryfront`, pinned in `veryfront/package.json`.

The scripts are tests of Node's own runner; each file has a server process to itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.processes import Site, site
from tests.clients.npm import FOLDER, MARKS, installed, node

SCRIPTS = FOLDER / "veryfront"

pytestmark = list(MARKS)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the scripts beside an installed client."""
    return installed("veryfront", tmp_path_factory)


NOBODY_S = [
    *(("task", name) for name in ("nobody-runs-this", "nobody", "knowledge-ingest", "listed", "x")),
    ("workflow", "publish"),
    ("eval", "answers"),
]
"""What was served once: runs of it are taken, and nobody executes them."""


async def served_once(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.executemany("INSERT INTO catalog (kind, name, last_seen_at) VALUES ($1, $2, now())", NOBODY_S)
    finally:
        await connection.close()


@pytest.fixture
def place(tmp_path: Path, database: str) -> Iterator[Site]:
    """A server with a worker inside."""
    asyncio.run(served_once(database))
    with site(tmp_path, PERDURE_DATABASE_URL=database) as made:
        yield made


@pytest.mark.parametrize("name", sorted({script.name for script in SCRIPTS.glob("*.test.mjs")} - {"push.test.mjs"}))
def test_veryfront(place: Site, scripts: Path, name: str) -> None:
    node(place, scripts, name)


def test_runtimes_that_runs_are_pushed_to(tmp_path: Path, database: str, scripts: Path) -> None:
    with site(tmp_path, PERDURE_DATABASE_URL=database, PERDURE_EGRESS_ALLOW="127.0.0.0/8") as made:
        node(made, scripts, "push.test.mjs")
