"""The benchmark works: every row, at sizes that measure nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.load.browser import missing

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "--seconds": 0.3,
    "--warm-up": 0.1,
    "--connections": 4,
    "--runs": 8,
    "--at-once": 4,
    "--first-events": 5,
    "--tokens": 500,
    "--followers": 20,
    "--fan-outs": 3,
    "--replay-events": 200,
    "--replays": 2,
    "--open-events": 200,
    "--lease-seconds": 2,
    "--list-runs": 500,
    "--list-requests": 20,
    "--scroll-rows": 150,
    "--steps": 10,
    "--sleepers": 20,
    "--dispatches": 5,
}


@pytest.mark.acceptance
@pytest.mark.timeout(450)
def test_every_row_is_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.md"
    command = [sys.executable, "-m", "bench", "--quick", "--scratch", str(tmp_path), "--output", str(results)]
    for name, size in TINY.items():
        command += [name, str(size)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=420, check=False)
    assert done.returncode == 0, done.stderr
    text = results.read_text()
    in_a_browser = 0 if missing() else 2
    measured = [line for line in text.split("## Machine")[0].splitlines() if line.endswith("|")]
    assert len(measured) == 2 + 13 + in_a_browser, text
    assert str(tmp_path) not in text
    assert list(tmp_path.iterdir()) == [results]


def test_a_wrong_row_is_named() -> None:
    command = [sys.executable, "-m", "bench", "--rows", "append,nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "not a row: nothing" in done.stderr
