"""Which runs are children of a conversation (veryfront.md 1.3, 3.5)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.http.runs_app import PROJECT, Api, agent_run


async def child_conversation(at_work: Api, **told: object) -> str:
    body = {
        "type": "project_agent",
        "project_id": str(PROJECT),
        "metadata": {"projectAgentChildRun": {"spawnedFromToolCallId": "call-1", **told}},
    }
    return str((await at_work.json("POST", "/conversations", body))["id"])


async def run_in(at_work: Api, conversation_id: str, **more: object) -> Any:
    body = {**agent_run(**more), "conversation_mode": "existing", "conversation_id": conversation_id}
    return (await at_work.json("POST", "/runs", body))["run"]


async def test_a_conversation_that_names_its_parent_makes_its_runs_children(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    parent = path.split("/")[2]
    named = await child_conversation(at_work, parentConversationId=parent, parentRunId=key.run_id)
    child = await run_in(at_work, named)
    assert (child["parent_run_id"], child["root_run_id"]) == (key.run_id, key.run_id)
    said = await run_in(at_work, named, parent_run_id="other")
    assert said["parent_run_id"] == "other", "what POST /runs says stands"
    for told in (
        {"parentConversationId": str(uuid4()), "parentRunId": key.run_id},
        {"parentConversationId": parent, "parentRunId": "nobody"},
        {"parentConversationId": parent},
        {"parentConversationId": {"a": 1}, "parentRunId": [2]},
    ):
        stray = await run_in(at_work, await child_conversation(at_work, **told))
        assert (stray["parent_run_id"], stray["root_run_id"]) == (None, stray["run_id"])
    listed = await at_work.json("GET", f"/conversations/{parent}/agent-runs/children-by-parent-conversation")
    assert [each["run_id"] for each in listed["data"]] == [child["run_id"]]
    assert listed["data"][0]["parent_run_id"] == key.run_id
    assert (await at_work.json("POST", f"/runs/{key.run_id}/cancel"))["run"]["status"] == "cancelled"
    assert (await at_work.json("GET", f"/runs/{child['run_id']}"))["status"] == "cancelled"
    assert (await at_work.json("GET", f"/runs/{said['run_id']}"))["status"] == "running"
