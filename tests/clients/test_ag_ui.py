"""The server driven by a client that we did not write: the npm package `@ag-ui/client`, pinned in `ag_ui/package.json`,
with the verification of events that is part of it.

The scripts are tests of Node's own runner; each file has a server process to itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import Site, site
from tests.clients.npm import FOLDER, MARKS, installed, node

SCRIPTS = FOLDER / "ag_ui"

pytestmark = list(MARKS)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the scripts beside an installed client."""
    return installed("ag_ui", tmp_path_factory)


@pytest.fixture
def place(tmp_path: Path, database: str) -> Iterator[Site]:
    """A server with a worker inside, and the agents of these tests."""
    with site(tmp_path, SCRIPTS / "agents.py", PERDURE_DATABASE_URL=database) as made:
        yield made


@pytest.mark.parametrize("name", sorted(script.name for script in SCRIPTS.glob("*.test.mjs")))
def test_ag_ui(place: Site, scripts: Path, name: str) -> None:
    node(place, scripts, name)
