"""A run and the runs below it: those that it started, those that they started, and so on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from perdure.domain.ids import RunId
from perdure.domain.run import Kind, RunError, Status, Waiting


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A run in its tree. `depth` counts from the tree's first run, which has 0."""

    run_id: RunId
    parent_run_id: RunId | None
    depth: int
    kind: Kind
    agent_id: str | None
    target: str | None
    name: str | None
    status: Status
    cancelling: bool
    attempt: int
    waiting: Waiting | None
    error: RunError | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunTree:
    """The runs of a tree, each before what is below it. `truncated`: there are more, the deepest ones are left out."""

    nodes: tuple[TreeNode, ...]
    truncated: bool


def in_order(nodes: Sequence[TreeNode]) -> tuple[TreeNode, ...]:
    """The nodes as a tree is drawn: each run followed by what is below it, older children first.

    They come level by level, those of a level in the order of their creation.
    """
    children: dict[str | None, list[TreeNode]] = {}
    for node in nodes[1:]:
        children.setdefault(node.parent_run_id, []).append(node)
    drawn: list[TreeNode] = []
    left = list(nodes[:1])
    while left:
        node = left.pop()
        drawn.append(node)
        left.extend(reversed(children.get(node.run_id, ())))
    return tuple(drawn)
