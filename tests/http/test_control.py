"""Steer runs over HTTP: cancel, complete, resume, restart, signal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest_asyncio

from perdure.domain.ids import RunKey
from perdure.domain.run import Finish, Park, PendingCall, Status, Waiting, WaitingReason
from perdure.http.context import HttpSettings
from perdure.services import lifecycle
from tests.http.runs_app import Api, api
from tests.http.test_runs import BODIES
from tests.store.harness import events_of, whole_log

TOOL, APPROVAL = WaitingReason.TOOL, WaitingReason.APPROVAL


@pytest_asyncio.fixture
async def at_work(database: str) -> AsyncIterator[Api]:
    async with api(database, HttpSettings(cancel_wait_seconds=5.0)) as running:
        yield running


async def log(at_work: Api, key: RunKey) -> list[str]:
    return [line for _, line in events_of(await whole_log(at_work.core.database, key))]


async def parked(at_work: Api, *calls: PendingCall) -> tuple[str, str, RunKey]:
    path, key = await at_work.conversation_run()
    reason = calls[0].reason if calls else WaitingReason.EVENT
    await lifecycle.apply(at_work.core, key, Park(Waiting(reason, calls), None))
    return path, f"/runs/{key.run_id}", key


async def engine_run(at_work: Api) -> RunKey:
    """A run that a worker has claimed."""
    made = await at_work.json("POST", "/runs", BODIES["hosted agent"])
    (claimed,) = await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 1, 30)
    assert claimed.key.run_id == made["run"]["run_id"]
    return claimed.key


async def test_a_run_without_a_worker_is_cancelled_at_once(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    first = await at_work.json("POST", f"/runs/{key.run_id}/cancel", {"reason": "Enough."})
    assert first["cancelled"] is True
    assert first["run"]["status"] == "cancelled"
    assert first["run"]["error"] == {"message": "Enough.", "code": "CANCELLED"}
    assert isinstance(first["run"]["duration_ms"], int)
    again = await at_work.json("POST", f"/runs/{key.run_id}/cancel")
    assert again == {"cancelled": False, "run": first["run"]}
    assert await log(at_work, key) == ['{"type":"RUN_ERROR","message":"Enough.","code":"CANCELLED"}']
    assert (await at_work.json("GET", path))["terminal_error_code"] == "CANCELLED"


async def test_a_cancel_waits_for_the_worker(at_work: Api) -> None:
    key = await engine_run(at_work)
    cancelling = asyncio.create_task(at_work.json("POST", f"/runs/{key.run_id}/cancel"))
    while not (await at_work.json("GET", f"/runs/{key.run_id}"))["cancelling"]:
        assert not cancelling.done()
    await lifecycle.apply(at_work.core, key, Finish(Status.CANCELLED, fence=1))
    answer = await cancelling
    assert answer["cancelled"] is True
    assert answer["run"]["status"] == "cancelled"


async def test_a_cancel_that_comes_too_late_says_so(at_work: Api) -> None:
    key = await engine_run(at_work)
    cancelling = asyncio.create_task(at_work.json("POST", f"/runs/{key.run_id}/cancel"))
    while not (await at_work.json("GET", f"/runs/{key.run_id}"))["cancelling"]:
        assert not cancelling.done()
    await lifecycle.apply(at_work.core, key, Finish(Status.COMPLETED, fence=1))
    answer = await cancelling
    assert answer["cancelled"] is False
    assert answer["run"]["status"] == "completed"


async def test_a_cancel_does_not_wait_for_ever(database: str) -> None:
    async with api(database, HttpSettings(cancel_wait_seconds=0.05)) as at_work:
        key = await engine_run(at_work)
        began = monotonic()
        answer = await at_work.json("POST", f"/runs/{key.run_id}/cancel")
        assert monotonic() - began < 2
        assert answer["cancelled"] is True
        assert answer["run"]["status"] == "running"
        assert answer["run"]["cancelling"] is True
        assert await lifecycle.force_overdue_cancels(at_work.core, timedelta(seconds=-1)) == 1
        again = await at_work.json("POST", f"/runs/{key.run_id}/cancel")
        assert again["cancelled"] is False
        assert again["run"]["status"] == "cancelled"


async def test_the_first_completion_wins(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    url = f"/runs/{key.run_id}/complete"
    usage = {"provider": "p", "model": "m", "inputTokens": 1, "outputTokens": 2, "finishReason": "stop"}
    done = await at_work.json("POST", url, {"status": "completed", "metadata": usage})
    assert done["completed"] is True
    assert done["run"]["status"] == "completed"
    assert done["run"]["metadata"] == usage
    same = await at_work.json("POST", url, {"status": "completed", "metadata": None})
    other = await at_work.json("POST", url, {"status": "failed", "terminal_error_code": "X"})
    assert same == done
    assert other == {"completed": False, "run": done["run"]}
    (event,) = await log(at_work, key)
    assert '"type":"RUN_FINISHED"' in event
    assert '"metadata":{"provider":"p"' in event
    assert (await at_work.json("GET", path))["metadata"] == usage


async def test_a_failure_says_why(at_work: Api) -> None:
    for body, error in (
        (
            {"status": "failed", "terminal_error_code": "STREAM_ERROR", "terminal_error_message": "It broke."},
            {"message": "It broke.", "code": "STREAM_ERROR"},
        ),
        ({"status": "failed", "terminal_error_code": "ABORTED"}, {"message": "The run failed.", "code": "ABORTED"}),
        ({"status": "failed"}, {"message": "The run failed.", "code": "FAILED"}),
        (
            {"status": "cancelled", "terminal_error_code": None, "terminal_error_message": None, "metadata": None},
            {"message": "The run was cancelled.", "code": "CANCELLED"},
        ),
        ({"status": "cancelled", "terminal_error_message": "Bye."}, {"message": "Bye.", "code": "CANCELLED"}),
    ):
        path, key = await at_work.conversation_run()
        answer = await at_work.json("POST", f"/runs/{key.run_id}/complete", body)
        assert answer["completed"] is True
        assert answer["run"]["error"] == error
        projection = await at_work.json("GET", path)
        assert projection["terminal_error_code"] == error["code"]
        assert projection["terminal_error_message"] == error["message"]
        assert projection["finished_at"] == answer["run"]["completed_at"]


async def test_a_tool_result_resumes_the_run(at_work: Api) -> None:
    path, run, key = await parked(at_work, PendingCall("call-1", "ask"))
    projection = await at_work.json("GET", path)
    assert projection["status"] == "waiting_for_tool"
    assert (projection["waiting_tool_call_id"], projection["waiting_tool_name"]) == ("call-1", "ask")
    waiting = await at_work.json("GET", run)
    assert (waiting["status"], waiting["waiting_reason"]) == ("waiting", "tool")
    assert waiting["waiting"]["calls"] == [{"tool_call_id": "call-1", "tool_name": "ask", "reason": "tool"}]

    result: dict[str, Any] = {"type": "tool_result", "tool_call_id": "call-1", "result": {"b": 1, "a": [None]}}
    assert await at_work.json("POST", f"{run}/resume", result) == {"accepted": True, "duplicate": False}
    assert (await at_work.json("GET", path))["waiting_tool_call_id"] is None
    assert '"content":"{\\"a\\":[null],\\"b\\":1}"' in (await log(at_work, key))[-1]

    again = {**result, "result": {"a": [None], "b": 1}}
    assert await at_work.json("POST", f"{run}/resume", again) == {"accepted": True, "duplicate": True}
    conflict = await at_work.problem("POST", f"{run}/resume", 409, json={**result, "result": 2})
    assert (conflict["error"], conflict["code"]) == ("TOOL_RESULT_CONFLICT", "TOOL_RESULT_CONFLICT")
    unknown = await at_work.problem("POST", f"{run}/resume", 409, json={**result, "tool_call_id": "call-2"})
    assert unknown["error"] == "TOOL_RESULT_NOT_WAITING"
    await at_work.json("POST", f"{run}/cancel")
    ended = await at_work.problem("POST", f"{run}/resume", 410, json={**result, "tool_call_id": "call-2"})
    assert ended["error"] == "RUN_NOT_ACTIVE"


async def test_several_calls_are_answered_one_by_one(at_work: Api) -> None:
    _, run, key = await parked(at_work, PendingCall("one", "ask", APPROVAL), PendingCall("two", "ask", TOOL))
    decision = {"type": "approval", "tool_call_id": "one", "approved": False, "message": "Not today."}
    await at_work.json("POST", f"{run}/resume", decision)
    left = await at_work.json("GET", run)
    assert [call["tool_call_id"] for call in left["waiting"]["calls"]] == ["two"]
    failed = {"type": "tool_result", "tool_call_id": "two", "result": "broken", "is_error": True}
    await at_work.json("POST", f"{run}/resume", failed)
    assert (await at_work.json("GET", run))["status"] == "running"
    approval, result = (await log(at_work, key))[-2:]
    assert '"value":{"approved":false,"message":"Not today."}' in approval
    assert '"isError":true' in result
    assert (await at_work.json("POST", f"{run}/resume", decision))["duplicate"] is True


async def test_an_ended_run_starts_again(at_work: Api) -> None:
    _, key = await at_work.conversation_run()
    url = f"/runs/{key.run_id}/restart"
    problem = await at_work.problem("POST", url, 409)
    assert problem["code"] == "run_not_terminal"
    await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "failed"})
    answer = await at_work.client.post(url, json={"fresh": True})
    assert answer.status_code == 202
    assert answer.json()["run"]["status"] == "pending"
    assert answer.json()["run"]["completed_at"] is None
    assert '"perdure.run.restarted"' in (await log(at_work, key))[-1]


async def test_signals_are_in_the_log_and_wake_a_run_that_waits(at_work: Api) -> None:
    _, run, key = await parked(at_work)
    for body in (b"", b"null", b'{"go":[1]}', b"7"):
        answer = await at_work.client.post(f"{run}/signals/order.paid", content=body)
        assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert (await at_work.json("GET", run))["status"] == "running"
    payloads = [line.split('"payload":')[1] for line in await log(at_work, key) if '"perdure.signal"' in line]
    assert payloads == ["null}}", "null}}", '{"go":[1]}}}', "7}}"]
    await at_work.json("POST", f"{run}/cancel")
    assert (await at_work.problem("POST", f"{run}/signals/late", 409))["code"] == "run_is_terminal"
