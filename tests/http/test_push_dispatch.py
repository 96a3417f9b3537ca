"""Runs that are sent to push runtimes: what is sent, what answers mean, and who holds the run when somebody dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from perdure.domain.ids import RunId, RunKey
from perdure.domain.push_service import MAX_TRIES
from perdure.execution.push import PushRuntimes
from perdure.services import lifecycle, push_dispatch
from perdure.services.core import Core
from perdure.services.egress import call
from tests.http.push_runtime import ACCEPTED, open_to_loopback, register, runtime, started
from tests.http.runs_app import PROJECT, Api, agent_run
from tests.store.harness import WAIT_SECONDS, eventually

ALL = "/agent-runtimes/push-services"


@asynccontextmanager
async def dispatching(core: Core, loops: int = 1) -> AsyncIterator[None]:
    """What so many server processes do beside their API."""
    async with AsyncExitStack() as stack:
        for _ in range(loops):
            one = PushRuntimes(core)
            await one.start()
            stack.push_async_callback(one.stop)
        yield


async def status_of(at_work: Api, run: Any, wanted: str) -> Any:
    """The run when it has this status."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = await at_work.json("GET", f"/runs/{run['run_id']}")
            if found["status"] == wanted:
                return found
            await asyncio.sleep(0.01)


async def sql(core: Core, statement: str) -> None:
    await core.database.execute(statement)


async def hurry(core: Core) -> None:
    """Let no pause end later than now."""
    await sql(core, "UPDATE run_queue SET available_at = now() - interval '1 second' WHERE lease_owner IS NULL")
    await sql(core, "UPDATE push_runs SET errand_at = now() - interval '1 second' WHERE errand IS NOT NULL")


@asynccontextmanager
async def without_pauses(core: Core) -> AsyncIterator[None]:
    over = asyncio.Event()

    async def hurrying() -> None:
        while not over.is_set():
            await hurry(core)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.02)

    task = asyncio.create_task(hurrying())
    try:
        yield
    finally:
        over.set()
        await task


async def owner_of(core: Core, run: Any) -> str | None:
    rows = await core.database.fetch("SELECT lease_owner FROM run_queue WHERE run_id = $1", run["run_id"])
    return None if not rows else rows[0]["lease_owner"]


async def handed_over(core: Core, run: Any) -> None:
    """The run is its service's."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if str(await owner_of(core, run)).startswith("push:"):
                return
            await asyncio.sleep(0.01)


def path_of(run: Any, made: Any) -> str:
    return f"/conversations/{made['context']['conversationId']}/runs/{run['run_id']}"


async def test_a_run_is_sent_and_the_runtime_carries_it_to_its_end(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as theirs, dispatching(core):
        service = await register(at_work, theirs.url)
        run = await started(
            at_work,
            tools=("pick",),
            model="m",
            allow_delegation=False,
            forwarded_props={"a": 1},
            runtime_overrides={"allowed_tools": ["x"], "thinking": False, "max_steps": 3},
        )
        await handed_over(core, run)
        assert await owner_of(core, run) == f"push:{service['id']}"
        (sent,) = theirs.dispatched
        body = sent.body
        assert body["messages"] == [{"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}]
        assert {**body["context"], "conversationId": None} == {
            "conversationId": None, "projectId": str(PROJECT), "projectSlug": "default", "branchId": None,
        }  # fmt: skip
        assert (body["model"], body["allowDelegation"]) == ("m", False)
        assert body["forwardedProps"]["a"] == 1
        assert [tool["name"] for tool in body["forwardedProps"]["runtimeTools"]] == ["pick"]
        assert body["runtimeOverrides"] == {"allowedTools": ["x"], "thinking": False, "maxSteps": 3}
        path = path_of(run, body)
        projection = await at_work.json("GET", path)
        assert body["durableRootRun"] == {
            "runId": run["run_id"],
            "messageId": projection["message_id"],
            "latestEventId": projection["latest_event_id"],
            "latestExternalEventSequence": 0,
        }
        assert (await status_of(at_work, run, "running"))["run_id"] == run["run_id"]
        await _mirror_and_complete(at_work, run, path, sent.headers)
        assert (await at_work.json("GET", f"/runs/{run['run_id']}"))["status"] == "completed"
        assert await core.database.fetch("SELECT FROM push_runs") == []


async def _mirror_and_complete(at_work: Api, run: Any, path: str, headers: Any) -> None:
    """As the runtime does it: with the tokens that it was sent, which the published keys verify."""
    bearer, writer = headers["authorization"].removeprefix("Bearer "), headers["x-veryfront-run-event-token"]
    keys = jwt.PyJWKSet.from_dict(await at_work.json("GET", "/.well-known/jwks.json"))
    said = jwt.decode(bearer, keys[jwt.get_unverified_header(bearer)["kid"]], algorithms=["RS256"])
    assert (said["userId"], said["projectId"], said["tokenUse"]) == (said["sub"], str(PROJECT), "push_runtime")
    own = {"Authorization": f"Bearer {bearer}"}
    await at_work.json("GET", f"/projects/{PROJECT}", headers=own)
    event = {"events": [{"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Hi"}]}
    for token in (bearer, writer):
        await at_work.json("POST", f"{path}/events", event, headers={"Authorization": f"Bearer {token}"})
    await at_work.json("POST", f"/runs/{run['run_id']}/complete", {"status": "completed"}, headers=own)


async def test_which_service_gets_a_run(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as mine, runtime() as named, dispatching(core):
        await register(at_work, mine.url)
        await register(at_work, named.url, service_name="claw", service_key="claw-1", agent_id=None)
        first = await started(at_work)
        conversation = str(uuid4())
        body = agent_run(implementation_kind="claw", worker_key="claw-1", initial_status="pending")
        second = (await at_work.json("POST", "/runs", {**body, "conversation_id": conversation}))["run"]
        third = await started(at_work, agent="claw")
        body = agent_run(implementation_kind="claw", worker_key="claw-2", initial_status="pending")
        left = (await at_work.json("POST", "/runs", body))["run"]
        for run in (first, second, third):
            await handed_over(core, run)
        sent = [[one.body["durableRootRun"]["runId"] for one in there.dispatched] for there in (mine, named)]
        assert sent[0] == [first["run_id"]]
        assert set(sent[1]) == {second["run_id"], third["run_id"]}
        assert (await at_work.json("GET", f"/runs/{left['run_id']}"))["status"] == "pending"


async def test_a_service_of_one_project_gets_no_runs_of_others_and_a_global_one_does(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    theirs = (await at_work.json("POST", "/projects", {"slug": "theirs", "name": "Theirs"}))["id"]
    async with runtime() as one, runtime() as everywhere, dispatching(core):
        await register(at_work, one.url, project_id=theirs)
        await register(at_work, everywhere.url, scope_kind="global", project_id=None)
        run = await started(at_work)
        await handed_over(core, run)
        assert (len(one.dispatched), len(everywhere.dispatched)) == (0, 1)


async def test_a_busy_runtime_is_asked_again_and_a_duplicate_is_as_good(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    answers = [(503, {"errorCode": "OVERLOADED_ERROR"}), (429, None), (202, {"accepted": True, "duplicate": True})]
    async with runtime(answers=answers) as theirs, dispatching(core), without_pauses(core):
        await register(at_work, theirs.url)
        run = await started(at_work)
        await handed_over(core, run)
        assert len(theirs.dispatched) == 3
        assert len({one.body["durableRootRun"]["runId"] for one in theirs.dispatched}) == 1
        rows = await core.database.fetch("SELECT tries FROM push_runs")
        assert [row["tries"] for row in rows] == [0]


async def test_between_two_tries_there_is_a_growing_pause(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime(answers=[(500, None)]) as theirs, dispatching(core):
        await register(at_work, theirs.url)
        run = await started(at_work)
        await eventually(lambda: len(theirs.dispatched) == 1)
        await status_of(at_work, run, "pending")
        (row,) = await core.database.fetch("SELECT available_at - now() AS pause FROM run_queue")
        assert timedelta(0) < row["pause"] <= timedelta(seconds=1)
        await eventually(lambda: len(theirs.dispatched) == 2)


async def test_a_runtime_that_never_takes_it_fails_the_run(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    refusing = [(503, {"errorCode": "OVERLOADED_ERROR"})] * MAX_TRIES
    async with runtime(answers=refusing) as theirs, dispatching(core), without_pauses(core):
        await register(at_work, theirs.url)
        failed = await status_of(at_work, await started(at_work), "failed")
        assert len(theirs.dispatched) == MAX_TRIES
        assert failed["error"]["code"] == "OVERLOADED_ERROR"
        assert f"{MAX_TRIES} tries" in failed["error"]["message"]


async def test_nobody_there_fails_the_run_in_the_end(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as gone:
        pass
    async with dispatching(core), without_pauses(core):
        await register(at_work, gone.url)
        failed = await status_of(at_work, await started(at_work), "failed")
        assert failed["error"]["code"] == "PUSH_RUNTIME_UNAVAILABLE"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, {"errorCode": "VALIDATION_ERROR"}), "VALIDATION_ERROR"),
        ((402, {"errorCode": "INSUFFICIENT_CREDITS"}), "INSUFFICIENT_CREDITS"),
        ((413, {"errorCode": "CONTEXT_LENGTH_EXCEEDED"}), "CONTEXT_LENGTH_EXCEEDED"),
        ((404, "no such page"), "PUSH_RUNTIME_REFUSED"),
        ((302, None), "PUSH_RUNTIME_REFUSED"),
    ],
)
async def test_a_refused_run_fails_at_once(at_work: Api, answer: tuple[int, Any], code: str) -> None:
    core = open_to_loopback(at_work)
    async with runtime(answers=[answer]) as theirs, dispatching(core):
        await register(at_work, theirs.url)
        failed = await status_of(at_work, await started(at_work), "failed")
        assert (failed["error"]["code"], len(theirs.dispatched)) == (code, 1)


async def test_what_cannot_be_sent_fails_at_once(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as theirs, dispatching(core):
        await register(at_work, theirs.url)
        given = {"messages": [], "context": {"project_id": None, "branch_id": None}}
        body = agent_run(initial_status="pending", input=given, public_id="not ours")
        run = (await at_work.json("POST", "/runs", body))["run"]
        assert (await status_of(at_work, run, "failed"))["error"]["code"] == "PUSH_RUNTIME_REFUSED"
        body = agent_run(initial_status="pending", input=given) | {"conversation_mode": "none"}
        del body["conversation_id"]
        run = (await at_work.json("POST", "/runs", body))["run"]
        failed = await status_of(at_work, run, "failed")
        assert failed["error"]["code"] == "DURABLE_CHAT_ROOT_REQUIRES_CONVERSATION"
        assert theirs.sent == []


async def test_a_private_address_is_not_called_though_it_was_registered(at_work: Api) -> None:
    closed = at_work.core
    open_to_loopback(at_work)
    async with runtime() as theirs, dispatching(closed):
        await register(at_work, theirs.url)
        failed = await status_of(at_work, await started(at_work), "failed")
        assert failed["error"]["code"] == "EGRESS_REFUSED"
        assert "PERDURE_EGRESS_ALLOW" in failed["error"]["message"]
        assert theirs.sent == []


async def test_many_dispatchers_send_each_run_once(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as theirs, dispatching(core, loops=4):
        await register(at_work, theirs.url)
        runs = [await started(at_work) for _ in range(20)]
        for run in runs:
            await handed_over(core, run)
        sent = [one.body["durableRootRun"]["runId"] for one in theirs.dispatched]
        assert sorted(sent) == sorted(run["run_id"] for run in runs)


async def test_a_server_that_dies_with_a_run_in_hand_loses_nothing(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as theirs, runtime() as other:
        service = await register(at_work, theirs.url)
        run = await started(at_work)
        (living,) = await push_dispatch.living(core)
        (sending,) = await push_dispatch.claim(core, living, 5)  # … and dies.
        assert sending.held.key == RunKey(PROJECT, RunId(run["run_id"]))
        await register(at_work, other.url, service_key="helper:2")
        await at_work.json("POST", f"{ALL}/{service['id']}/heartbeat")
        assert await owner_of(core, run) == f"dispatch:{service['id']}", "a heartbeat does not keep what was not sent"
        await sql(core, "UPDATE run_queue SET lease_expires_at = now() - interval '1 second'")
        assert await lifecycle.recover_expired(core) == 1
        async with dispatching(core):
            await handed_over(core, run)
        assert (len(theirs.dispatched), len(other.dispatched)) == (1, 0), "whoever may have it is asked"
        # The claim of the one that died is worth nothing any more.
        async with core.egress.client() as client:
            await push_dispatch.send(core, client, sending)
        assert await owner_of(core, run) == f"push:{service['id']}"
        assert (await at_work.json("GET", f"/runs/{run['run_id']}"))["status"] == "running"


async def test_heartbeats_keep_the_run_and_silence_loses_it_to_another(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as theirs, runtime() as other, dispatching(core):
        service = await register(at_work, theirs.url)
        run = await started(at_work)
        await handed_over(core, run)
        fence = (await core.database.fetch("SELECT fence FROM run_head"))[0]["fence"]
        await sql(core, "UPDATE run_queue SET lease_expires_at = now() + interval '1 second'")
        await at_work.json("POST", f"{ALL}/{service['id']}/heartbeat")
        (row,) = await core.database.fetch("SELECT lease_expires_at - now() AS left FROM run_queue")
        assert row["left"] > timedelta(seconds=80)

        await sql(core, "UPDATE push_services SET last_heartbeat_at = now() - interval '91 seconds'")
        await sql(core, "UPDATE run_queue SET lease_expires_at = now() - interval '1 second'")
        assert await lifecycle.recover_expired(core) == 1
        await register(at_work, other.url, service_key="helper:2")
        await handed_over(core, run)
        await eventually(lambda: len(other.dispatched) == 1)
        assert len(theirs.dispatched) == 1
        assert (await core.database.fetch("SELECT fence FROM run_head"))[0]["fence"] > fence


async def test_silent_and_disabled_services_get_no_work(at_work: Api) -> None:
    core = open_to_loopback(at_work)
    async with runtime() as theirs, dispatching(core):
        service = await register(at_work, theirs.url)
        await sql(core, "UPDATE push_services SET last_heartbeat_at = now() - interval '91 seconds'")
        run = await started(at_work)
        assert await push_dispatch.living(core) == []
        await at_work.json("PATCH", f"{ALL}/{service['id']}", {"status": "disabled"})
        await at_work.json("POST", f"{ALL}/{service['id']}/heartbeat")
        assert await push_dispatch.living(core) == []
        assert theirs.sent == []
        await at_work.json("PATCH", f"{ALL}/{service['id']}", {"status": "active"})
        await handed_over(core, run)
        assert len(theirs.dispatched) == 1


async def test_a_call_without_an_answer_is_made_again(at_work: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    core = open_to_loopback(at_work)
    lost: list[str] = []

    async def losing(*given: Any, **more: Any) -> Any:
        reply = await call(*given, **more)
        if not lost:
            lost.append("the first answer")
            raise httpx.ReadError("lost")
        return reply

    monkeypatch.setattr("perdure.services.push_dispatch.call", losing)
    answers = [ACCEPTED, (202, {"accepted": True, "duplicate": True})]
    async with runtime(answers=answers) as theirs, dispatching(core), without_pauses(core):
        await register(at_work, theirs.url)
        run = await started(at_work)
        await handed_over(core, run)
    assert len(theirs.dispatched) == 2
