"""Modules that are loaded when they are used, so that a command and a server start without what they do not need."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class Lazy:
    """Stands for the module `name`, and imports it at the first access to one of its attributes.

    What it stands for is said to the type checker by an import of the same name under `TYPE_CHECKING`.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        module: ModuleType = importlib.import_module(self._name)
        return getattr(module, attribute)
