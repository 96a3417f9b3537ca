"""Trees of runs: a run and everything below it."""

from __future__ import annotations

from typing import Final

from perdure.domain.errors import RunNotFound
from perdure.domain.ids import RunKey
from perdure.domain.run_tree import RunTree, in_order
from perdure.domain.stored_run import Viewer
from perdure.services.core import Core
from perdure.store import run_trees as store

MAX_NODES: Final = 1_000
"""How many runs of a tree are answered."""


async def get(core: Core, key: RunKey, *, viewer: Viewer | None, from_root: bool) -> RunTree:
    """The tree below a run; `from_root`: below the topmost run above it that the viewer may see. Raises RunNotFound."""
    found = await store.read(core.database, key, viewer=viewer, from_root=from_root, limit=MAX_NODES + 1)
    if not found:
        raise RunNotFound(f"There is no run {key.run_id}.")
    return RunTree(in_order(found[:MAX_NODES]), truncated=len(found) > MAX_NODES)
