"""What becomes of a new run while another one of its conversation is live."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Cancel, Finish, Status
from perdure.services import conversation_line, lifecycle
from tests.http.runs_app import PROJECT, Api

ROUTE = "agent:echo"


def body(conversation: str, run_id: str, **more: object) -> dict[str, Any]:
    said = {"messages": [], "context": {"project_id": str(PROJECT), "branch_id": None}}
    return {
        "kind": "agent",
        "owner": {"kind": "project", "id": str(PROJECT)},
        "conversation_mode": "existing",
        "conversation_id": conversation,
        "public_id": run_id,
        "request": {"mode": "agent", "agent_id": "echo", "input": said},
        **more,
    }


async def conversation(at_work: Api, policy: str | None = None) -> str:
    sent = {} if policy is None else {"run_policy": policy}
    return str((await at_work.json("POST", "/conversations", sent))["id"])


async def create(at_work: Api, place: str, run_id: str, policy: str | None = None, **more: object) -> str | None:
    """Create a run; the run that it waits for."""
    query = {} if policy is None else {"conversation_policy": policy}
    made = await at_work.json("POST", "/runs", body(place, run_id, **more), params=query)
    assert made["run"]["held_by"] == (await at_work.json("GET", f"/runs/{run_id}"))["held_by"]
    held_by: str | None = made["run"]["held_by"]
    return held_by


def key(run_id: str) -> RunKey:
    return RunKey(PROJECT, RunId(run_id))


async def claim(at_work: Api) -> list[str]:
    return [taken.key.run_id for taken in await lifecycle.claim(at_work.core, "w", [ROUTE], 10, 30)]


async def finish(at_work: Api, run_id: str, status: Status = Status.COMPLETED) -> None:
    assert (await lifecycle.apply(at_work.core, key(run_id), Finish(status))).transition is not None


async def status(at_work: Api, run_id: str) -> str:
    return str((await at_work.json("GET", f"/runs/{run_id}"))["status"])


async def said_by(at_work: Api, place: str) -> list[str | None]:
    """The runs whose messages the conversation has, and for those of callers their texts."""
    page = await at_work.json("GET", f"/conversations/{place}/messages")
    return [m["run_id"] or m["parts"][0]["text"] for m in page["data"]]


async def user_says(at_work: Api, place: str, text: str) -> str:
    sent = {"role": "user", "parts": [{"type": "text", "text": text}]}
    return str((await at_work.json("POST", f"/conversations/{place}/messages", sent))["id"])


async def test_without_a_policy_runs_go_on_side_by_side(at_work: Api) -> None:
    place = await conversation(at_work)
    assert [await create(at_work, place, "a"), await create(at_work, place, "b")] == [None, None]
    assert await claim(at_work) == ["a", "b"]


async def test_a_conversation_says_its_policy(at_work: Api) -> None:
    place = await conversation(at_work, "reject")
    assert (await at_work.json("GET", f"/conversations/{place}"))["run_policy"] == "reject"
    kept = await at_work.json("PATCH", f"/conversations/{place}", {"title": "Lamps"})
    assert kept["run_policy"] == "reject"
    changed = await at_work.json("PATCH", f"/conversations/{place}", {"run_policy": "enqueue"})
    assert changed["run_policy"] == "enqueue"
    await at_work.problem("PATCH", f"/conversations/{place}", 400, json={"run_policy": "perhaps"})
    assert await create(at_work, place, "a") is None
    assert await create(at_work, place, "b") == "a"
    assert await create(at_work, place, "c", "allow") is None, "what the request says goes before it"
    await at_work.problem("POST", "/runs", 400, json=body(place, "d"), params={"conversation_policy": "perhaps"})


async def test_reject(at_work: Api) -> None:
    place = await conversation(at_work, "reject")
    assert await create(at_work, place, "a") is None
    problem = await at_work.problem("POST", "/runs", 409, json=body(place, "b"))
    assert (problem["code"], problem["run_id"]) == ("conversation_busy", "a")
    await at_work.problem("GET", "/runs/b", 404)
    again = await at_work.json("POST", "/runs", body(place, "a"))
    assert again["duplicate"] is True, "the same request is answered, live as its run is"
    assert await claim(at_work) == ["a"]
    await finish(at_work, "a")
    assert await create(at_work, place, "b") is None
    assert (await at_work.client.post("/runs/a/restart")).status_code == 409
    await finish(at_work, "b")
    await at_work.json("POST", "/runs/a/restart")


async def test_enqueue_lets_one_after_the_other_begin(at_work: Api) -> None:
    place = await conversation(at_work, "enqueue")
    chain = ["a", "b", "c", "d", "e"]
    assert [await create(at_work, place, run_id) for run_id in chain] == [None, "a", "b", "c", "d"]
    assert (await at_work.json("POST", "/runs", body(place, "c")))["run"]["held_by"] == "b"
    for run_id in chain:
        assert await claim(at_work) == [run_id]
        assert (await at_work.json("GET", f"/runs/{run_id}"))["held_by"] is None
        await finish(at_work, run_id, Status.FAILED)
    assert await claim(at_work) == []


async def test_a_run_in_line_can_be_cancelled_and_restarted(at_work: Api) -> None:
    place = await conversation(at_work, "enqueue")
    for run_id in ("a", "b", "c"):
        await create(at_work, place, run_id)
    assert await claim(at_work) == ["a"]
    assert (await at_work.json("POST", "/runs/b/cancel"))["run"]["status"] == "cancelled"
    assert (await at_work.json("GET", "/runs/c"))["held_by"] == "a"
    assert await claim(at_work) == []
    assert (await at_work.json("POST", "/runs/b/restart"))["run"]["status"] == "pending"
    assert (await at_work.json("GET", "/runs/b"))["held_by"] == "c", "it stands at the end now"
    await finish(at_work, "a")
    assert await claim(at_work) == ["c"]
    await finish(at_work, "c")
    assert await claim(at_work) == ["b"]


async def test_a_conversation_with_a_line_can_be_deleted(at_work: Api) -> None:
    place = await conversation(at_work, "enqueue")
    for run_id in ("a", "b", "c"):
        await create(at_work, place, run_id)
    assert (await at_work.client.delete(f"/conversations/{place}")).status_code == 204
    for run_id in ("a", "b", "c"):
        await at_work.problem("GET", f"/runs/{run_id}", 404)


@pytest.mark.parametrize("policy", ["interrupt", "rollback"])
async def test_interrupt_cancels_what_is_live_and_waits_for_it(at_work: Api, policy: str) -> None:
    place = await conversation(at_work)
    await user_says(at_work, place, "one")
    await create(at_work, place, "ended")
    await claim(at_work)
    await finish(at_work, "ended")
    await user_says(at_work, place, "two")
    await create(at_work, place, "a", "enqueue")
    named = await user_says(at_work, place, "three")
    await create(at_work, place, "b", "enqueue", trigger={"message_id": named})
    assert await claim(at_work) == ["a"]
    await user_says(at_work, place, "four")
    assert await create(at_work, place, "n", policy) == "a"
    assert [await status(at_work, run_id) for run_id in ("a", "b", "n")] == ["running", "cancelled", "pending"]
    assert (await at_work.json("GET", "/runs/a"))["cancelling"] is True
    assert await claim(at_work) == []
    await lifecycle.apply(at_work.core, key("a"), Cancel("Its worker heard.", force=True))
    assert await claim(at_work) == ["n"]
    kept = ["two", "a", "three", "b"] if policy == "interrupt" else []
    assert await said_by(at_work, place) == ["one", "ended", *kept, "four", "n"]
    assert (await at_work.json("GET", "/runs/a/events"))["data"], "its log stays"


async def test_what_was_interrupted_by_a_server_that_died_is_cancelled_by_another(at_work: Api) -> None:
    place = await conversation(at_work)
    await create(at_work, place, "a")
    await create(at_work, place, "n", "enqueue")
    # What an interrupt commits before it cancels anything.
    await at_work.core.database.execute("UPDATE conversation_line SET cancels = ARRAY['a'] WHERE run_id = 'n'")
    await conversation_line.go_on_interrupting(at_work.core)
    assert [await status(at_work, run_id) for run_id in ("a", "n")] == ["cancelled", "pending"]
    assert await claim(at_work) == ["n"]


async def test_children_take_part_in_the_turn_of_their_tree(at_work: Api) -> None:
    place = await conversation(at_work, "enqueue")
    await create(at_work, place, "a")
    assert await claim(at_work) == ["a"]
    assert await create(at_work, place, "b") == "a"
    assert await create(at_work, place, "child", parent_run_id="a") is None
    assert await claim(at_work) == ["child"]
    await finish(at_work, "a")
    assert (await at_work.json("GET", "/runs/b"))["held_by"] == "child"
    await finish(at_work, "child")
    assert await claim(at_work) == ["b"]


async def test_a_caller_that_executes_by_itself_cannot_be_made_to_wait(at_work: Api) -> None:
    place = await conversation(at_work, "enqueue")
    await create(at_work, place, "a")
    mine = body(place, "mine")
    mine["request"]["initial_status"] = "running"
    assert (await at_work.problem("POST", "/runs", 409, json=mine))["run_id"] == "a"
    made = await at_work.json("POST", "/runs", mine, params={"conversation_policy": "interrupt"})
    assert (made["run"]["status"], await status(at_work, "a")) == ("running", "cancelled")


async def test_a_run_that_was_only_recorded_comes_in_line_when_it_starts(at_work: Api) -> None:
    place = await conversation(at_work, "enqueue")
    recorded = body(place, "recorded")
    start = recorded["request"].pop("input")
    recorded["request"]["initial_status"] = "pending"
    assert (await at_work.json("POST", "/runs", recorded))["run"]["held_by"] is None
    assert await create(at_work, place, "a") is None, "nobody waits for a run that nobody was asked to execute"
    await at_work.json("POST", f"/conversations/{place}/agent-runs/recorded/start", start)
    assert (await at_work.json("GET", "/runs/recorded"))["held_by"] == "a"
    assert await claim(at_work) == ["a"]
    await finish(at_work, "a")
    assert await claim(at_work) == ["recorded"]


async def test_threads_of_ag_ui_clients_keep_to_the_policy_of_their_conversation(at_work: Api) -> None:
    place = await conversation(at_work, "reject")
    await create(at_work, place, "a")
    asked: dict[str, Any] = {"threadId": place, "runId": "r", "messages": [], "tools": [], "context": [], "state": None}
    problem = await at_work.problem("POST", "/ag-ui/echo", 409, json={**asked, "forwardedProps": None})
    assert problem["run_id"] == "a"


async def test_a_conversation_that_comes_with_its_run_has_one_line(at_work: Api) -> None:
    place = str(uuid4())
    sent = [{**body(place, f"r{n}"), "conversation_mode": "create_new"} for n in range(4)]
    query = {"conversation_policy": "enqueue"}
    made = await asyncio.gather(*(at_work.json("POST", "/runs", one, params=query) for one in sent))
    assert len({one["run"]["held_by"] for one in made} | {None}) == len(made), "each waits for another one"
