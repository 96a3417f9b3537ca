"""Trees of runs: read, and searched for what is to be cancelled."""

from __future__ import annotations

import asyncpg
import msgspec

from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Kind, RunError, Status, Waiting
from perdure.domain.run_tree import TreeNode
from perdure.domain.stored_run import Viewer
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import private_to

_SQL = load("run_trees")


async def read(
    database: Database, key: RunKey, *, viewer: Viewer | None, from_root: bool, limit: int
) -> list[TreeNode]:
    """At most `limit` runs of the tree below a run, or of its whole tree, level by level; none: no such run."""
    rows = await database.fetch(_SQL["run_tree"], key.project_id, key.run_id, limit, private_to(viewer), from_root)
    return [_node(row) for row in rows]


async def cancellable_below(database: Database, key: RunKey, limit: int) -> list[RunKey]:
    """At most `limit` live runs below a run that were not told to end yet."""
    rows = await database.fetch(_SQL["cancellable_below"], key.project_id, key.run_id, limit)
    return [RunKey(key.project_id, RunId(row["run_id"])) for row in rows]


def _node(row: asyncpg.Record) -> TreeNode:
    message = row["error_message"]
    return TreeNode(
        run_id=RunId(row["run_id"]),
        parent_run_id=row["parent_run_id"],
        depth=row["depth"],
        kind=Kind(row["kind"]),
        agent_id=row["agent_id"],
        target=row["target"],
        name=row["name"],
        status=Status(row["status"]),
        cancelling=row["cancelling"],
        attempt=row["attempt"],
        waiting=None if row["waiting"] is None else msgspec.json.decode(row["waiting"], type=Waiting),
        error=None if message is None else RunError(message, row["error_code"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
    )
