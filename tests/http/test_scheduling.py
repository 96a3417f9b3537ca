"""The query of POST /runs and POST /batches says when runs are executed; projects and targets have limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from perdure.domain.catalog import Published
from perdure.domain.run import Kind
from perdure.services import catalog
from tests.http.runs_app import PROJECT, Api, agent_run

SOON = "2999-01-01T00:00:00Z"
LATER = "2999-01-02T00:00:00+00:00"


def body(**outer: object) -> dict[str, Any]:
    task = {"kind": "task", "owner": {"kind": "project", "id": str(PROJECT)}, "request": {"target": "task:a"}}
    return {**task, **outer}


async def test_a_run_shows_how_it_is_scheduled(at_work: Api) -> None:
    query = {"priority": "-7", "run_after": SOON, "deadline": LATER}
    run = (await at_work.json("POST", "/runs", body(), params=query))["run"]
    assert (run["priority"], run["run_after"]) == (-7, "2999-01-01T00:00:00.000Z")
    assert run["deadline"] == "2999-01-02T00:00:00.000Z"
    assert (await at_work.json("GET", f"/runs/{run['run_id']}"))["deadline"] == run["deadline"]
    plain = (await at_work.json("POST", "/runs", body()))["run"]
    assert (plain["priority"], plain["run_after"], plain["deadline"]) == (0, None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("priority", value) for value in ("101", "-101", "1.0", "high", "", "٣")),
        *(
            ("run_after", value)
            for value in ("tomorrow", "", "2999-01-01", "2999-01-01T00:00:00", "2999-02-30T00:00:00Z")
        ),
        *(("deadline", value) for value in ("x", "2999-01-01T25:00:00Z", "0001-01-01T00:00:00+10:00")),
    ],
)
async def test_a_bad_value_names_its_parameter(at_work: Api, name: str, value: str) -> None:
    problem = await at_work.problem("POST", "/runs", 400, json=body(), params={name: value})
    assert f"`{name}`" in problem["detail"]
    problem = await at_work.problem("POST", "/runs", 400, json=body(), params=httpx.QueryParams([(name, SOON)] * 2))
    assert f"`{name}`" in problem["detail"]
    assert (await at_work.json("GET", "/runs"))["data"] == []


async def test_times_that_cannot_be_kept(at_work: Api) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    problem = await at_work.problem("POST", "/runs", 400, json=body(), params={"deadline": past})
    assert "in the past" in problem["detail"]
    for path, document in (("/runs", body()), ("/batches", {"requests": [{"target": "task:a"}]})):
        problem = await at_work.problem("POST", path, 400, json=document, params={"run_after": LATER, "deadline": SOON})
        assert "`deadline` must be after `run_after`" in problem["detail"]
    problem = await at_work.problem("POST", "/runs", 400, json=agent_run(), params={"run_after": SOON})
    assert "`run_after`" in problem["detail"]
    assert (await at_work.json("GET", "/runs"))["data"] == []


async def test_the_query_counts_where_requests_are_compared(at_work: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await at_work.json("POST", "/runs", body(), headers=headers, params={"deadline": SOON})
    again = await at_work.json("POST", "/runs", body(), headers=headers, params={"deadline": SOON})
    assert (again["duplicate"], again["run"]["run_id"]) == (True, first["run"]["run_id"])
    other = await at_work.problem("POST", "/runs", 409, json=body(), headers=headers, params={"deadline": LATER})
    assert other["code"] == "idempotency_key_reused"
    batch = {"batch_id": str(uuid4()), "requests": [{"target": "task:a"}]}
    await at_work.json("POST", "/batches", batch, params={"priority": 1})
    await at_work.problem("POST", "/batches", 409, json=batch, params={"priority": 2})


async def test_a_request_that_was_taken_is_answered_after_its_deadline_too(at_work: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    first = await at_work.json("POST", "/runs", body(), headers=headers, params={"deadline": soon})
    while datetime.now(UTC) <= datetime.fromisoformat(soon):
        again = await at_work.json("POST", "/runs", body(), headers=headers, params={"deadline": soon})
    again = await at_work.json("POST", "/runs", body(), headers=headers, params={"deadline": soon})
    assert (again["duplicate"], again["run"]["run_id"]) == (True, first["run"]["run_id"])


async def test_a_run_that_was_only_recorded_is_scheduled_by_the_request_that_starts_it(at_work: Api) -> None:
    recorded = agent_run(public_id="two-phases", agent_id="echo", initial_status="pending")
    await at_work.json("POST", "/runs", recorded, params={"priority": 3, "deadline": LATER})
    given = {"messages": [], "context": {"project_id": None, "branch_id": None}}
    start = {**recorded, "request": {**recorded["request"], "input": given}}
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    for impossible in ({"deadline": past}, {"run_after": "2999-01-03T00:00:00Z"}):
        await at_work.problem("POST", "/runs", 400, json=start, params=impossible)
    assert "input" not in await at_work.json("GET", "/runs/two-phases")
    started = (await at_work.json("POST", "/runs", start, params={"priority": 7, "run_after": SOON}))["run"]
    shown = (7, "2999-01-01T00:00:00.000Z", "2999-01-02T00:00:00.000Z")
    assert (started["priority"], started["run_after"], started["deadline"]) == shown
    (queued,) = await at_work.core.database.fetch("SELECT priority, available_at FROM run_queue")
    assert (queued["priority"], queued["available_at"]) == (7, datetime.fromisoformat(SOON))
    again = await at_work.json("POST", "/runs", start, params={"priority": 1, "deadline": SOON})
    assert again["duplicate"] is True
    assert (again["run"]["priority"], again["run"]["run_after"], again["run"]["deadline"]) == shown


async def test_all_runs_of_a_batch_are_scheduled_alike(at_work: Api) -> None:
    query = {"priority": "9", "run_after": SOON, "deadline": LATER}
    made = await at_work.json("POST", "/batches", {"requests": [{"target": "task:a"}] * 3}, params=query)
    for run_id in made["run_ids"]:
        run = await at_work.json("GET", f"/runs/{run_id}")
        assert (run["priority"], run["run_after"][:10], run["deadline"][:10]) == (9, SOON[:10], LATER[:10])
    rows = await at_work.core.database.fetch("SELECT priority, available_at FROM run_queue")
    assert {tuple(row) for row in rows} == {(9, datetime.fromisoformat(SOON))}


async def test_an_administrator_limits_a_project(at_work: Api) -> None:
    assert (await at_work.json("GET", f"/projects/{PROJECT}"))["max_running"] is None
    changed = await at_work.json("PATCH", "/projects/default", {"max_running": 3})
    assert changed["max_running"] == (await at_work.json("GET", "/projects"))["data"][0]["max_running"] == 3
    for bad in (0, -1, "3", 1.5, 10**7):
        problem = await at_work.problem("PATCH", "/projects/default", 400, json={"max_running": bad})
        assert problem["pointer"] == "/max_running"
    await at_work.problem("PATCH", "/projects/default", 400, json={})
    await at_work.problem("PATCH", "/projects/nowhere", 404, json={"max_running": 1})
    headers = {"Authorization": f"Bearer {await at_work.new_key()}"}
    await at_work.problem("PATCH", "/projects/default", 403, json={"max_running": 1}, headers=headers)
    assert (await at_work.json("PATCH", "/projects/default", {"max_running": None}))["max_running"] is None


async def test_the_catalogue_shows_a_target_s_limit_as_the_newest_registration_has_it(at_work: Api) -> None:
    for most in (2, None, 5):
        await catalog.publish(at_work.core, [Published(Kind.TASK, "a", concurrency=most)])
        entries = (await at_work.json("GET", "/catalog"))["data"]
        assert (
            next(entry for entry in entries if (entry["kind"], entry["name"]) == ("task", "a"))["concurrency"] == most
        )
