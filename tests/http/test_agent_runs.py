"""A conversation's runs under their older names: start, children, cancel, tool results (veryfront.md 1.2, 1.3)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from jsonschema_rs import Draft202012Validator

from perdure.domain.run import Park, PendingCall, Waiting, WaitingReason
from perdure.http.runs.response_schemas import projection_page_schema, run_started_schema
from perdure.services import lifecycle
from tests.http.runs_app import PROJECT, Api, agent_run

STARTED = Draft202012Validator(run_started_schema(), validate_formats=True)
PAGE = Draft202012Validator(projection_page_schema(), validate_formats=True)
INPUT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "go"}],
    "context": {"project_id": None, "branch_id": None},
    "runtime_overrides": {"max_steps": 3},
}


async def recorded(at_work: Api, agent_id: str = "echo") -> str:
    """The path of a run that waits for its start, under /agent-runs/."""
    body = agent_run(agent_id=agent_id, initial_status="pending")
    made = await at_work.json("POST", "/runs", body)
    return f"/conversations/{made['conversation_id']}/agent-runs/{made['run']['run_id']}"


async def test_a_recorded_run_is_started_once(at_work: Api) -> None:
    path = await recorded(at_work)
    assert await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 1, 60) == []
    answers = await asyncio.gather(*(at_work.json("POST", f"{path}/start", INPUT) for _ in range(5)))
    for answer in answers:
        STARTED.validate(answer)
        assert (answer["accepted"], answer["run"]["status"]) == (True, "pending")
    assert sorted(answer["duplicate"] for answer in answers) == [False, True, True, True, True]
    (taken,) = await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 5, 60)
    assert (await at_work.json("GET", f"/runs/{taken.key.run_id}"))["input"] == INPUT
    late = await at_work.json("POST", f"{path}/start", {**INPUT, "messages": []})
    assert (late["duplicate"], late["run"]["status"]) == (True, "running")
    assert (await at_work.json("GET", f"/runs/{taken.key.run_id}"))["input"] == INPUT


async def test_what_was_started_otherwise_is_a_duplicate(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    start = path.replace("/runs/", "/agent-runs/") + "/start"
    running = await at_work.json("POST", start, INPUT)
    assert (running["duplicate"], running["run"]["status"]) == (True, "running")
    await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
    ended = await at_work.json("POST", start, INPUT)
    assert (ended["duplicate"], ended["run"]["status"]) == (True, "completed")


async def test_a_start_and_the_second_phase_of_a_create_start_once(at_work: Api) -> None:
    path = await recorded(at_work)
    projection = await at_work.json("GET", path)
    root = {"run_id": projection["run_id"], "message_id": projection["message_id"]}
    body = agent_run(public_id=projection["run_id"], agent_id="echo", initial_status="pending")
    body["request"]["input"] = {**INPUT, "durable_root_run": root}
    body["conversation_id"] = projection["conversation_id"]
    await asyncio.gather(
        at_work.json("POST", "/runs", body),
        at_work.json("POST", f"{path}/start", {**INPUT, "durable_root_run": root}),
    )
    assert len(await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 5, 60)) == 1


async def test_a_start_that_does_not_fit_changes_nothing(at_work: Api) -> None:
    path = await recorded(at_work)
    start = f"{path}/start"
    root = {"run_id": "another", "message_id": str(uuid4())}
    for body, pointer in (
        ({}, "/messages"),
        ({**INPUT, "messages": [{"role": "boss"}]}, "/messages/0/role"),
        ({**INPUT, "durable_root_run": root}, "/durable_root_run/run_id"),
        ({**INPUT, "runtime_overrides": {"max_steps": 0}}, "/runtime_overrides/max_steps"),
    ):
        assert (await at_work.problem("POST", start, 400, json=body))["pointer"] == pointer
    await at_work.problem("POST", start.replace("/agent-runs/", "/agent-runs/x"), 404, json=INPUT)
    elsewhere = f"/conversations/{uuid4()}/agent-runs/{path.rpartition('/')[2]}/start"
    await at_work.problem("POST", elsewhere, 404, json=INPUT)
    nobodys = f"{await recorded(at_work, 'nobody')}/start"
    assert (await at_work.problem("POST", nobodys, 404, json=INPUT))["code"] == "agent_not_found"
    assert await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 5, 60) == []


async def test_a_conversations_run_has_the_same_routes_under_its_older_path(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    older = path.replace("/runs/", "/agent-runs/")
    events = {"events": [{"type": "CUSTOM", "name": "a", "value": 1}], "expected_previous_event_id": 0}
    appended = await at_work.json("POST", f"{older}/events", events)
    assert appended["latest_event_id"] == 1
    assert await at_work.json("GET", older) == await at_work.json("GET", path) == appended["run"]
    assert await at_work.json("GET", f"{older}/events") == await at_work.json("GET", f"{path}/events")
    await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
    streams = [(await at_work.client.get(f"{one}/stream")).text for one in (older, path)]
    assert streams[0] == streams[1]
    assert "event: RunFinished" in streams[0]


async def test_the_runs_that_a_conversation_started(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    conversation = path.partition("/runs/")[0]
    listed = f"{conversation}/agent-runs/children-by-parent-conversation"
    children = []
    for _ in range(3):
        trigger = {"conversation_id": conversation.rpartition("/")[2], "tool_call_id": "call"}
        made = await at_work.create(parent_run_id=key.run_id, trigger=trigger)
        children.append(made["run"]["run_id"])
    await at_work.create()
    await at_work.json(
        "POST",
        "/runs",
        {
            "kind": "task",
            "owner": {"kind": "project", "id": str(PROJECT)},
            "parent_run_id": key.run_id,
            "request": {"target": "task:t"},
        },
    )
    first = await at_work.json("GET", listed, params={"limit": 2})
    PAGE.validate(first)
    second = await at_work.json("GET", listed, params={"limit": 2, "cursor": first["page_info"]["next"]})
    PAGE.validate(second)
    assert [run["run_id"] for run in first["data"] + second["data"]] == children[::-1]
    assert second["page_info"]["next"] is None
    assert first["data"][0]["parent_run_id"] == key.run_id
    assert first["data"][0]["parent_conversation_id"] == conversation.rpartition("/")[2]
    await at_work.problem("GET", f"/conversations/{uuid4()}/agent-runs/children-by-parent-conversation", 404)


async def test_the_older_ways_to_cancel(at_work: Api) -> None:
    for older in ("/agent-runs/", "/agent-stream/"):
        path, key = await at_work.conversation_run()
        cancel = path.replace("/runs/", older) + "/cancel"
        assert await at_work.json("POST", cancel) == {"cancelled": True}
        assert await at_work.json("POST", cancel) == {"cancelled": False}
        assert (await at_work.json("GET", f"/runs/{key.run_id}"))["status"] == "cancelled"
        await at_work.problem("POST", f"/conversations/{uuid4()}{older}{key.run_id}/cancel", 404)


async def test_the_older_way_to_answer_a_tool_call(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    answer = path.replace("/runs/", "/agent-stream/") + "/tool-result"
    waiting = Waiting(WaitingReason.TOOL, (PendingCall("call", "look", WaitingReason.TOOL),))
    await lifecycle.apply(at_work.core, key, Park(waiting, None))
    assert (await at_work.json("GET", path))["waiting_tool_call_id"] == "call"
    body = {"toolCallId": "call", "result": {"found": 1}}
    assert await at_work.json("POST", answer, body) == {"accepted": True, "duplicate": False}
    assert await at_work.json("POST", answer, body) == {"accepted": True, "duplicate": True}
    await at_work.problem("POST", answer, 409, json={**body, "result": 2})
    await at_work.problem("POST", answer, 400, json={"tool_call_id": "call", "result": 1})
    events = (await at_work.json("GET", f"{path}/events"))["data"]
    results = [item["event"] for item in events if item["event"]["type"] == "TOOL_CALL_RESULT"]
    assert [event["toolCallId"] for event in results] == ["call"]
