"""The repository holds text, names no package index and no path of a machine, and its locks hold what is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")

# The names are taken apart so that this file does not find itself.
INDEX_HOST = re.compile(
    r"\b(?:py[p]i\.org|py[p]i\.python\.org|files\.python[h]osted\.org|registry\.npm[j]s\.org|registry\.yarn[p]kg\.com)\b"
)
MACHINE_PATH = re.compile(r"(?<![\w./:}-])/(?:[r]oot/|[w]ork/|[h]ome/\w|[U]sers/\w|opt/[p]ypi|opt/[w]heels)")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def repository_files() -> list[Path]:
    """Everything that git tracks or would track. A source archive has no git: nothing to look at there."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    # `safe.directory`: the checkout may belong to another user than the one who tests it.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return sorted({path for name in listing.split("\0") if name and (path := ROOT / name).is_file()})


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {line.strip()[:80]}"
        for path in repository_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def pins(lock: str) -> dict[str, set[str]]:
    """Canonical name → versions; a universal lock may hold several for different platforms."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if match := PIN.match(line):
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


def requirements() -> dict[str, list[str]]:
    """Lock file → what pyproject.toml asks it to hold."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime: list[str] = project["project"]["dependencies"]
    groups: dict[str, list[str]] = project["dependency-groups"]
    wanted = (runtime, [*runtime, *groups["dev"]], [*groups["build"], *project["build-system"]["requires"]])
    return dict(zip(LOCKS, wanted, strict=True))


def test_no_package_index_is_named() -> None:
    assert lines_with(INDEX_HOST) == []


def test_no_path_of_a_machine_is_named() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_everything_is_text_but_the_pictures() -> None:
    """A wheel, an archive or a program is a dependency to be pinned, not a file to be kept."""
    binary = [path for path in repository_files() if b"\0" in path.read_bytes()]
    assert [path.relative_to(ROOT).as_posix() for path in binary if path.parent != ROOT / "docs" / "img"] == []


def test_patterns_find_what_they_are_for() -> None:
    assert INDEX_HOST.search("https://" + "pypi" + ".org/simple")
    assert MACHINE_PATH.search("cd /" + "root/project")
    assert not MACHINE_PATH.search("POST /agent-workers/root/x, GET https://example.org/" + "work/item")


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-node.lock"])
def test_a_lock_holds_pins_and_hashes_only(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "")
    bare = [
        line[:80] for line in text.splitlines() if line.strip() and not (PIN.match(line) and "--hash=sha256:" in line)
    ]
    assert bare == [], "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_satisfies_the_project(lock: str) -> None:
    pinned = pins(lock)
    unmet = [
        str(requirement)
        for requirement in map(Requirement, requirements()[lock])
        if not (versions := pinned.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in versions)
    ]
    assert unmet == [], "run `make lock`"


def test_both_locks_agree() -> None:
    runtime, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: versions for name, versions in runtime.items() if development.get(name) != versions} == {}


def test_importing_perdure_is_light() -> None:
    """A user's file starts with `from perdure import App`; that must not drag in the model library or the server."""
    heavy = "{'alembic', 'asyncpg', 'fastapi', 'opentelemetry.sdk', 'pydantic_ai', 'sqlalchemy', 'starlette', 'typer'}"
    code = f"import sys, perdure; print(*sorted({heavy} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert result.stdout.split() == []


def test_nobody_waits_in_a_way_that_swallows_cancels() -> None:
    """`asyncio.wait_for` of Python 3.11 forgets a cancel that comes together with what it waits for: a loop that is
    told to stop goes on. `asyncio.timeout` does not."""
    users = [path.name for path in (ROOT / "src").rglob("*.py") if "asyncio.wait_for(" in path.read_text("utf-8")]
    assert users == []
