"""Watching a project: its runs as they move, how many there were, who works, what is asked, and who looks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.domain.lease import Held
from perdure.services import catalog, lifecycle
from tests.http.runs_app import PROJECT, Api, served
from tests.http.test_catalog import OWNER
from tests.http.test_input_requests import form
from tests.http.test_stream import Reader, stream

WATCHED = "/projects/default/runs/stream"


async def stranger(at_work: Api) -> dict[str, str]:
    """The headers of somebody with an ordinary key of another project, `other`."""
    await at_work.json("POST", "/projects", {"slug": "other", "name": "Other"})
    key = (await at_work.json("POST", "/projects/other/keys", {"name": "k"}))["key"]
    return {"Authorization": f"Bearer {key}"}


async def told(reader: Reader) -> tuple[str, Any]:
    """The next frame that is no heartbeat and no `retry`."""
    while True:
        frame = await reader.frame()
        assert frame is not None
        if frame.startswith("event: "):
            name, data = frame.split("\n")
            return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def statuses(reader: Reader, run_id: str, last: str) -> list[str]:
    """What is told of a run until it has a status."""
    found: list[str] = []
    while not found or found[-1] != last:
        name, run = await told(reader)
        assert (name, run["run_id"]) == ("Run", run_id)
        found.append(run["status"])
    return found


async def test_runs_arrive_as_they_are_made_and_move(at_work: Api) -> None:
    async with served(at_work.app) as url, stream(url, WATCHED) as reader:
        assert await told(reader) == ("Ready", {})
        made = (await at_work.create())["run"]
        name, run = await told(reader)
        listed = (await at_work.json("GET", "/runs"))["data"][0]
        assert (name, run) == ("Run", listed)
        await at_work.json("POST", f"/runs/{made['run_id']}/complete", {"status": "completed"})
        assert await statuses(reader, made["run_id"], "completed") == ["completed"]
        conversation = made["conversation_id"]
        assert (await at_work.client.delete(f"/conversations/{conversation}")).status_code == 204
        assert await told(reader) == ("RunDeleted", {"run_id": made["run_id"]})
        at_work.app.stop_waiting()
        assert await reader.events() == []


async def test_the_claims_of_workers_are_told_and_tokens_are_not(at_work: Api) -> None:
    async with served(at_work.app) as url, stream(url, WATCHED) as reader:
        await told(reader)
        body = {"kind": "task", "owner": OWNER, "request": {"target": "task:t"}}
        run_id = (await at_work.json("POST", "/runs", body))["run"]["run_id"]
        assert await statuses(reader, run_id, "pending") == ["pending"]
        (claimed,) = await lifecycle.claim(at_work.core, "worker-1", ["task:t"], 1, 30)
        assert await statuses(reader, run_id, "running") == ["running"]
        path, key = await at_work.conversation_run()
        assert await statuses(reader, key.run_id, "running") == ["running"]
        for number in range(5):
            await at_work.json("POST", f"{path}/events", {"events": [{"type": "CUSTOM", "name": "n", "value": number}]})
        await lifecycle.give_back(at_work.core, Held(claimed.key, claimed.fence), "worker_stopped")
        assert await statuses(reader, run_id, "pending") == ["pending"], "nothing was told of the tokens"


async def test_who_missed_hints_is_told_so(at_work: Api) -> None:
    async with served(at_work.app) as url, stream(url, WATCHED) as reader:
        await told(reader)
        at_work.core.router.lost()
        assert await told(reader) == ("Missed", {})


async def test_watchers_see_their_own_project_and_no_private_runs_of_others(at_work: Api) -> None:
    theirs = await stranger(at_work)
    reader_key = await at_work.new_key(scopes=["runs:read"])
    async with (
        served(at_work.app) as url,
        stream(url, WATCHED, Authorization=f"Bearer {reader_key}") as mine,
        stream(url, "/projects/other/runs/stream", Authorization=theirs["Authorization"]) as other,
    ):
        assert await told(mine) == await told(other) == ("Ready", {})
        private = {"interaction": "echo", "data": {"task": "x"}, "visibility": "private"}
        await at_work.json("POST", "/api/v1/agents", private)
        seen = (await at_work.create())["run"]["run_id"]
        assert (await told(mine))[1]["run_id"] == seen
        await at_work.problem("GET", WATCHED, 404, headers=theirs)
        own = await at_work.client.post("/runs", headers=theirs, json=await their_run(at_work, theirs))
        assert (await told(other))[1]["run_id"] == own.json()["run"]["run_id"]


async def their_run(at_work: Api, theirs: dict[str, str]) -> dict[str, Any]:
    project = (await at_work.json("GET", "/auth/me", headers=theirs))["project"]
    assert project["slug"] == "other"
    owner = {"kind": "project", "id": project["id"]}
    request = {"mode": "agent", "agent_id": "writer", "initial_status": "running"}
    return {"kind": "agent", "owner": owner, "conversation_mode": "none", "request": request}


async def test_who_looks_is_told_what_it_may(at_work: Api) -> None:
    me = await at_work.json("GET", "/auth/me")
    assert me["project"] == {"id": str(PROJECT), "slug": "default", "name": "Default project"}
    assert me["scopes"] == ["admin"]
    key = await at_work.new_key(scopes=["runs:read"])
    me = await at_work.json("GET", "/auth/me", headers={"Authorization": f"Bearer {key}"})
    assert me["scopes"] == ["runs:read"]
    await at_work.problem("GET", "/auth/me", 401, headers={"Authorization": "Bearer pd_wrong"})


async def test_runs_are_counted_over_time(at_work: Api) -> None:
    for _ in range(3):
        await at_work.create()
    ended = (await at_work.create())["run"]["run_id"]
    await at_work.json("POST", f"/runs/{ended}/complete", {"status": "completed"})
    now = datetime.now(UTC).replace(microsecond=0)
    asked = {"since": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=1)).isoformat()}
    path = "/projects/default/runs/activity"
    found = (await at_work.json("GET", path, params={**asked, "interval_seconds": 7200}))["data"]
    assert [(one["status"], one["runs"]) for one in found] == [("completed", 1), ("running", 3)]
    assert {datetime.fromisoformat(one["since"]) for one in found} == {datetime.fromisoformat(asked["since"])}
    for wrong in (
        {},
        {"since": asked["since"]},
        {"since": asked["until"], "until": asked["since"]},
        {**asked, "interval_seconds": 1},
        {**asked, "interval_seconds": 0},
    ):
        await at_work.problem("GET", path, 400, params=wrong)
    await at_work.problem("GET", path, 404, params=asked, headers=await stranger(at_work))


async def test_workers_are_listed_with_what_they_hold(at_work: Api) -> None:
    body = {"kind": "task", "owner": OWNER, "request": {"target": "task:t"}}
    run_id = (await at_work.json("POST", "/runs", body))["run"]["run_id"]
    await catalog.register(at_work.core, "worker-9", [("task", "t")], 3, "v9")
    (claimed,) = await lifecycle.claim(at_work.core, "worker-9", ["task:t"], 1, 30)
    registration = {"implementation_kind": "codex", "worker_key": "w", "display_name": "Desk"}
    await at_work.json("POST", "/agent-workers/projects/default/workers", registration)
    found = {worker["id"]: worker for worker in (await at_work.json("GET", "/workers"))["data"]}
    busy = found.pop("worker-9")
    assert (busy["sort"], busy["version"], busy["serves"], busy["concurrency"]) == ("engine", "v9", ["task:t"], 3)
    assert (busy["holding"], [(one["run_id"], one["fence"]) for one in busy["leases"]]) == (
        1,
        [(run_id, claimed.fence)],
    )
    assert found.pop("worker-1")["leases"] == []
    (external,) = found.values()
    assert (external["sort"], external["name"], external["serves"]) == ("external", "Desk", ["external:codex"])
    theirs = {
        one["id"]: one for one in (await at_work.json("GET", "/workers", headers=await stranger(at_work)))["data"]
    }
    assert theirs.keys() == {"worker-1", "worker-9"}
    assert (theirs["worker-9"]["holding"], theirs["worker-9"]["leases"]) == (1, [])


async def test_what_is_asked_in_a_project_is_listed_until_it_is_answered(at_work: Api) -> None:
    asked = []
    for _ in range(3):
        path, key = await at_work.conversation_run()
        requests = path.partition("/runs/")[0] + "/input-requests"
        made = await at_work.json("POST", requests, form(key.run_id))
        asked.append(f"{requests}/{made['id']}")
    listed = "/projects/default/input-requests"
    page = await at_work.json("GET", listed, params={"limit": 2})
    rest = await at_work.json("GET", listed, params={"limit": 2, "cursor": page["page_info"]["next"]})
    ids = [one["id"] for one in (*page["data"], *rest["data"])]
    assert ids == [path.rpartition("/")[2] for path in reversed(asked)]
    await at_work.json("POST", f"{asked[0]}/cancel")
    assert [one["id"] for one in (await at_work.json("GET", listed))["data"]] == ids[:2]
    await at_work.problem("GET", listed, 404, headers=await stranger(at_work))


@pytest.mark.parametrize("path", [WATCHED, "/workers", "/auth/me", "/projects/default/input-requests"])
async def test_one_who_only_appends_sees_none_of_it(at_work: Api, path: str) -> None:
    key = await at_work.new_key(scopes=["agent-runs:events:append"])
    await at_work.problem("GET", path, 403, headers={"Authorization": f"Bearer {key}"})
