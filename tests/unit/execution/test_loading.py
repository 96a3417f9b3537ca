"""Finding a user's App by file or module, and what is said when it is not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.execution.app_not_loaded import AppNotLoaded
from perdure.execution.loading import load_app

APP = "from perdure.execution.registry import App\n"


@pytest.fixture(autouse=True)
def _as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path, modules = list(sys.path), dict(sys.modules)
    monkeypatch.chdir(tmp_path)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


def write(text: str, name: str = "users_app.py") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("spec", ["users_app.py", "./users_app.py", "users_app", "users_app:app", "users_app.py:app"])
def test_an_app_is_found(spec: str) -> None:
    write(APP + "app = App(version='x')\nother = App()\n")
    assert load_app(spec).version == "x"


def test_an_absolute_path_and_a_nested_attribute(tmp_path: Path) -> None:
    path = write(APP + "class Apps:\n    mine = App(version='n')\n", "deep/er/code.py")
    assert load_app(f"{tmp_path / path}:Apps.mine").version == "n"


def test_the_only_app_needs_no_name() -> None:
    write(APP + "served = App(version='s')\nalias = served\n")
    assert load_app("users_app.py").version == "s"


def test_a_file_can_import_its_neighbours() -> None:
    write(APP + "app = App(version='near')\n", "folder/neighbour.py")
    write("from neighbour import app\n", "folder/main.py")
    assert load_app("folder/main.py").version == "near"


@pytest.mark.parametrize(
    ("text", "spec", "said"),
    [
        (None, "nowhere.py", "There is no file nowhere.py"),
        (None, "nowhere", "There is no module nowhere"),
        (None, "nowhere.at_all:app", "There is no module nowhere"),
        (None, ":app", "Say what to load"),
        (None, "", "Say what to load"),
        ("x = 1\n", "users_app.py", "has no App: write `app = perdure.App()`"),
        (APP + "a = App()\nb = App()\n", "users_app.py", "several Apps (a, b): say which, as in users_app.py:a"),
        (APP + "a = App()\n", "users_app.py:b", "has no attribute b. Its Apps are: a."),
        ("x = 1\n", "users_app:x", "users_app:x is int, not a perdure.App"),
        ("1 / 0\n", "users_app.py", "raised ZeroDivisionError while it was loaded: division by zero"),
        ("1 / 0\n", "users_app", "raised ZeroDivisionError"),
        ("import not_installed_here\n", "users_app", "raised ModuleNotFoundError"),
        ("def\n", "users_app.py", "raised SyntaxError"),
    ],
)
def test_what_is_said_when_it_is_not_there(text: str | None, spec: str, said: str) -> None:
    if text is not None:
        write(text)
    with pytest.raises(AppNotLoaded) as error:
        load_app(spec)
    assert said in error.value.detail
    assert error.value.code == "app_not_loaded"


def test_a_broken_file_leaves_nothing_behind() -> None:
    write("1 / 0\n")
    with pytest.raises(AppNotLoaded) as error:
        load_app("users_app.py")
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    assert "users_app" not in sys.modules
