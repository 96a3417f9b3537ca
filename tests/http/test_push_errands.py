"""What runtimes that hold a run are told: cancels and tool results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.services.push_errands import TRIES
from tests.http.push_runtime import Runtime, open_to_loopback, register, runtime, started
from tests.http.runs_app import Api
from tests.http.test_push_dispatch import dispatching, handed_over, path_of, status_of, without_pauses
from tests.store.harness import WAIT_SECONDS, eventually

GRACE = timedelta(seconds=10)
CALL = [
    {"type": "TOOL_CALL_START", "toolCallId": "call-1", "toolCallName": "pick"},
    {"type": "TOOL_CALL_END", "toolCallId": "call-1"},
]
RESULT = {"type": "tool_result", "tool_call_id": "call-1", "result": {"choice": ["b"]}}


@asynccontextmanager
async def held(at_work: Api, **answers: Any) -> AsyncIterator[tuple[Core, Runtime, Any]]:
    """A run in the hands of a runtime."""
    core = open_to_loopback(at_work)
    async with runtime(**answers) as theirs, dispatching(core):
        await register(at_work, theirs.url)
        run = await started(at_work, tools=("pick",))
        await handed_over(core, run)
        yield core, theirs, run


async def nothing_to_tell(core: Core) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if not await core.database.fetch("SELECT FROM push_runs WHERE errand IS NOT NULL"):
                return
            await asyncio.sleep(0.01)


async def test_a_cancel_is_told_and_the_runtime_ends_the_run(at_work: Api) -> None:
    async with held(at_work) as (_, theirs, run):
        asked = asyncio.create_task(at_work.json("POST", f"/runs/{run['run_id']}/cancel"))
        await eventually(lambda: len(theirs.of("DELETE")) == 1)
        (told,) = theirs.of("DELETE")
        assert told.path == f"/api/runs/{run['run_id']}"
        assert told.headers["authorization"].startswith("Bearer ey")
        await at_work.json("POST", f"/runs/{run['run_id']}/complete", {"status": "cancelled"})
        assert (await asked)["cancelled"] is True
        assert (await status_of(at_work, run, "cancelled"))["error"]["code"] == "CANCELLED"
        assert len(theirs.of("DELETE")) == 1


async def test_a_runtime_without_the_run_lets_the_cancel_stand_at_once(at_work: Api) -> None:
    async with held(at_work, cancels=[(204, None)]) as (core, theirs, run):
        await at_work.json("POST", f"/runs/{run['run_id']}/cancel")
        await status_of(at_work, run, "cancelled")
        await nothing_to_tell(core)
        assert len(theirs.of("DELETE")) in (1, 2)


async def test_a_cancel_that_cannot_be_told_is_tried_a_bounded_number_of_times(at_work: Api) -> None:
    async with held(at_work, cancels=[(503, None)] * 50) as (core, theirs, run):
        async with without_pauses(core):
            await at_work.json("POST", f"/runs/{run['run_id']}/cancel")
            await eventually(lambda: len(theirs.of("DELETE")) == TRIES)
            await nothing_to_tell(core)
        assert (await at_work.json("GET", f"/runs/{run['run_id']}"))["status"] == "running"
        await core.database.execute("UPDATE run_queue SET cancel_at = now() - interval '1 minute'")
        assert await lifecycle.force_overdue_cancels(core, GRACE) == 1
        await status_of(at_work, run, "cancelled")
        assert len(theirs.of("DELETE")) == TRIES


async def test_a_run_that_is_cancelled_while_it_is_sent_is_told(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime(hold=asyncio.Event(), cancels=[(204, None)]) as theirs, dispatching(core):
        assert theirs.hold is not None
        await register(at_work, theirs.url)
        run = await started(at_work)
        await eventually(lambda: len(theirs.dispatched) == 1)
        asked = asyncio.create_task(at_work.json("POST", f"/runs/{run['run_id']}/cancel"))
        await eventually(lambda: len(theirs.of("DELETE")) == 1)
        theirs.hold.set()
        await asked
        await status_of(at_work, run, "cancelled")
        await eventually(lambda: len(theirs.of("DELETE")) == 2)
        await nothing_to_tell(core)


async def test_a_tool_result_is_told_to_the_runtime_that_waits_for_it(at_work: Api) -> None:
    not_yet = [(409, {"error": "TOOL_RESULT_NOT_WAITING"})]
    async with held(at_work, resumes=[*not_yet, (200, {"accepted": True})]) as (core, theirs, run):
        path = path_of(run, theirs.dispatched[0].body)
        await at_work.json("POST", f"{path}/events", {"events": CALL})
        await status_of(at_work, run, "waiting")
        async with without_pauses(core):
            await at_work.json("POST", f"/runs/{run['run_id']}/resume", RESULT)
            await eventually(lambda: len(theirs.of("POST", "/resume")) == 2)
            await nothing_to_tell(core)
        told = theirs.of("POST", "/resume")
        assert {one.path for one in told} == {f"/api/runs/{run['run_id']}/resume"}
        assert [one.body for one in told] == 2 * [
            {"type": "tool_result", "toolCallId": "call-1", "result": {"choice": ["b"]}, "isError": False}
        ]
        assert (await at_work.json("GET", f"/runs/{run['run_id']}"))["status"] == "running"
        event = {"events": [{"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Hi"}]}
        await at_work.json("POST", f"{path}/events", event)
        await at_work.json("POST", f"/runs/{run['run_id']}/complete", {"status": "completed"})
        assert len(theirs.dispatched) == 1


async def test_a_runtime_that_forgot_the_run_is_sent_it_again(at_work: Api) -> None:
    async with held(at_work, resumes=[(410, {"error": "RUN_NOT_ACTIVE"})]) as (core, theirs, run):
        path = path_of(run, theirs.dispatched[0].body)
        await at_work.json("POST", f"{path}/events", {"events": CALL})
        await at_work.json("POST", f"/runs/{run['run_id']}/resume", RESULT)
        await eventually(lambda: len(theirs.dispatched) == 2)
        await handed_over(core, run)
        root = theirs.dispatched[1].body["durableRootRun"]
        assert root["runId"] == run["run_id"]
        assert root["latestExternalEventSequence"] == len(CALL)
