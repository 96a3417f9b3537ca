"""The dashboard's place in the repository: its pictures, who imports whom in its sources, its build in the wheel."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from perdure.http.dashboard.build import FOLDER

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "web" / "src"
SHARED = {"answers", "api", "app", "design", "hooks", "log"}
PICTURE = re.compile(r'(?:src|srcset)="((?:docs/)?img/[^"]+)"')
IMPORT = re.compile(r'(?:from |import\()"([^"]+)"')
MOST_BYTES = 3_500_000


def shown(page: str) -> list[Path]:
    """The pictures that a page names, from its own place."""
    file = ROOT / page
    return [(file.parent / name).resolve() for name in PICTURE.findall(file.read_text(encoding="utf-8"))]


def test_every_picture_that_is_named_exists_and_every_picture_is_shown() -> None:
    there = set((ROOT / "docs" / "img").iterdir())
    assert set(shown("docs/dashboard.md")) == there, "`make pictures` takes them, docs/dashboard.md shows them"
    assert shown("README.md") and set(shown("README.md")) <= there
    assert sum(picture.stat().st_size for picture in there) < MOST_BYTES, "who clones the repository gets all of them"


def test_no_page_of_the_dashboard_imports_from_another() -> None:
    pages = {folder.name for folder in SOURCES.iterdir() if folder.is_dir()} - SHARED
    assert {"run", "runs", "approvals"} <= pages
    found = [
        f"{file.relative_to(SOURCES)}: {target}"
        for file in sorted(SOURCES.rglob("*.ts*"))
        for target in IMPORT.findall(file.read_text(encoding="utf-8"))
        if (owner := file.relative_to(SOURCES).parts[0]) != "app"
        if (folder := folder_of(file, target)) in pages and folder != owner
    ]
    assert found == []


def folder_of(file: Path, target: str) -> str | None:
    """The folder of `web/src` that an import leads to; None for a package."""
    if target.startswith("@/"):
        return target.split("/")[1]
    if not target.startswith("."):
        return None
    return (file.parent / target).resolve().relative_to(SOURCES).parts[0]


def test_the_wheel_contains_the_build() -> None:
    """Git ignores the build, and what git ignores hatchling leaves out unless it is named."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    inside = FOLDER.relative_to(ROOT).as_posix()
    assert build["artifacts"] == [f"/{inside}"]
    assert any(inside.startswith(f"{package}/") for package in build["targets"]["wheel"]["packages"])
