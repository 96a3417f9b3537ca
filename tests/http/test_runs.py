"""Create, read and list runs over HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import uuid4

import pytest
from jsonschema_rs import Draft202012Validator

from perdure.domain.run import Status
from perdure.http.runs.response_schemas import (
    canonical_run_schema,
    projection_schema,
    run_accepted_schema,
    run_page_schema,
)
from tests.http.runs_app import PROJECT, Api, agent_run, api
from tests.http.seed_schema import modern, seed_accepted

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
OWNER = {"kind": "project", "id": str(PROJECT)}
CONTEXT = {"project_id": None, "branch_id": None}

BODIES: dict[str, dict[str, Any]] = {
    "hosted agent": {
        "kind": "agent",
        "owner": OWNER,
        "request": {
            "mode": "agent",
            "agent_id": "echo",
            "input": {"messages": [{"role": "user", "content": "hi"}], "context": CONTEXT},
        },
    },
    "caller's agent": agent_run(source_target_kind="project", runtime_target_kind="main_branch"),
    "external agent": {
        "kind": "agent",
        "owner": OWNER,
        "request": {"mode": "agent", "agent_id": "far", "implementation_kind": "lambda", "worker_key": "w:1"},
    },
    "project stream agent": {
        "kind": "agent",
        "owner": OWNER,
        "request": {"mode": "agent", "input": {"agent_id": "echo", "context": [{"type": "text", "text": "t"}]}},
    },
    "workflow": {
        "kind": "workflow",
        "owner": OWNER,
        "request": {
            "workflow_id": "onboarding", "target": "workflow:onboarding", "input": {"a": 1}, "start_mode": "manual",
        },
    },
    "task": {
        "kind": "task",
        "owner": OWNER,
        "request": {
            "name": "report", "target": "task:report", "config": {"a": [1]}, "timeout_seconds": 60, "backoff_limit": 0,
            "batch_id": str(uuid4()),
        },
    },
    "eval": {"kind": "eval", "owner": OWNER, "request": {"target": "eval:smoke", "config": {}, "input": {}}},
}  # fmt: skip


def fits(schema: dict[str, Any], value: object) -> bool:
    return Draft202012Validator(schema, validate_formats=True).is_valid(value)


@pytest.mark.parametrize("name", BODIES)
async def test_every_kind_is_accepted_and_reads_as_the_seed_says(database: str, name: str) -> None:
    body = BODIES[name]
    async with api(database) as at_work:
        answer = await at_work.client.post("/runs", json=body)
        assert answer.status_code == 202, answer.text
        made = answer.json()
        assert made["accepted"] is True
        assert made["duplicate"] is False
        assert fits(modern(seed_accepted()), made)
        assert fits(run_accepted_schema(), made)
        run = made["run"]
        assert await at_work.json("GET", f"/runs/{run['run_id']}") == run
        assert fits(canonical_run_schema(), run)
        assert run["kind"] == body["kind"]
        assert run["status"] == ("running" if name == "caller's agent" else "pending")
        assert run["owner"] == OWNER
        assert run["root_run_id"] == run["run_id"]
        assert run["trigger_kind"] == "api"
        assert run["artifacts"] == []
        assert (run["logs"], run["duration_ms"], run["exit_code"], run["error"]) == (None, None, None, None)
        assert re.fullmatch("[0-9a-f]{24}", run["run_id"])
        assert ISO.fullmatch(run["created_at"])
        request = body["request"]
        for member in ("target", "workflow_id", "batch_id", "start_mode", "timeout_seconds", "backoff_limit"):
            assert run[member] == request.get(member)
        assert run.get("config") == request.get("config")
        assert run.get("input") == request.get("input")
        (listed,) = (await at_work.json("GET", "/runs"))["data"]
        assert listed == {key: value for key, value in run.items() if key not in ("input", "config", "output")}


async def test_a_conversations_run_reads_as_the_seed_says(database: str) -> None:
    async with api(database) as at_work:
        parent = await at_work.create(public_id="parent")
        trigger = {"conversation_id": parent["conversation_id"], "message_id": str(uuid4()), "tool_call_id": "call-1"}
        made = await at_work.create(
            parent_run_id="parent",
            trigger=trigger,
            source_target_kind="preview_branch",
            source_target_branch_id=str(PROJECT),
        )
        projection = await at_work.json("GET", f"/conversations/{made['conversation_id']}/runs/{made['run']['run_id']}")
        assert fits(projection_schema(), projection)
        assert projection["message_id"] == made["message_id"]
        assert projection["parent_conversation_id"] == parent["conversation_id"]
        assert projection["parent_run_id"] == "parent"
        assert projection["spawned_from_tool_call_id"] == "call-1"
        assert projection["source_target_branch_id"] == str(PROJECT)
        assert projection["status"] == "running"
        assert ISO.fullmatch(projection["started_at"])
        child = await at_work.json("GET", f"/runs/{made['run']['run_id']}")
        assert child["root_run_id"] == "parent"


async def test_a_create_can_be_sent_again(database: str) -> None:
    async with api(database) as at_work:
        for again in ({"public_id": "mine"}, {"headers": {"Idempotency-Key": "once"}}):
            public_id = {name: again[name] for name in ("public_id",) if name in again}
            more = {name: again[name] for name in ("headers",) if name in again}
            body: dict[str, Any] = agent_run(**public_id)
            answers = await asyncio.gather(*(at_work.json("POST", "/runs", body, **more) for _ in range(4)))
            assert sorted(answer["duplicate"] for answer in answers) == [False, True, True, True]
            assert len({answer["run"]["run_id"] for answer in answers}) == 1
            assert len({answer["message_id"] for answer in answers}) == 1
        assert len((await at_work.json("GET", "/runs"))["data"]) == 2


async def test_an_id_or_key_that_stands_for_something_else_is_a_conflict(database: str) -> None:
    async with api(database) as at_work:
        await at_work.create(public_id="mine")
        other = agent_run(public_id="mine", agent_id="another")
        assert (await at_work.problem("POST", "/runs", 409, json=other))["code"] == "run_exists"
        headers = {"Idempotency-Key": "once"}
        await at_work.json("POST", "/runs", agent_run(), headers=headers)
        problem = await at_work.problem("POST", "/runs", 409, json=agent_run(agent_id="another"), headers=headers)
        assert problem["code"] == "idempotency_key_reused"


async def test_a_run_that_was_only_recorded_is_started_by_the_second_request(database: str) -> None:
    """The two-phase start of veryfront.md 1.2."""
    async with api(database) as at_work:
        first = agent_run(public_id="canary", agent_id="echo", initial_status="pending")
        made = await at_work.json("POST", "/runs", first)
        projection = await at_work.json("GET", f"/conversations/{made['conversation_id']}/runs/canary")
        assert projection["status"] == "pending"
        started = {"run_id": "canary", "message_id": projection["message_id"]}
        given = {"messages": [{"role": "user", "content": "go"}], "context": CONTEXT, "durable_root_run": started}
        second = {**first, "request": {**first["request"], "input": given}}
        again = await at_work.json("POST", "/runs", second)
        assert again["duplicate"] is True
        assert again["run"]["status"] == "pending"
        assert again["run"]["input"] == given
        third = await at_work.json("POST", "/runs", second)
        assert third["run"]["run_id"] == "canary"


async def test_what_is_named_must_be_there(database: str) -> None:
    async with api(database) as at_work:
        unknown = {**BODIES["hosted agent"], "request": {**BODIES["hosted agent"]["request"], "agent_id": "nobody"}}
        problem = await at_work.problem("POST", "/runs", 404, json=unknown)
        assert problem["code"] == "agent_not_found"
        assert "echo" in problem["detail"]
        missing = {**agent_run(), "conversation_mode": "existing"}
        assert (await at_work.problem("POST", "/runs", 404, json=missing))["code"] == "conversation_not_found"
        foreign = {**agent_run(), "owner": {"kind": "project", "id": str(uuid4())}}
        assert (await at_work.problem("POST", "/runs", 404, json=foreign))["code"] == "project_not_found"
        assert (await at_work.json("GET", "/runs"))["data"] == []


async def test_a_conversation_can_own_runs(database: str) -> None:
    async with api(database) as at_work:
        made = await at_work.create()
        conversation = made["conversation_id"]
        body = {**agent_run(), "owner": {"kind": "conversation", "id": conversation}, "conversation_mode": "existing"}
        del body["conversation_id"]
        second = await at_work.json("POST", "/runs", body)
        assert second["conversation_id"] == conversation
        assert second["run"]["owner"] == {"kind": "conversation", "id": conversation}


async def listed(at_work: Api, query: str) -> list[str]:
    page = await at_work.json("GET", f"/runs?{query}")
    assert fits(run_page_schema(), page)
    return [run["run_id"] for run in page["data"]]


async def test_lists_are_filtered(database: str) -> None:
    async with api(database) as at_work:
        await at_work.create(public_id="one", agent_id="a")
        first = await at_work.json("GET", "/runs/one")
        await at_work.json("POST", "/runs", {**BODIES["task"], "public_id": "two", "parent_run_id": "one"})
        await at_work.create(public_id="three", agent_id="b")
        await at_work.json("POST", "/runs/three/cancel")
        for query, expected in (
            ("", ["three", "two", "one"]),
            ("kind=agent", ["three", "one"]),
            ("status=running", ["one"]),
            ("status=running,cancelled", ["three", "one"]),
            ("status=pending&status=running", ["two", "one"]),
            ("agent_id=b", ["three"]),
            ("target=task:report", ["two"]),
            ("parent=one", ["two"]),
            ("tag=nothing", []),
            (f"until={first['created_at']}", ["one"]),
            ("since=2001-01-01T00:00:00%2B02:00", ["three", "two", "one"]),
            ("since=2001-01-01T00:00:00+02:00&until=2001-01-02", []),
            ("kind=agent&status=cancelled&agent_id=b", ["three"]),
        ):
            assert await listed(at_work, query) == expected, query
        assert [run["run_id"] for run in (await at_work.json("GET", "/projects/default/runs?kind=task"))["data"]] == [
            "two"
        ]


async def test_lists_come_in_pages(database: str) -> None:
    async with api(database) as at_work:
        for number in range(7):
            await at_work.create(public_id=f"run-{number}")
        seen: list[str] = []
        cursor = ""
        while True:
            page = await at_work.json("GET", f"/runs?limit=3{cursor}")
            seen.extend(run["run_id"] for run in page["data"])
            info = page["page_info"]
            assert set(info) == {"self", "first", "next", "prev"}
            assert (info["first"], info["prev"]) == (None, None)
            assert info["self"] == (cursor.removeprefix("&cursor=") or None)
            if info["next"] is None:
                break
            cursor = f"&cursor={info['next']}"
        assert seen == [f"run-{number}" for number in reversed(range(7))]


async def test_events_come_in_pages(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        for first in (1, 4):
            events = [{"type": "CUSTOM", "value": number} for number in range(first, first + 3)]
            await at_work.json("POST", f"{path}/events", {"events": events})
        page = await at_work.json("GET", f"/runs/{key.run_id}/events?limit=2&after_event_id=2")
        assert [(entry["event_id"], entry["payload"]["value"]) for entry in page["data"]] == [(3, 3), (4, 4)]
        assert page["page_info"] == {"self": "2", "first": None, "next": "4", "prev": None}
        assert all(ISO.fullmatch(entry["created_at"]) for entry in page["data"])
        assert page["data"][0]["event_type"] == "CUSTOM"
        rest = await at_work.json("GET", f"{path}/events?after_event_id=4")
        assert [(entry["event_id"], entry["event"]["value"]) for entry in rest["data"]] == [(5, 5), (6, 6)]
        assert rest["page_info"] == {"self": "4", "first": None, "next": None, "prev": None}


async def test_status_words_of_the_two_views(database: str) -> None:
    """Rule 5 of veryfront.md section 0: each view has its own word for a run that waits."""
    for status in Status:
        assert status in canonical_run_schema()["properties"]["status"]["enum"]
    words = projection_schema()["properties"]["status"]["enum"]
    assert "waiting_for_tool" in words
    assert "waiting" not in words
