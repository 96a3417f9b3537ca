"""The server driven by a client that we did not write: the npm package `@vertesia/client`, pinned in
`vertesia/package.json`. Every answer is judged by the client's own schemas (`vertesia/oracle.mjs`).

The scripts are tests of Node's own runner; each file has a server process to itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import Site, site
from tests.clients.npm import FOLDER, MARKS, installed, node

SCRIPTS = FOLDER / "vertesia"

pytestmark = list(MARKS)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the scripts beside an installed client."""
    return installed("vertesia", tmp_path_factory)


@pytest.fixture
def place(tmp_path: Path, database: str) -> Iterator[Site]:
    """A server with a worker inside, and the agents of these tests. It may call what listens on this machine."""
    more = {"PERDURE_DATABASE_URL": database, "PERDURE_EGRESS_ALLOW": "127.0.0.0/8"}
    with site(tmp_path, SCRIPTS / "agents.py", **more) as made:
        yield made


@pytest.mark.parametrize("name", sorted(script.name for script in SCRIPTS.glob("*.test.mjs")))
def test_vertesia(place: Site, scripts: Path, name: str) -> None:
    node(place, scripts, name)
