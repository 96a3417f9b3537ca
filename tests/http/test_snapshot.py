"""The snapshot of a conversation's run (veryfront.md 2.6)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from jsonschema_rs import Draft202012Validator

from perdure.http.runs.snapshot_routes import snapshot_schema
from tests.http.runs_app import Api
from tests.http.test_messages import EVENTS, PARTS

SNAPSHOT = Draft202012Validator(snapshot_schema(), validate_formats=True)
CHILD = {
    "type": "STATE_DELTA",
    "delta": [{"op": "add", "path": "/invokeAgentChildRuns/x", "value": {"status": "running"}}],
}


async def snapshot(at_work: Api, path: str) -> dict[str, Any]:
    """The snapshot of the run with this path."""
    taken: dict[str, Any] = await at_work.json("GET", f"{path}/snapshot")
    SNAPSHOT.validate(taken)
    return taken


async def test_a_fresh_run_has_an_empty_one(at_work: Api) -> None:
    path, _ = await at_work.conversation_run()
    taken = await snapshot(at_work, path)
    assert taken["after_event_id"] == 0
    messages, state = taken["events"]
    assert messages["event_id"] is None
    assert messages["event"]["type"] == "MESSAGES_SNAPSHOT"
    assert [message["content"] for message in messages["event"]["messages"]] == [""]
    empty: dict[str, Any] = {"invokeAgentChildRuns": {}, "inputRequestsByToolCallId": {}}
    assert state == {"event_id": None, "event": {"type": "STATE_SNAPSHOT", "snapshot": empty}}


async def test_it_says_what_a_run_has_said_so_far_and_where_to_go_on(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    conversation = path.partition("/runs/")[0]
    asked = await at_work.json(
        "POST", f"{conversation}/messages", {"role": "user", "parts": [{"type": "text", "text": "hi"}]}
    )
    await at_work.json("POST", f"{conversation}/messages", {"role": "system", "parts": []})
    events = [*EVENTS, CHILD]
    appended = await at_work.json("POST", f"{path}/events", {"events": events})
    taken = await snapshot(at_work, path)
    assert taken["after_event_id"] == appended["latest_event_id"] == len(events)
    said, returned, question = taken["events"][0]["event"]["messages"]
    assert said["id"] == appended["run"]["message_id"]
    assert (said["role"], said["content"], said["parts"]) == ("assistant", "Hello", PARTS)
    function = {"name": "look", "arguments": '{"a":1}'}
    assert said["toolCalls"] == [{"id": "x", "type": "function", "function": function}]
    assert (returned["role"], returned["toolCallId"], returned["content"]) == ("tool", "x", "found")
    assert (question["id"], question["role"], question["content"]) == (asked["id"], "user", "hi")
    assert taken["events"][1]["event"]["snapshot"]["invokeAgentChildRuns"] == {"x": {"status": "running"}}
    assert len(taken["events"]) == 2

    await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
    stream = await at_work.client.get(f"{path}/stream", headers={"Last-Event-ID": str(taken["after_event_id"])})
    assert stream.text.count("event: ") == 1
    ended = await snapshot(at_work, path)
    assert ended["events"][:2] == taken["events"]
    assert ended["events"][2]["event_id"] == ended["after_event_id"] == len(events) + 1
    assert ended["events"][2]["event"]["type"] == "RUN_FINISHED"
    assert await at_work.json("GET", f"{path.replace('/runs/', '/agent-runs/')}/snapshot") == ended


async def test_a_cancelled_run_ends_with_its_error(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    await at_work.json("POST", f"{path}/events", {"events": EVENTS[2:4]})
    await at_work.json("POST", f"/runs/{key.run_id}/cancel")
    last = (await snapshot(at_work, path))["events"][2]["event"]
    assert (last["type"], last["code"]) == ("RUN_ERROR", "CANCELLED")


async def test_somebody_elses_is_not_found(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    await at_work.problem("GET", f"{path}x/snapshot", 404)
    await at_work.problem("GET", f"/conversations/{uuid4()}/runs/{key.run_id}/snapshot", 404)
