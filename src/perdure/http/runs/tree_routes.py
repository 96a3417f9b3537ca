"""Run trees: read one, cancel one (`/runs/{run_id}/tree`)."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.principal import Scope
from perdure.domain.run import Kind, Status, WaitingReason
from perdure.domain.run_tree import RunTree, TreeNode
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, boolean, choice, integer, members, nullable, text
from perdure.http.operations import Answer, Body, Operation, json_answer, query
from perdure.http.requests import boolean_query, read_as, read_body
from perdure.http.runs.control_schemas import CANCEL, CancelBody, cancel_schema
from perdure.http.runs.mapping import iso, iso_or_none
from perdure.http.runs.routes import key_of
from perdure.http.runs.schemas import ErrorView
from perdure.services import lifecycle, run_trees


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A run in its tree."""

    run_id: str
    parent_run_id: str | None
    depth: int
    kind: Kind
    agent_id: str | None
    target: str | None
    name: str | None
    status: Status
    cancelling: bool
    waiting_reason: WaitingReason | None
    attempt: int
    error: ErrorView | None
    created_at: str
    started_at: str | None
    completed_at: str | None


async def get_run_tree(request: Request) -> Response:
    """GET /runs/{run_id}/tree."""
    key = await key_of(request, Scope.RUNS_READ)
    viewer = (await principal_of(request, Scope.RUNS_READ)).viewer
    from_root = boolean_query(request, "root")
    return json_answer(_view(await run_trees.get(core_of(request), key, viewer=viewer, from_root=from_root)))


async def cancel_run_tree(request: Request) -> Response:
    """POST /runs/{run_id}/tree/cancel."""
    key = await key_of(request, Scope.RUNS_WRITE)
    body = await read_body(request)
    wanted = read_as(body, CancelBody, CANCEL) if body.strip() else CancelBody()
    return json_answer({"cancelled": await lifecycle.cancel_tree(core_of(request), key, wanted.reason)})


def _view(tree: RunTree) -> dict[str, object]:
    return {"data": tuple(map(_node, tree.nodes)), "truncated": tree.truncated}


def _node(node: TreeNode) -> NodeView:
    return NodeView(
        run_id=node.run_id,
        parent_run_id=node.parent_run_id,
        depth=node.depth,
        kind=node.kind,
        agent_id=node.agent_id,
        target=node.target,
        name=node.name,
        status=node.status,
        cancelling=node.cancelling,
        waiting_reason=None if node.waiting is None else node.waiting.reason,
        attempt=node.attempt,
        error=None if node.error is None else ErrorView(node.error.message, node.error.code or msgspec.UNSET),
        created_at=iso(node.created_at),
        started_at=iso_or_none(node.started_at),
        completed_at=iso_or_none(node.completed_at),
    )


def _node_schema() -> JsonSchema:
    error = members({"message": text(), "code": text()}, required=("message",), closed=False)
    known = {
        "run_id": text(1),
        "parent_run_id": nullable(text(1)),
        "depth": integer(0, description="How far below the first run it is."),
        "kind": choice(*Kind),
        "agent_id": nullable(text()),
        "target": nullable(text()),
        "name": nullable(text()),
        "status": choice(*Status),
        "cancelling": boolean(),
        "waiting_reason": nullable(choice(*WaitingReason)),
        "attempt": integer(0),
        "error": nullable(error),
        "created_at": text(),
        "started_at": nullable(text()),
        "completed_at": nullable(text()),
    }
    return members(known, required=tuple(known), closed=False)


def _tree_schema() -> JsonSchema:
    known = {
        "data": array(_node_schema(), description="Each run comes right before what is below it."),
        "truncated": boolean(description="There are more runs; those deepest in the tree are left out."),
    }
    return members(known, required=tuple(known), closed=False)


TREE: Final = Operation(
    method="GET",
    path="/runs/{run_id}/tree",
    handler=get_run_tree,
    tag="runs",
    summary="Read a run with everything below it",
    description=f"At most {run_trees.MAX_NODES:,} runs. Private runs of others are left out, with what is below them.",
    scope=Scope.RUNS_READ,
    parameters=(query("root", boolean(), "Begin at the topmost run above this one: the whole tree."),),
    answers={200: Answer("The tree.", _tree_schema())},
)

CANCEL_TREE: Final = Operation(
    method="POST",
    path="/runs/{run_id}/tree/cancel",
    handler=cancel_run_tree,
    tag="control",
    summary="Cancel a run and everything below it",
    description=(
        "As POST /runs/{run_id}/cancel, also where the run itself has ended. The answer waits for no worker: it says "
        "how many runs have ended or were told to end."
    ),
    scope=Scope.RUNS_WRITE,
    body=Body(cancel_schema(), required=False),
    answers={
        200: Answer(
            "How many runs were cancelled.",
            members({"cancelled": integer(0)}, required=("cancelled",), closed=False),
        )
    },
    problems=(404, 413),
)

OPERATIONS: Final = (TREE, CANCEL_TREE)
