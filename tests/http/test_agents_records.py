"""Runs that somebody else executes, and says how they go; and the sub-routes of process runs (vertesia.md 1.5, 1.6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.services import lifecycle, projections
from tests.http.agents_app import RUN, caller
from tests.http.runs_app import Api

RECORD: dict[str, Any] = {"workflow_id": "w-1", "first_workflow_run_id": "f-1", "interaction": "app:helper@3"}


async def test_a_run_of_somebody_else_is_recorded_once(at_work: Api) -> None:
    who = await caller(at_work)
    body = {**RECORD, "title": "T", "topic": "about", "data": {"a": 1}, "workstream_id": "ws", "type": "schedule"}
    runs = await asyncio.gather(*(who.json("POST", "/record", body) for _ in range(3)))
    run = runs[0]
    RUN.validate(run)
    assert {made["id"] for made in runs} == {run["id"]}
    assert (run["status"], run["interaction"], run["interaction_name"]) == ("running", "app:helper@3", "app:helper")
    assert (run["title"], run["topic"], run["data"], run["workstream_id"]) == ("T", "about", {"a": 1}, "ws")
    assert (run["source_type"], run["started_by"], "workflow_id" in run) == ("schedule", who.subject, False)
    await who.refused("POST", "/record", 409, {**body, "title": "another"})
    assert await lifecycle.claim(at_work.core, "worker-1", ["agent:app:helper"], 1, 60) == []
    other = await who.json("POST", "/record", {**body, "first_workflow_run_id": "f-2"})
    assert other["id"] != run["id"]


async def test_a_bad_record_is_refused(at_work: Api) -> None:
    who = await caller(at_work)
    bad: tuple[object, ...] = ({}, {**RECORD, "more": 1}, {**RECORD, "interaction": ""}, {**RECORD, "data": []}, [])
    for body in bad:
        await who.refused("POST", "/record", 400, body)
    process = {"workflow_id": "w", "run_kind": "process", "process_id": "p"}
    await who.refused("POST", "/record", 501, process)
    await who.refused("POST", "/record", 501, {"workflow_id": "w", "run_kind": "process"})
    older = {"x-api-version": "20260802"}
    assert (await who.ask("POST", "/record", {**RECORD, "more": 1}, headers=older)).status_code == 200


async def test_its_status_moves_and_the_first_end_stays(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.json("POST", "/record", RECORD)
    where = f"/{run['id']}/status"
    assert (await who.json("POST", where, {"status": "created"}))["status"] == "running"
    for activity in ("idle", "working", "idle"):
        told = await who.json("POST", where, {"activity_state": activity})
        RUN.validate(told)
        assert told["activity_state"] == activity
    ended = await who.json("POST", where, {"status": "completed"})
    RUN.validate(ended)
    assert ended["status"] == "completed"
    assert "activity_state" not in ended
    for status in ("failed", "cancelled", "running", "created"):
        again = await who.json("POST", where, {"status": status})
        assert (again["status"], again["completed_at"]) == ("completed", ended["completed_at"])
    events = await who.json("GET", f"/runs/{run['id']}/events")
    assert [event["payload"]["type"] for event in events["data"]] == ["RUN_FINISHED"]
    for status in ("failed", "cancelled"):
        other = await who.json("POST", "/record", {**RECORD, "workflow_id": status})
        assert (await who.json("POST", f"/{other['id']}/status", {"status": status}))["status"] == status


async def test_of_two_ends_at_once_one_counts(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.json("POST", "/record", RECORD)
    words = ("completed", "failed", "cancelled") * 2
    answers = await asyncio.gather(*(who.json("POST", f"/{run['id']}/status", {"status": word}) for word in words))
    assert len({answer["status"] for answer in answers}) == 1


async def test_a_worker_of_ours_knows_better(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start(data={"task": "go"})
    await who.refused("POST", f"/{run['id']}/status", 409, {"status": "running"})
    await who.refused("POST", f"/{run['id']}/status", 409, {"activity_state": "idle"})
    assert (await who.json("POST", f"/{run['id']}/status", {"status": "cancelled"}))["status"] == "cancelled"


async def test_what_is_said_about_a_run_changes(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start(properties={"a": 1, "b": {"c": 1}}, disabled_mcp_collections=["x"], title="old")
    where = f"/{run['id']}/status"
    told = await who.json(
        "POST",
        where,
        {
            "title": "new",
            "topic": "about",
            "properties": {"b": {"d": 2}, "e": 3},
            "lessons_learned": ["one"],
            "tool_approval_mode": "ask",
            "archive_state": "complete",
            "archived_at": "2026-01-02T03:04:05.000Z",
            "archive_version": 2,
            "last_archive_error": "none",
            "model": "gpt-9",
            "effort": "high",
        },
    )
    RUN.validate(told)
    assert (told["title"], told["topic"], told["model"]) == ("new", "about", "gpt-9")
    assert told["properties"] == {"a": 1, "b": {"d": 2}, "e": 3}
    assert (told["lessons_learned"], told["tool_approval_mode"]) == (["one"], "ask")
    assert (told["archive_state"], told["archive_version"]) == ("complete", 2)
    assert told["disabled_mcp_collections"] == ["x"]
    assert "effort" not in told
    cleared = await who.json("POST", where, {"disabled_mcp_collections": [], "effort": None})
    assert cleared["disabled_mcp_collections"] == []
    assert cleared["properties"] == told["properties"]
    assert await who.json("POST", where, {}) == await who.json("GET", f"/{run['id']}")


async def test_changes_at_the_same_time_lose_nothing(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start()
    names = [f"p{number}" for number in range(8)]
    await asyncio.gather(*(who.json("POST", f"/{run['id']}/status", {"properties": {name: 1}}) for name in names))
    assert sorted((await who.json("GET", f"/{run['id']}"))["properties"]) == names


async def test_a_run_is_found_by_its_content(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.json("POST", "/record", RECORD)
    told = await who.ask("POST", f"/{run['id']}/status", {"content": "zanzibar", "properties": {"n": 1}})
    assert told.status_code == 200
    assert "zanzibar" not in told.text
    await projections.catch_up(at_work.core)
    found = await who.json("GET", "/search?query=zanzibar")
    assert [hit["id"] for hit in found["hits"]] == [run["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"status": "paused"},
        {"status": None},
        {"more": 1},
        {"process_state": {}},
        {"sequence": 1},
        {"archived_at": "yesterday"},
        {"properties": []},
        {"archive_state": "lost"},
        {"effort": "huge"},
    ],
)
async def test_bad_changes_change_nothing(at_work: Api, body: dict[str, Any]) -> None:
    who = await caller(at_work)
    run = await who.start()
    await who.refused("POST", f"/{run['id']}/status", 400, {"title": "new", **body})
    assert await who.json("GET", f"/{run['id']}") == run
    await who.refused("POST", "/nothing/status", 404, {"title": "x"})


async def test_a_workflow_is_bound(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.json("POST", "/record", RECORD)
    body = {"workflow_id": "w-2", "first_workflow_run_id": "f-2", "status": "running", "activity_state": "idle"}
    bound = await who.json("POST", f"/{run['id']}/workflow", body)
    RUN.validate(bound)
    assert (bound["activity_state"], "workflow_id" in bound) == ("idle", False)
    assert (await who.json("GET", f"/{run['id']}/internals"))["workflow_id"] == "w-2"
    for bad in ({}, {"workflow_id": "w"}, {**body, "x": 1}):
        await who.refused("POST", f"/{run['id']}/workflow", 400, bad)
    await who.refused("POST", "/nothing/workflow", 404, body)


async def test_no_run_is_a_process_run(at_work: Api) -> None:
    who = await caller(at_work)
    reader = await caller(at_work, "runs:read")
    run = await who.start()
    for method, name, body in (
        ("GET", "context", None),
        ("GET", "history", None),
        ("POST", "advance", {"target": "x"}),
        ("POST", "retry-node", {}),
        ("POST", "answer-task", {"task_id": "t", "result": {}}),
    ):
        error = await who.refused(method, f"/{run['id']}/{name}", 400, body)
        assert "not a process run" in error["message"]
        await who.refused(method, f"/nothing/{name}", 404, body)
        await reader.refused(method, f"/{run['id']}/{name}", 400 if method == "GET" else 403, body)
    for body in ({"process_id": "p"}, {"process_definition": {}, "interaction": "echo"}):
        await who.refused("POST", "", 501, body)
