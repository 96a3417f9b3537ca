"""What `perdure runs tree` does: a run and what is below it, drawn with lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import typer

from perdure.cli.folding import folded
from perdure.cli.output import note, write_json, write_line
from perdure.cli.remote import ask
from perdure.cli.spans import milliseconds
from perdure.client import RunTree, TreeNode

_ERROR_WIDTH = 60


def show(context: typer.Context, run_id: str, *, root: bool, as_json: bool) -> None:
    """Draw the tree."""
    tree: RunTree = ask(context, lambda client: client.runs.tree(run_id, root=root))
    if as_json:
        write_json(tree)
        return
    for line in drawn(tree.data):
        write_line(line)
    if tree.truncated:
        note(f"There are more runs than these {len(tree.data)}.")


def drawn(nodes: Sequence[TreeNode]) -> Iterator[str]:
    """A line for each run, which comes right before what is below it."""
    lasts = _last_children(nodes)
    open_above: list[bool] = []
    for node, last in zip(nodes, lasts, strict=True):
        del open_above[max(0, node.depth - 1) :]
        lines = "".join("│  " if more else "   " for more in open_above)
        joint = "" if node.depth == 0 else "└─ " if last else "├─ "
        if node.depth > 0:
            open_above.append(not last)
        yield f"{lines}{joint}{_words(node)}"


def _last_children(nodes: Sequence[TreeNode]) -> list[bool]:
    """Whether each run is the last child of its parent."""
    lasts: list[bool] = []
    later: set[int] = set()
    for node in reversed(nodes):
        lasts.append(node.depth not in later)
        later = {depth for depth in later if depth < node.depth} | {node.depth}
    return lasts[::-1]


def _words(node: TreeNode) -> str:
    status = "cancelling" if node.cancelling else str(node.status)
    waits = f" ({node.waiting_reason})" if node.waiting_reason is not None else ""
    took = ""
    if node.started_at is not None and node.completed_at is not None:
        took = f"  {milliseconds((node.completed_at - node.started_at) // timedelta(milliseconds=1))}"
    error = f"  {folded(node.error.message, _ERROR_WIDTH)}" if node.error is not None else ""
    of = node.agent_id or node.target or ""
    return f"{node.run_id}  {node.kind} {of}  {status}{waits}{took}{error}"
