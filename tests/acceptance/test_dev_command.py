"""`perdure dev` as a process, and commands beside it that find server and key by themselves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from perdure.cli.dev_access import DevAccess, read_dev_access
from tests.acceptance.processes import PATIENCE, PERDURE, eventually, free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


@dataclass
class Place:
    """A folder with its environment."""

    folder: Path
    environment: dict[str, str]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @contextmanager
    def dev(self) -> Iterator[subprocess.Popen[str]]:
        """`perdure dev`, ready."""
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(
                [PERDURE, "dev"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)
            assert process.stdout is not None
            process.stdout.close()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`perdure …`, to its end."""
        return subprocess.run(
            [PERDURE, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )

    def ready(self, process: subprocess.Popen[str]) -> str:
        """What it says when it is ready."""
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], (self.folder / "log").read_text()
        return "".join(lines)


@pytest.fixture
def place(database: str, tmp_path: Path) -> Place:
    own = {"PERDURE_DATABASE_URL": database, "PERDURE_DATA_DIR": "data", "PERDURE_PORT": str(free_port())}
    return Place(tmp_path, {**os.environ, **own})


def test_from_the_first_start_to_the_second(place: Place) -> None:
    with place.dev() as process:
        said = place.ready(process)
        access = read_dev_access(place.data)
        assert access is not None and access.api_key in said and access.url in said
        done = place.run("runs", "create", "echo", "Hello there", "--follow")
        assert (done.returncode, "Hello there\n✔ completed" in done.stdout) == (0, True), done.stderr
        assert place.run("doctor").returncode == 0
        taken = place.run("dev")
        assert (taken.returncode, "is taken" in taken.stderr) == (1, True), taken.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    away = place.run("runs", "list")
    assert (away.returncode, "perdure dev" in away.stderr) == (4, True)
    with place.dev() as process:
        place.ready(process)
        assert read_dev_access(place.data) == access, "what was copied from the screen stays good"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_a_key_of_ones_own_is_used_and_not_shown(place: Place) -> None:
    place.environment["PERDURE_BOOTSTRAP_API_KEY"] = "my-very-own-key"
    with place.dev() as process:
        assert "my-very-own-key" not in place.ready(process)
        access = read_dev_access(place.data)
        assert isinstance(access, DevAccess) and access.api_key == "my-very-own-key"
        assert place.run("keys", "list").returncode == 0


def test_ctrl_c_ends_a_follower_and_not_its_run(place: Place) -> None:
    with place.dev() as process:
        place.ready(process)
        started = place.run("runs", "create", "demo", "Tell me a long story for 90 seconds")
        run_id = started.stdout.strip()
        out = place.folder / "out"
        with out.open("w") as file:
            tail = subprocess.Popen(
                [PERDURE, "runs", "tail", "-f", run_id], cwd=place.folder, env=place.environment, stdout=file
            )
        eventually(lambda: "→ make_plan" in out.read_text(), "the run is shown")
        tail.send_signal(signal.SIGINT)
        assert tail.wait(PATIENCE) == 130
        assert place.run("runs", "tail", run_id).returncode == 5
        assert place.run("runs", "cancel", run_id).returncode == 0
        assert place.run("runs", "tail", "-f", run_id).returncode == 2


def test_the_printed_link_signs_in_once(place: Place) -> None:
    with place.dev() as process:
        said = place.ready(process)
        access = read_dev_access(place.data)
        assert access is not None
        link = re.search(r"Dashboard +(\S+)/ui/#code=(\S+)", said)
        assert link is not None and link[1] == access.url, said
        answers = [httpx.post(f"{access.url}/ui/sign-in", json={"code": link[2]}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 401]
        assert answers[0].json() == {"key": access.api_key}
