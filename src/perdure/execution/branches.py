"""Where in a workflow a call stands: the same place each time the same code is executed, concurrent or not.

The calls of one asyncio task are counted from 0. A task in which a call is made is a branch of the one that started it:
the branches of a task are counted in the order of their first calls, which is the order in which `asyncio.gather` was
given them. So `2` is the third call of the workflow itself, and `b0.1` the second one in its first branch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextvars import ContextVar, copy_context
from random import Random
from typing import Any, Final
from weakref import WeakKeyDictionary


class _Branch:
    def __init__(self, path: str, seed: str) -> None:
        self.path = path
        self.calls = 0
        self.branches = 0
        self.random = Random(f"{seed}/{path}")


_BRANCH: Final[ContextVar[_Branch | None]] = ContextVar("workflow_branch", default=None)


class Branches:
    """The tasks of one attempt. `seed` decides its random numbers."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._known: WeakKeyDictionary[asyncio.Task[Any], _Branch] = WeakKeyDictionary()

    def start(self, workflow: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Run the workflow in a task of its own."""
        root = _Branch("", self._seed)
        context = copy_context()
        context.run(_BRANCH.set, root)
        task = asyncio.create_task(workflow, context=context)
        self._known[task] = root
        return task

    def place(self) -> str:
        """The place of the call that is being made."""
        branch = self._current()
        branch.calls += 1
        return f"{branch.path}{branch.calls - 1}"

    def random(self) -> Random:
        """The random numbers of the current branch, the same in each attempt."""
        return self._current().random

    def tasks(self) -> Iterator[asyncio.Task[Any]]:
        """The tasks in which calls were made and which still run."""
        return (task for task in list(self._known) if not task.done())

    def _current(self) -> _Branch:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A workflow's context is for the workflow's own tasks.")
        known = self._known.get(task)
        if known is not None:
            return known
        parent = _BRANCH.get()
        if parent is None:
            raise RuntimeError("A workflow's context is for the workflow's own tasks.")
        branch = _Branch(f"{parent.path}b{parent.branches}.", self._seed)
        parent.branches += 1
        self._known[task] = branch
        _BRANCH.set(branch)
        return branch
