"""External workers over HTTP: who gets which run, what a lost lease means, cancel, and waiting for work."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import pytest

from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Status
from perdure.services import lifecycle
from tests.http.runs_app import PROJECT, Api, agent_run, api, problem_in, served
from tests.store.harness import WAIT_SECONDS, events_of, eventually, whole_log

KIND = "openclaw"


class Worker:
    """A registered worker, which sends its own token."""

    def __init__(self, at_work: Api, answer: dict[str, Any]) -> None:
        self.at_work = at_work
        self.id = str(answer["worker"]["id"])
        self.token = str(answer["token"])
        self.path = f"/agent-workers/workers/{self.id}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def claim(self, **body: object) -> Any:
        return (await self.at_work.json("POST", f"{self.path}/claim", body, headers=self.headers))["run"]

    async def renew(self, run_id: str, **body: object) -> Any:
        url = f"{self.path}/runs/{run_id}/lease"
        return (await self.at_work.json("POST", url, body, headers=self.headers))["run"]

    async def session(self, run_id: str, **body: object) -> Any:
        url = f"{self.path}/runs/{run_id}/session"
        return (await self.at_work.json("PUT", url, body, headers=self.headers))["session"]


async def register(at_work: Api, ref: str = "default", *, kind: str = KIND, key: str = "one") -> Worker:
    body = {
        "implementation_kind": kind, "implementation_display_name": "Claw", "worker_key": key, "metadata": {"a": [1]},
    }  # fmt: skip
    answer = await at_work.client.post(f"/agent-workers/projects/{ref}/workers", json=body)
    assert answer.status_code == 201, answer.text
    return Worker(at_work, answer.json())


async def queued(at_work: Api, *, kind: str = KIND, project: str = str(PROJECT), **request: object) -> dict[str, Any]:
    """A run for an external worker."""
    body = agent_run(implementation_kind=kind, initial_status="pending", **request)
    body["owner"]["id"] = project
    made: dict[str, Any] = await at_work.json("POST", "/runs", body)
    assert made["run"]["status"] == "pending"
    return made


def key_of(made: dict[str, Any], project: Any = PROJECT) -> RunKey:
    return RunKey(project, RunId(made["run"]["run_id"]))


async def log(at_work: Api, made: dict[str, Any]) -> list[str]:
    return [line for _, line in events_of(await whole_log(at_work.core.database, key_of(made)))]


async def let_expire(at_work: Api, made: dict[str, Any]) -> None:
    """The lease of a run runs out, and who looks after the queue sees it."""
    async with at_work.core.database.connection() as connection:
        await connection.execute(
            "UPDATE run_queue SET lease_expires_at = now() - interval '1 second' WHERE run_id = $1",
            made["run"]["run_id"],
        )
    assert await lifecycle.recover_expired(at_work.core) == 1


async def test_a_worker_registers_and_is_heard_of(at_work: Api) -> None:
    worker = await register(at_work)
    beaten = await at_work.json("POST", f"{worker.path}/heartbeat", headers=worker.headers)
    told = beaten["worker"]
    assert (told["id"], told["project_id"], told["status"]) == (worker.id, str(PROJECT), "active")
    assert (told["implementation_kind"], told["worker_key"], told["metadata"]) == (KIND, "one", {"a": [1]})
    assert told["last_heartbeat_at"] >= told["created_at"]
    again = await register(at_work)
    assert (again.id, again.token) != (worker.id, worker.token)
    async with at_work.core.database.connection() as connection:
        await connection.execute("UPDATE agent_workers SET last_heartbeat_at = last_heartbeat_at - interval '8 days'")
    await register(at_work)
    assert (await at_work.problem("POST", f"{worker.path}/heartbeat", 404))["code"] == "worker_not_found"


async def test_a_claimed_run_says_all_that_a_worker_needs(at_work: Api) -> None:
    worker = await register(at_work)
    assert await worker.claim() is None
    made = await queued(at_work, source_target_kind="project", runtime_target_kind="main_branch")
    run = await worker.claim(lease_duration_seconds=30)
    assert run["run_id"] == made["run"]["run_id"]
    assert (run["conversation_id"], run["message_id"]) == (made["conversation_id"], made["message_id"])
    assert (run["project_id"], run["agent_id"], run["status"]) == (str(PROJECT), "writer", "running")
    assert (run["source_target_kind"], run["runtime_target_kind"]) == ("project", "main_branch")
    assert run["request_snapshot"] == {"messages": [], "tools": [], "context": []}
    assert (run["lease_owner"], run["worker_session"], run["attempt"], run["fence"]) == (worker.id, None, 1, 1)
    assert run["latest_external_event_sequence"] == 0
    left = datetime.fromisoformat(run["lease_expires_at"]) - datetime.fromisoformat(made["run"]["created_at"])
    assert timedelta(seconds=25) < left < timedelta(seconds=60)
    assert await worker.claim() is None
    longer = await worker.renew(run["run_id"], lease_duration_seconds=900)
    assert longer["lease_expires_at"] > run["lease_expires_at"]
    assert await log(at_work, made) == ['{"type":"CUSTOM","name":"perdure.run.attempt","value":{"attempt":1}}']


async def test_the_conversation_before_the_run_is_in_its_snapshot(at_work: Api) -> None:
    worker = await register(at_work)
    conversation = (await at_work.json("POST", "/conversations", {}))["id"]
    url = f"/conversations/{conversation}/messages"
    hello = {"role": "user", "parts": [{"type": "text", "text": "Hi"}], "metadata": {"m": 1}}
    said = await at_work.json("POST", url, hello)
    request = agent_run(implementation_kind=KIND, initial_status="pending")
    request |= {"conversation_mode": "existing", "conversation_id": conversation}
    first = await at_work.json("POST", "/runs", request)
    await at_work.json("POST", url, {**hello, "parts": [{"type": "text", "text": "Late"}]})

    (message,) = (await worker.claim())["request_snapshot"]["messages"]
    assert (message["id"], message["role"], message["metadata"]) == (said["id"], "user", {"m": 1})
    assert message["parts"] == hello["parts"]
    assert message["createdAt"]

    text = [
        {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Hello."},
        {"type": "TEXT_MESSAGE_END", "messageId": "m"},
    ]
    await at_work.json("POST", f"/conversations/{conversation}/runs/{first['run']['run_id']}/events", {"events": text})
    await at_work.json("POST", f"/runs/{first['run']['run_id']}/complete", {"status": "completed"})
    await at_work.json("POST", "/runs", request)
    messages = (await worker.claim())["request_snapshot"]["messages"]
    assert [(one["role"], one["parts"][0]["text"]) for one in messages] == [
        ("user", "Hi"), ("assistant", "Hello."), ("user", "Late"),
    ]  # fmt: skip


async def test_a_worker_writes_and_completes_with_the_projects_key(at_work: Api) -> None:
    worker, made = await register(at_work), await queued(at_work)
    run = await worker.claim()
    url = f"/conversations/{made['conversation_id']}/runs/{run['run_id']}"
    events = [{"type": "RUN_STARTED", "runId": run["run_id"]}, {"type": "anything"}]
    body = {"events": events, "expected_previous_external_event_sequence": run["latest_external_event_sequence"]}
    assert (await at_work.client.post(f"{url}/events", json=body, headers=worker.headers)).status_code == 401
    assert (await at_work.json("POST", f"{url}/events", body))["latest_external_event_sequence"] == 2
    session = await worker.session(run["run_id"], session_key="s-1", metadata={"thread": 7})
    assert (session["worker_id"], session["session_key"], session["status"]) == (worker.id, "s-1", "active")
    assert (await worker.renew(run["run_id"]))["worker_session"] == session
    done = await at_work.json("POST", f"/runs/{run['run_id']}/complete", {"status": "completed"})
    assert (done["completed"], done["run"]["status"]) == (True, "completed")
    assert await worker.renew(run["run_id"]) is None
    ended = await worker.session(run["run_id"], session_key="s-1", status="completed")
    assert (ended["id"], ended["status"], ended["metadata"]) == (session["id"], "completed", {"thread": 7})
    assert ended["ended_at"]
    kinds = [line.split('"')[3] for line in await log(at_work, made)]
    assert kinds == ["CUSTOM", "RUN_STARTED", "anything", "RUN_FINISHED"]


async def test_an_expired_lease_gives_the_run_to_another_worker(at_work: Api) -> None:
    old, new, made = await register(at_work), await register(at_work), await queued(at_work)
    run_id = made["run"]["run_id"]
    url = f"/conversations/{made['conversation_id']}/runs/{run_id}/events"
    first = await old.claim()
    await at_work.json("POST", url, {"events": [{"type": "A"}]})
    await old.session(run_id, session_key="old")
    await let_expire(at_work, made)

    pending = await at_work.problem("POST", url, 400, json={"events": [{"type": "B"}]})
    assert pending["code"] == "run_not_started", "nobody holds the run: it comes from the worker that had it"
    second = await new.claim()
    assert (second["run_id"], second["attempt"], second["lease_owner"]) == (run_id, 2, new.id)
    assert second["fence"] > first["fence"]
    assert second["latest_external_event_sequence"] == 1, "the run keeps its events"
    assert second["worker_session"]["session_key"] == "old"

    assert await old.renew(run_id) is None
    lost = await at_work.problem("PUT", f"{old.path}/runs/{run_id}/session", 409, json={"session_key": "x"})
    assert lost["code"] == "lease_lost"
    stale = {"X-Perdure-Fence": str(first["fence"])}
    body = {"events": [{"type": "B"}]}
    assert (await at_work.problem("POST", url, 400, json=body, headers=stale))["code"] == "stale_fence"
    event_id = {**body, "expected_previous_event_id": first["latest_event_id"] + 1}
    assert (await at_work.problem("POST", url, 400, json=event_id))["code"] == "cursor_mismatch"
    ended = await at_work.json("POST", f"/runs/{run_id}/complete", {"status": "failed"}, headers=stale)
    assert (ended["completed"], ended["run"]["status"]) == (False, "running")

    fresh = {"X-Perdure-Fence": str(second["fence"])}
    assert (await at_work.json("POST", url, body, headers=fresh))["latest_external_event_sequence"] == 2
    assert (await new.session(run_id, session_key="new"))["worker_id"] == new.id
    await at_work.json("POST", f"/runs/{run_id}/complete", {"status": "completed"}, headers=fresh)
    names = [line for line in await log(at_work, made) if '"CUSTOM"' in line]
    assert [name.split('"')[7] for name in names] == [
        "perdure.run.attempt", "perdure.run.yielded", "perdure.run.attempt",
    ]  # fmt: skip


async def test_a_worker_hears_of_a_cancel_at_its_next_renewal(at_work: Api) -> None:
    worker, made = await register(at_work), await queued(at_work)
    run_id = (await worker.claim())["run_id"]
    cancelling = asyncio.create_task(at_work.json("POST", f"/runs/{run_id}/cancel"))
    while not (await at_work.json("GET", f"/runs/{run_id}"))["cancelling"]:
        assert not cancelling.done()
    assert await worker.renew(run_id) is None
    answer = await cancelling
    assert (answer["cancelled"], answer["run"]["status"]) == (True, "cancelled")
    assert '"code":"CANCELLED"' in (await log(at_work, made))[-1]
    url = f"/conversations/{made['conversation_id']}/runs/{run_id}/events"
    problem = await at_work.problem("POST", url, 400, json={"events": [{"type": "B"}]})
    assert problem["detail"] == "Cannot append external events to a terminal run"


async def test_a_worker_that_does_not_answer_a_cancel_loses_the_run(at_work: Api) -> None:
    worker, made = await register(at_work), await queued(at_work)
    run_id = (await worker.claim())["run_id"]
    await lifecycle.cancel(at_work.core, key_of(made), "Enough.")
    assert await lifecycle.force_overdue_cancels(at_work.core, timedelta(seconds=-1)) == 1
    assert (await at_work.json("GET", f"/runs/{run_id}"))["status"] == "cancelled"
    assert await worker.renew(run_id) is None


async def test_a_queued_run_is_cancelled_or_completed_without_a_worker(at_work: Api) -> None:
    worker = await register(at_work)
    for action, body, status in (("cancel", None, "cancelled"), ("complete", {"status": "failed"}, "failed")):
        made = await queued(at_work)
        answer = await at_work.json("POST", f"/runs/{made['run']['run_id']}/{action}", body)
        assert answer["run"]["status"] == status
    assert await worker.claim() is None


async def test_a_run_goes_to_its_kind_and_key_only(at_work: Api) -> None:
    one, two = await register(at_work, key="one"), await register(at_work, key="two")
    other = await register(at_work, kind="other")
    named = await queued(at_work, worker_key="two")
    assert await one.claim() is None
    assert await other.claim() is None
    anybody = await queued(at_work)
    assert (await two.claim())["run_id"] == named["run"]["run_id"]
    assert (await one.claim())["run_id"] == anybody["run"]["run_id"]


async def test_a_worker_never_gets_another_projects_run(at_work: Api) -> None:
    other = await at_work.json("POST", "/projects", {"slug": "other"})
    made = await queued(at_work, project=other["id"])
    worker, theirs = await register(at_work), await register(at_work, "other")
    assert await worker.claim() is None
    run = await theirs.claim()
    assert (run["run_id"], run["project_id"]) == (made["run"]["run_id"], other["id"])
    assert await worker.renew(run["run_id"]) is None
    missing = await at_work.problem(
        "PUT", f"{worker.path}/runs/{run['run_id']}/session", 404, json={"session_key": "s"}, headers=worker.headers
    )
    assert missing["code"] == "run_not_found"


async def test_who_may_act_for_a_worker(at_work: Api) -> None:
    worker, twin = await register(at_work), await register(at_work)
    await at_work.json("POST", "/projects", {"slug": "other"})
    own, reader = await at_work.new_key(), await at_work.new_key(scopes=["runs:read"])
    foreign = (await at_work.json("POST", "/projects/other/keys", {"name": "theirs"}))["key"]
    for credential, status in (
        (worker.token, 200), (own, 200), (twin.token, 401), ("nonsense", 401), (reader, 403), (foreign, 404),
    ):  # fmt: skip
        headers = {"Authorization": f"Bearer {credential}"}
        for path in ("heartbeat", "claim", "runs/none/lease"):
            answer = await at_work.client.post(f"{worker.path}/{path}", headers=headers)
            assert answer.status_code == status, (credential, path)
    bearer = {"Authorization": f"Bearer {worker.token}"}
    assert (await at_work.client.get("/runs", headers=bearer)).status_code == 401, "it opens nothing else"
    for unknown in (str(uuid4()), "no-uuid"):
        assert (await at_work.problem("POST", f"/agent-workers/workers/{unknown}/claim", 404))["code"] == (
            "worker_not_found"
        )
    body = {"implementation_kind": KIND, "worker_key": "k"}
    answer = await at_work.client.post(
        "/agent-workers/projects/default/workers", json=body, headers={"Authorization": f"Bearer {foreign}"}
    )
    assert (answer.status_code, problem_in(answer)["code"]) == (404, "project_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"lease_duration_seconds": 4},
        {"lease_duration_seconds": 901},
        {"lease_duration_seconds": "60"},
        {"wait_seconds": 61},
        {"wait_seconds": -1},
        {"more": 1},
    ],
)
async def test_a_lease_has_bounds(at_work: Api, body: dict[str, object]) -> None:
    worker, made = await register(at_work), await queued(at_work)
    await at_work.problem("POST", f"{worker.path}/claim", 400, json=body, headers=worker.headers)
    assert (await at_work.json("GET", f"/runs/{made['run']['run_id']}"))["status"] == "pending"


async def test_two_workers_that_claim_at_once_take_different_runs(at_work: Api) -> None:
    workers = [await register(at_work) for _ in range(4)]
    made = {(await queued(at_work))["run"]["run_id"] for _ in range(8)}
    claimed = await asyncio.gather(*(worker.claim() for worker in workers * 3))
    taken = [run["run_id"] for run in claimed if run is not None]
    assert len(taken) == len(set(taken))
    while (run := await workers[0].claim()) is not None:
        taken.append(run["run_id"])
    assert sorted(taken) == sorted(made)


async def test_a_claim_waits_for_work_on_any_server(at_work: Api, database: str) -> None:
    worker = await register(at_work)
    async with api(database) as elsewhere:
        for server in (at_work, elsewhere):
            waiting = asyncio.create_task(worker.claim(wait_seconds=60))
            await eventually(lambda: bool(at_work.app.state.queue_watch._waiting))
            assert not waiting.done()
            began = monotonic()
            made = await queued(server)
            run = await asyncio.wait_for(waiting, WAIT_SECONDS)
            assert run["run_id"] == made["run"]["run_id"]
            assert monotonic() - began < 5
    began = monotonic()
    assert await worker.claim(wait_seconds=1) is None
    assert monotonic() - began >= 1


async def test_nothing_is_taken_for_a_worker_that_has_gone_away(at_work: Api) -> None:
    worker = await register(at_work)
    watch = at_work.app.state.queue_watch
    async with served(at_work.app) as url, httpx.AsyncClient(base_url=url, headers=worker.headers) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{worker.path}/claim", json={"wait_seconds": 60}, timeout=0.5)
        await eventually(lambda: not watch._waiting)
    made = await queued(at_work)
    assert (await at_work.json("GET", f"/runs/{made['run']['run_id']}"))["status"] == Status.PENDING


async def test_a_server_that_stops_lets_nobody_wait(at_work: Api) -> None:
    worker = await register(at_work)
    waiting = asyncio.create_task(worker.claim(wait_seconds=60))
    await eventually(lambda: bool(at_work.app.state.queue_watch._waiting))
    at_work.app.stop_waiting()
    assert await asyncio.wait_for(waiting, WAIT_SECONDS) is None
