"""From the name of a user's code, a Python file or `module:attribute`, to its App."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from perdure.execution.app_not_loaded import AppNotLoaded
from perdure.execution.registry import App

_USUAL_NAME: Final = "app"


def load_app(spec: str) -> App:
    """The App that `spec` names: `path/to/file.py` or `package.module`, and after a colon the attribute if need be.

    Without an attribute it is the module's `app`, or its only App. The folder of a file, or the current one, becomes
    importable. Raises AppNotLoaded, which says what is wrong; an error in the user's code is its cause.
    """
    place, attribute = _split(spec)
    module = _load_file(Path(place)) if _is_file(place) else _load_module(place)
    return _app_of(module, place, attribute)


def _split(spec: str) -> tuple[str, str | None]:
    # On Windows a path begins with a drive and a colon.
    place, colon, attribute = spec.rpartition(":")
    if not colon or "/" in attribute or "\\" in attribute:
        place, attribute = spec, ""
    if not place:
        raise AppNotLoaded("Say what to load: a Python file, or `module:attribute`.")
    return place, attribute or None


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise AppNotLoaded(f"There is no file {path}.")
    _make_importable(path.resolve().parent)
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise AppNotLoaded(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    # As `import` does it: what the module defines is found there again, by dataclasses and pickle for example.
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        _restore(name, before)
        raise _failed(str(path), error) from error
    return module


def _load_module(name: str) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise AppNotLoaded(f"There is no module {error.name}, neither installed nor in {Path.cwd()}.") from error
        raise _failed(name, error) from error
    except Exception as error:
        raise _failed(name, error) from error


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _restore(name: str, before: ModuleType | None) -> None:
    if before is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = before


def _failed(place: str, error: Exception) -> AppNotLoaded:
    return AppNotLoaded(f"{place} raised {type(error).__name__} while it was loaded: {error}")


def _app_of(module: ModuleType, place: str, attribute: str | None) -> App:
    apps = {name: value for name, value in vars(module).items() if isinstance(value, App)}
    if attribute is not None:
        return _named(module, place, attribute, apps)
    if _USUAL_NAME in apps:
        return apps[_USUAL_NAME]
    different = {id(app): app for app in apps.values()}
    if len(different) == 1:
        return next(iter(different.values()))
    if not apps:
        raise AppNotLoaded(f"{place} has no App: write `app = perdure.App()` and register agents on it.")
    raise AppNotLoaded(f"{place} has several Apps ({', '.join(sorted(apps))}): say which, as in {place}:{min(apps)}.")


def _named(module: ModuleType, place: str, attribute: str, apps: dict[str, App]) -> App:
    value: object = module
    for step in attribute.split("."):
        if not hasattr(value, step):
            known = f" Its Apps are: {', '.join(sorted(apps))}." if apps else ""
            raise AppNotLoaded(f"{place} has no attribute {attribute}.{known}")
        value = getattr(value, step)
    if not isinstance(value, App):
        raise AppNotLoaded(f"{place}:{attribute} is {type(value).__name__}, not a perdure.App.")
    return value
