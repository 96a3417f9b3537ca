"""Run trees: read from any run of theirs, and cancelled whole."""

from __future__ import annotations

from typing import Any

from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Kind, Status
from perdure.domain.stored_run import About, Visibility
from perdure.services import lifecycle, run_trees
from perdure.services import runs as run_service
from perdure.services.runs import RunRequest
from tests.http.runs_app import PROJECT, Api


async def tree(at_work: Api, run_id: str, **query: str) -> list[tuple[str, str | None, int]]:
    answer = await at_work.json("GET", f"/runs/{run_id}/tree", params=query)
    assert answer["truncated"] is False
    return [(node["run_id"], node["parent_run_id"], node["depth"]) for node in answer["data"]]


async def family(at_work: Api) -> None:
    """`top` started `a` and `b`, `a` started `a1`, and `a1` started `a2`."""
    await at_work.create(public_id="top")
    for run_id, parent in (("a", "top"), ("b", "top"), ("a1", "a"), ("a2", "a1")):
        await at_work.create(public_id=run_id, parent_run_id=parent)


async def test_a_tree_is_read_from_any_run_of_it(at_work: Api) -> None:
    await family(at_work)
    whole = [("top", None, 0), ("a", "top", 1), ("a1", "a", 2), ("a2", "a1", 3), ("b", "top", 1)]
    assert await tree(at_work, "top") == await tree(at_work, "a2", root="true") == whole
    assert await tree(at_work, "a") == [("a", "top", 0), ("a1", "a", 1), ("a2", "a1", 2)]
    await at_work.json("POST", "/runs/b/complete", {"status": "failed", "terminal_error_message": "No."})
    node = (await at_work.json("GET", "/runs/b/tree"))["data"][0]
    assert (node["status"], node["error"]["message"], node["agent_id"], node["kind"]) == (
        "failed", "No.", "writer", "agent",
    )  # fmt: skip
    assert node["created_at"] <= node["started_at"] <= node["completed_at"]
    await at_work.problem("GET", "/runs/nobody/tree", 404)
    await at_work.problem("GET", "/runs/top/tree", 400, params={"root": "perhaps"})


async def test_runs_that_are_their_own_ancestors_are_shown_once(at_work: Api) -> None:
    await at_work.create(public_id="x", parent_run_id="y")
    await at_work.create(public_id="y", parent_run_id="x")
    await at_work.create(public_id="self", parent_run_id="self")
    assert await tree(at_work, "x") == [("x", "y", 0), ("y", "x", 1)]
    assert await tree(at_work, "x", root="true") == [("y", "x", 0), ("x", "y", 1)]
    assert await tree(at_work, "self", root="true") == [("self", "self", 0)]
    assert (await at_work.json("POST", "/runs/x/tree/cancel"))["cancelled"] == 2
    assert (await at_work.json("POST", "/runs/self/tree/cancel"))["cancelled"] == 1


async def test_a_tree_shows_no_private_run_and_nothing_below_it(at_work: Api) -> None:
    await at_work.create(public_id="open")
    secret = RunRequest(
        kind=Kind.AGENT,
        owner_kind="project",
        owner_id=PROJECT,
        fingerprint=b"",
        agent_id="echo",
        public_id="secret",
        parent_run_id="open",
        initial_status=Status.RUNNING,
        created_by="somebody",
        about=About(visibility=Visibility.PRIVATE),
    )
    await run_service.create(at_work.core, PROJECT, secret)
    await at_work.create(public_id="below", parent_run_id="secret")
    headers = {"authorization": f"Bearer {await at_work.new_key(scopes=['runs:read'])}"}
    shown = await at_work.json("GET", "/runs/open/tree", headers=headers)
    assert [node["run_id"] for node in shown["data"]] == ["open"]
    shown = await at_work.json("GET", "/runs/below/tree", headers=headers, params={"root": "true"})
    assert [node["run_id"] for node in shown["data"]] == ["below"]
    assert (await at_work.client.get("/runs/secret/tree", headers=headers)).status_code == 404
    assert [run_id for run_id, _, _ in await tree(at_work, "below", root="true")] == ["open", "secret", "below"]


async def test_a_large_tree_is_cut_off_and_says_so(at_work: Api) -> None:
    await at_work.create(public_id="top")
    await at_work.core.database.execute(
        """WITH copied AS (
               INSERT INTO runs (project_id, run_id, kind, owner_kind, owner_id, agent_id, parent_run_id, root_run_id,
                                 spec, status, request_hash, created_at, updated_at)
               SELECT project_id, 'c' || n, kind, owner_kind, owner_id, agent_id, 'top', 'top', spec, 'pending', '',
                      created_at, updated_at
               FROM runs, generate_series(1, $1::int) n WHERE run_id = 'top'
               RETURNING project_id, run_id)
           INSERT INTO run_head (project_id, run_id, status, executor) SELECT *, 'pending', 'caller' FROM copied""",
        run_trees.MAX_NODES,
    )
    answer = await at_work.json("GET", "/runs/top/tree")
    assert (len(answer["data"]), answer["truncated"]) == (run_trees.MAX_NODES, True)
    assert (await at_work.json("POST", "/runs/top/tree/cancel"))["cancelled"] == run_trees.MAX_NODES + 1


async def statuses(at_work: Api, *run_ids: str) -> list[Any]:
    return [(await at_work.json("GET", f"/runs/{run_id}"))["status"] for run_id in run_ids]


async def test_a_cancel_reaches_live_runs_below_those_that_have_ended(at_work: Api) -> None:
    await family(at_work)
    await at_work.json("POST", "/runs/a/complete", {"status": "completed"})
    await at_work.json("POST", "/runs/a1/complete", {"status": "completed"})
    assert (await at_work.json("POST", "/runs/a/cancel"))["cancelled"] is False
    assert await statuses(at_work, "top", "a", "a1", "a2", "b") == [
        "running", "completed", "completed", "cancelled", "running",
    ]  # fmt: skip
    assert (await at_work.json("POST", "/runs/top/tree/cancel", {"reason": "Enough."}))["cancelled"] == 2
    assert await statuses(at_work, "top", "b") == ["cancelled", "cancelled"]
    assert (await at_work.json("POST", "/runs/top/tree/cancel"))["cancelled"] == 0
    await at_work.problem("POST", "/runs/nobody/tree/cancel", 404)


async def test_a_cancel_of_a_tree_tells_running_runs_to_end(at_work: Api) -> None:
    await at_work.create(public_id="top")
    said = {"messages": [], "context": {"project_id": str(PROJECT), "branch_id": None}}
    body = {"mode": "agent", "agent_id": "echo", "input": said}
    child = {"kind": "agent", "owner": {"kind": "project", "id": str(PROJECT)}, "request": body, "public_id": "child"}
    await at_work.json("POST", "/runs", {**child, "parent_run_id": "top"})
    key = RunKey(PROJECT, RunId("child"))
    assert [taken.key for taken in await lifecycle.claim(at_work.core, "w", ["agent:echo"], 1, 30)] == [key]
    assert (await at_work.json("POST", "/runs/top/tree/cancel"))["cancelled"] == 2
    found = await at_work.json("GET", "/runs/child")
    assert (found["status"], found["cancelling"]) == (Status.RUNNING, True)
