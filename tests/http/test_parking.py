"""Calls of client-side tools park a run that no engine executes; results let it go on (veryfront.md 3.3)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from perdure.domain.errors import CursorMismatch, StaleFence, TerminalRun, WaitingRun
from perdure.domain.ids import RunKey
from perdure.domain.run import Park, PendingCall, Waiting, WaitingReason
from perdure.services import lifecycle
from tests.http.runs_app import PROJECT, Api
from tests.http.test_control import engine_run
from tests.http.test_external_workers import Worker, key_of, let_expire, queued, register
from tests.store.harness import events_of, whole_log

TOOLS = [{"name": "ask", "parameters": {"type": "object"}}, {"name": "show"}]
CONTEXT = {"project_id": str(PROJECT), "branch_id": None}
INPUT = {"messages": [{"role": "user", "content": "hi"}], "tools": TOOLS, "context": CONTEXT}
TEXT = {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "c", "delta": "word"}
WAITING = WaitingRun().detail


def call(call_id: str, tool: str = "ask") -> list[dict[str, Any]]:
    return [
        {"type": "TOOL_CALL_START", "toolCallId": call_id, "toolCallName": tool},
        {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": "{}"},
        {"type": "TOOL_CALL_END", "toolCallId": call_id},
    ]


def result(call_id: str) -> dict[str, Any]:
    return {"type": "TOOL_CALL_RESULT", "messageId": "r", "toolCallId": call_id, "content": "1", "role": "tool"}


async def append(at_work: Api, path: str, *events: dict[str, Any], **more: object) -> Any:
    return await at_work.json("POST", f"{path}/events", {"events": events, **more})


async def refused(at_work: Api, path: str, *events: dict[str, Any], **more: object) -> str:
    problem = await at_work.problem("POST", f"{path}/events", 400, json={"events": events, **more})
    return str(problem["detail"])


async def resume(at_work: Api, key: RunKey, call_id: str, value: object = "yes") -> Any:
    body = {"type": "tool_result", "tool_call_id": call_id, "result": value}
    return await at_work.json("POST", f"/runs/{key.run_id}/resume", body)


async def lines(at_work: Api, key: RunKey) -> list[dict[str, Any]]:
    return [json.loads(line) for _, line in events_of(await whole_log(at_work.core.database, key))]


async def names(at_work: Api, key: RunKey) -> list[str]:
    return [str(event.get("name") or event["type"]) for event in await lines(at_work, key)]


async def queued_with_tools(at_work: Api) -> dict[str, Any]:
    """A run for an external worker. POST /runs takes no input for one (seed 002), so it is put where it would stand."""
    made = await queued(at_work)
    async with at_work.core.database.connection() as connection:
        await connection.execute(
            "UPDATE runs SET input = $2::json WHERE run_id = $1", made["run"]["run_id"], json.dumps(INPUT)
        )
    return made


async def test_a_call_of_a_client_side_tool_parks_the_run_with_its_append(at_work: Api) -> None:
    path, key = await at_work.conversation_run(input=INPUT)
    answer = await append(at_work, path, *call("c1"), expected_previous_external_event_sequence=0)
    assert (answer["appended_count"], answer["latest_event_id"], answer["latest_external_event_sequence"]) == (3, 4, 3)
    run = answer["run"]
    assert (run["status"], run["waiting_tool_call_id"], run["waiting_tool_name"]) == ("waiting_for_tool", "c1", "ask")
    assert await at_work.json("GET", path) == run
    canonical = await at_work.json("GET", f"/runs/{key.run_id}")
    assert (canonical["status"], canonical["waiting_reason"]) == ("waiting", "tool")
    assert await refused(at_work, path, TEXT) == WAITING
    assert await refused(at_work, path, TEXT, expected_previous_external_event_sequence=3) == WAITING
    assert await resume(at_work, key, "c1") == {"accepted": True, "duplicate": False}
    assert await resume(at_work, key, "c1") == {"accepted": True, "duplicate": True}
    assert (await at_work.json("GET", path))["status"] == "running"
    after = await append(at_work, path, TEXT, expected_previous_external_event_sequence=3)
    assert (after["run"]["status"], after["latest_external_event_sequence"]) == ("running", 4)
    assert (await names(at_work, key))[3:] == ["perdure.run.waiting", "TOOL_CALL_RESULT", "TEXT_MESSAGE_CONTENT"]


async def test_what_does_not_park(at_work: Api) -> None:
    """Another tool, a call that has its result, and a run without client-side tools."""
    path, key = await at_work.conversation_run(input=INPUT)
    await append(at_work, path, *call("c1", "theirs"))
    await append(at_work, path, *call("c2"), result("c2"))
    answered = await append(at_work, path, call("c2")[-1])
    assert answered["run"]["status"] == "running"
    plain, _ = await at_work.conversation_run()
    assert (await append(at_work, plain, *call("c1")))["run"]["status"] == "running"
    assert "perdure.run.waiting" not in await names(at_work, key)


async def test_a_call_may_come_in_pieces_and_calls_may_end_together(at_work: Api) -> None:
    path, key = await at_work.conversation_run(input=INPUT)
    one, two, other = call("c1"), call("c2", "show"), call("c3", "theirs")
    await append(at_work, path, *one[:2], *other[:2], two[0])
    answer = await append(at_work, path, one[2], other[2], two[2], TEXT)
    assert answer["run"]["waiting_tool_call_id"] == "c1"
    waiting = (await at_work.json("GET", f"/runs/{key.run_id}"))["waiting"]["calls"]
    assert [(each["tool_call_id"], each["tool_name"]) for each in waiting] == [("c1", "ask"), ("c2", "show")]
    await resume(at_work, key, "c2")
    assert (await at_work.json("GET", path))["waiting_tool_call_id"] == "c1"
    assert await refused(at_work, path, TEXT) == WAITING
    await resume(at_work, key, "c1")
    assert (await at_work.json("GET", path))["status"] == "running"


async def test_a_lost_answer_is_a_replay_while_it_waits_and_later(at_work: Api) -> None:
    path, key = await at_work.conversation_run(input=INPUT)
    ways: tuple[dict[str, object], ...] = (
        {"expected_previous_external_event_sequence": 0}, {"expected_previous_event_id": 0},
    )  # fmt: skip
    await append(at_work, path, *call("c1"), **ways[0])
    for way in ways:
        assert (await append(at_work, path, *call("c1"), **way))["appended_count"] == 0
        assert await refused(at_work, path, *call("c1"), TEXT, **way) == WAITING
    await resume(at_work, key, "c1")
    again = await append(at_work, path, *call("c1"), **ways[0])
    assert (again["appended_count"], again["run"]["status"]) == (0, "running")
    rest = await append(at_work, path, *call("c1"), *call("c2"), **ways[0])
    assert (rest["appended_count"], rest["run"]["waiting_tool_call_id"]) == (3, "c2")
    assert await refused(at_work, path, *call("c9"), **ways[0]) == WAITING
    await resume(at_work, key, "c2")
    assert await refused(at_work, path, *call("c9"), **ways[0]) == CursorMismatch().detail
    await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
    assert await refused(at_work, path, *call("c9")) == TerminalRun().detail


async def test_what_a_result_may_be(at_work: Api) -> None:
    path, key = await at_work.conversation_run(input=INPUT)
    await append(at_work, path, *call("c1"))
    url = f"/runs/{key.run_id}/resume"
    body: dict[str, Any] = {"type": "tool_result", "tool_call_id": "c1", "result": "x" * 65_536}
    await at_work.problem("POST", url, 400, json=body)
    other = await at_work.problem("POST", url, 409, json={**body, "tool_call_id": "c2", "result": 1})
    assert other["error"] == "TOOL_RESULT_NOT_WAITING"
    assert await resume(at_work, key, "c1", {"b": 1, "a": 2}) == {"accepted": True, "duplicate": False}
    assert await resume(at_work, key, "c1", {"a": 2, "b": 1}) == {"accepted": True, "duplicate": True}
    assert (await at_work.problem("POST", url, 409, json={**body, "result": 1}))["error"] == "TOOL_RESULT_CONFLICT"
    await append(at_work, path, *call("c3"))
    await at_work.json("POST", f"/runs/{key.run_id}/cancel")
    assert (await at_work.problem("POST", url, 410, json={**body, "tool_call_id": "c3", "result": 1}))["error"] == (
        "RUN_NOT_ACTIVE"
    )
    last = (await lines(at_work, key))[-2:]
    assert [event["type"] for event in last] == ["TOOL_CALL_RESULT", "RUN_ERROR"]
    assert (last[0]["toolCallId"], last[0]["isError"]) == ("c3", True)


async def test_a_run_of_an_engine_is_answered_by_the_same_rules(at_work: Api) -> None:
    """Its worker parks it, and an answer puts it back into the queue."""
    key = await engine_run(at_work)
    body = {"type": "tool_result", "tool_call_id": "c1", "result": 1}
    url = f"/runs/{key.run_id}/resume"
    assert (await at_work.problem("POST", url, 409, json=body))["error"] == "TOOL_RESULT_NOT_WAITING"
    await lifecycle.apply(at_work.core, key, Park(Waiting(WaitingReason.TOOL, (PendingCall("c1", "ask"),)), 1))
    assert await resume(at_work, key, "c1", 1) == {"accepted": True, "duplicate": False}
    assert (await at_work.json("GET", f"/runs/{key.run_id}"))["status"] == "pending"
    assert await resume(at_work, key, "c1", 1) == {"accepted": True, "duplicate": True}
    conflict = await at_work.problem("POST", url, 409, json={**body, "result": 2})
    assert conflict["error"] == "TOOL_RESULT_CONFLICT"
    await at_work.json("POST", f"/runs/{key.run_id}/cancel")
    ended = await at_work.problem("POST", url, 410, json={**body, "tool_call_id": "c2"})
    assert ended["error"] == "RUN_NOT_ACTIVE"


async def test_the_first_append_may_start_and_park_at_once(at_work: Api) -> None:
    made = await queued_with_tools(at_work)
    path = f"/conversations/{made['conversation_id']}/runs/{made['run']['run_id']}"
    answer = await append(at_work, path, *call("c1"))
    assert answer["run"]["status"] == "waiting_for_tool"
    await resume(at_work, key_of(made), "c1")
    run = await at_work.json("GET", f"/runs/{made['run']['run_id']}")
    assert (run["status"], run["started_at"] is not None) == ("running", True)
    assert await (await register(at_work)).claim() is None, "who appends to it executes it"


async def test_appends_at_once_do_not_slip_past_the_wait(at_work: Api) -> None:
    path, key = await at_work.conversation_run(input=INPUT)
    texts = [at_work.client.post(f"{path}/events", json={"events": [TEXT]}) for _ in range(8)]
    answers = await asyncio.gather(at_work.client.post(f"{path}/events", json={"events": call("c1")}), *texts)
    assert answers[0].status_code == 200, answers[0].text
    told = await names(at_work, key)
    stored = sum(answer.status_code == 200 for answer in answers[1:])
    assert told.count("TEXT_MESSAGE_CONTENT") == stored
    assert told[-1] == "perdure.run.waiting"


async def worker_parks(at_work: Api) -> tuple[Worker, dict[str, Any], str, dict[str, str]]:
    """A worker whose run waits for the call c1; the path of the run, and the header with the claim's fence."""
    worker = await register(at_work)
    made = await queued_with_tools(at_work)
    claimed = await worker.claim(lease_duration_seconds=30)
    path = f"/conversations/{made['conversation_id']}/runs/{made['run']['run_id']}"
    fence = {"X-Perdure-Fence": str(claimed["fence"])}
    answer = await at_work.json("POST", f"{path}/events", {"events": call("c1")}, headers=fence)
    assert answer["run"]["status"] == "waiting_for_tool"
    return worker, made, path, fence


async def test_an_external_worker_goes_on_under_its_lease(at_work: Api) -> None:
    worker, made, path, fence = await worker_parks(at_work)
    run_id = made["run"]["run_id"]
    assert (await worker.renew(run_id, lease_duration_seconds=30))["run_id"] == run_id
    refusal = await at_work.problem("POST", f"{path}/events", 400, json={"events": [TEXT]}, headers=fence)
    assert refusal["detail"] == WAITING
    assert await worker.claim() is None, "nobody else gets it"
    await resume(at_work, key_of(made), "c1")
    answer = await at_work.json("POST", f"{path}/events", {"events": [TEXT]}, headers=fence)
    assert answer["run"]["status"] == "running"
    assert (await worker.renew(run_id, lease_duration_seconds=30))["run_id"] == run_id
    assert (await at_work.json("POST", f"/runs/{run_id}/complete", {"status": "completed"}))["completed"] is True
    assert await worker.renew(run_id, lease_duration_seconds=30) is None


async def test_a_run_whose_worker_was_lost_while_it_waited_is_claimed_again(at_work: Api) -> None:
    """That is no loss: it may happen to a run that may not be lost at all."""
    worker, made, path, fence = await worker_parks(at_work)
    async with at_work.core.database.connection() as connection:
        await connection.execute("""UPDATE runs SET spec = (spec::jsonb || '{"backoff_limit": 0}')::json""")
    await let_expire(at_work, made)
    assert await lifecycle.recover_expired(at_work.core) == 0
    assert await worker.renew(made["run"]["run_id"], lease_duration_seconds=30) is None
    assert (await at_work.json("GET", path))["status"] == "waiting_for_tool"
    assert await worker.claim() is None
    await resume(at_work, key_of(made), "c1")
    stale = await at_work.problem("POST", f"{path}/events", 400, json={"events": [TEXT]}, headers=fence)
    assert stale["detail"] == StaleFence().detail
    again = await worker.claim(lease_duration_seconds=30)
    assert (again["run_id"], again["attempt"]) == (made["run"]["run_id"], 2)
    assert int(again["fence"]) > int(fence["X-Perdure-Fence"])


async def test_a_worker_may_end_or_lose_a_run_that_waits(at_work: Api) -> None:
    _, made, _, fence = await worker_parks(at_work)
    url = f"/runs/{made['run']['run_id']}/complete"
    assert (await at_work.json("POST", url, {"status": "failed"}, headers=fence))["completed"] is True
    worker, made, _, _ = await worker_parks(at_work)
    assert (await at_work.json("POST", f"/runs/{made['run']['run_id']}/cancel"))["run"]["status"] == "cancelled"
    assert await worker.renew(made["run"]["run_id"], lease_duration_seconds=30) is None
