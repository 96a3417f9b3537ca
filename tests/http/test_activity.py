"""What a dashboard shows of many runs: counts over time that follow the list's filters, what waits, and tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from perdure.domain.run import PendingCall, WaitingReason
from perdure.services import projections
from tests.http.runs_app import Api
from tests.http.test_agent_search import run_that_said
from tests.http.test_catalog import OWNER
from tests.http.test_control import parked
from tests.http.test_watch import stranger

ACTIVITY = "/projects/default/runs/activity"
USAGE = "/projects/default/runs/usage"


async def counted(at_work: Api, **filters: Any) -> int:
    """How many runs of about now there are that pass these filters."""
    now = datetime.now(UTC)
    span = {"since": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=1)).isoformat()}
    found = await at_work.json("GET", ACTIVITY, params={**span, "interval_seconds": 7200, **filters})
    return sum(one["runs"] for one in found["data"])


async def listed(at_work: Api, **filters: Any) -> set[str]:
    """The ids of the runs that pass these filters."""
    return {run["run_id"] for run in (await at_work.json("GET", "/runs", params=filters))["data"]}


async def test_the_counts_follow_the_filters_of_the_list(at_work: Api) -> None:
    started = {"interaction": "echo", "data": {"task": "x"}}
    other = (await at_work.json("POST", "/api/v1/agents", {**started, "tags": ["x", "y"]}))["id"]
    await at_work.create()
    task = {"kind": "task", "owner": OWNER, "request": {"target": "task:t"}, "parent_run_id": other}
    await at_work.json("POST", "/runs", task)
    every: list[dict[str, Any]] = [
        {},
        {"kind": "agent"},
        {"agent_id": "echo"},
        {"tag": "x"},
        {"tag": "y", "agent_id": "writer"},
        {"target": "task:t"},
        {"parent": other},
        {"status": "pending,completed"},
        {"status": ["running", "pending"], "tag": "x"},
        {"status": ["running", "failed"], "tag": "x"},
    ]
    expected = [3, 2, 1, 1, 0, 1, 1, 2, 1, 0]
    assert [await counted(at_work, **filters) for filters in every] == expected
    assert [len(await listed(at_work, **filters)) for filters in every] == expected


async def test_the_counts_follow_a_search(at_work: Api) -> None:
    await run_that_said(at_work, "the harvest was good")
    await run_that_said(at_work, "the harvest was bad")
    sought = [await counted(at_work, query=words) for words in ("harvest", "harvest goo", "nowhere", "!?", "  ")]
    assert sought == [2, 1, 0, 0, 2]


async def test_runs_are_found_by_what_they_wait_for(at_work: Api) -> None:
    call = PendingCall("c1", "ask", WaitingReason.APPROVAL)
    approval = (await parked(at_work, call))[2].run_id
    tool = (await parked(at_work, PendingCall("c2", "look")))[2].run_id
    event = (await parked(at_work))[2].run_id
    await at_work.create()
    assert await listed(at_work, waiting_reason="approval") == {approval}
    assert await listed(at_work, waiting_reason="tool,approval", status="waiting,running") == {approval, tool}
    assert await listed(at_work, waiting_reason=["event", "input"]) == {event}
    assert await listed(at_work, waiting_reason="event", status="running") == set()
    assert await counted(at_work, waiting_reason="tool,event") == 2
    await at_work.problem("GET", "/runs", 400, params={"waiting_reason": "rain"})


async def test_the_tokens_of_runs(at_work: Api) -> None:
    silent = (await at_work.create())["run"]["run_id"]
    ended = await run_that_said(at_work, "words")
    asked = {"run_id": f"{silent},{ended},nowhere"}
    found = {one.pop("run_id"): one for one in (await at_work.json("GET", USAGE, params=asked))["data"]}
    assert found == {
        silent: {"input_tokens": None, "output_tokens": None, "settled": False},
        ended: {"input_tokens": 5, "output_tokens": 2, "settled": True},
    }
    await at_work.json("POST", f"/runs/{silent}/complete", {"status": "completed"})
    (before,) = (await at_work.json("GET", USAGE, params={"run_id": silent}))["data"]
    await projections.catch_up(at_work.core)
    (after,) = (await at_work.json("GET", USAGE, params={"run_id": silent}))["data"]
    assert (before["settled"], after["settled"]) == (False, True)


async def test_whose_tokens_are_told(at_work: Api) -> None:
    run_id = await run_that_said(at_work, "words")
    for wrong in ({}, {"run_id": ",".join(["r"] * 201)}):
        await at_work.problem("GET", USAGE, 400, params=wrong)
    theirs = await stranger(at_work)
    await at_work.problem("GET", USAGE, 404, params={"run_id": run_id}, headers=theirs)
    found = await at_work.json("GET", "/projects/other/runs/usage", params={"run_id": run_id}, headers=theirs)
    assert found == {"data": []}
    private = {"interaction": "echo", "data": {"task": "x"}, "visibility": "private"}
    secret = (await at_work.json("POST", "/api/v1/agents", private))["id"]
    reader = {"Authorization": f"Bearer {await at_work.new_key(scopes=['runs:read'])}"}
    found = await at_work.json("GET", USAGE, params={"run_id": f"{secret},{run_id}"}, headers=reader)
    assert [one["run_id"] for one in found["data"]] == [run_id]
