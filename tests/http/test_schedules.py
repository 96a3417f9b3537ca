"""Schedules over HTTP, and what the clock makes of them: each fire once, whoever sees to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest_asyncio
from structlog.testing import capture_logs

from perdure.services import deadlines, lifecycle, schedules
from perdure.store import schedules as store
from tests.http.runs_app import Api, api
from tests.store.harness import ManualClock

SCHEDULES = "/projects/default/schedules"
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@dataclass
class Timed:
    """The application, and a clock for those who look after schedules."""

    api: Api
    clock: ManualClock

    async def fire(self, **later: float) -> int:
        """Time passes, and what is due fires."""
        self.clock.now += int(timedelta(**later).total_seconds() * 1000)
        return await schedules.fire_due(self.api.core)

    async def create(self, **more: object) -> dict[str, Any]:
        body = {"name": "hourly", "cron": "0 * * * *", "target": {"kind": "task", "id": "tidy"}, **more}
        made: dict[str, Any] = await self.api.json("POST", SCHEDULES, body)
        return made

    async def read(self, made: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = await self.api.json("GET", f"{SCHEDULES}/{made['id']}")
        return found

    async def runs(self) -> list[dict[str, Any]]:
        """Oldest first."""
        found: list[dict[str, Any]] = (await self.api.json("GET", "/runs"))["data"]
        return found[::-1]


@pytest_asyncio.fixture
async def timed(database: str) -> AsyncIterator[Timed]:
    clock = ManualClock(int(NOON.timestamp() * 1000) + 60_000)
    async with api(database) as running:
        running.core = replace(running.core, clock=clock)
        running.app.state.core = running.core
        yield Timed(running, clock)


async def test_create_read_list_change_delete(timed: Timed) -> None:
    at_work = timed.api
    made = await timed.create(time_zone="Europe/Berlin", concurrency="Forbid", max_runs=3.0, timeout_seconds=60.0)
    assert (made["status"], made["definition_source"], made["source_trigger_id"]) == ("active", "manual", None)
    assert (made["max_runs"], made["run_count"], made["timeout_seconds"]) == (3, 0, 60)
    assert (made["target"], made["next_fire_at"]) == ({"kind": "task", "id": "tidy"}, "2030-01-01T13:00:00.000Z")
    assert await timed.read(made) == made
    timed.clock.now += 1  # the list is in the order of time
    other = await timed.create(source_trigger_id="t-1", status="paused")
    assert (other["definition_source"], other["next_fire_at"]) == ("source", None)
    for query, expected in (("", [made, other]), ("?status=active", [made]), ("?source_trigger_id=t-1", [other])):
        assert await at_work.json("GET", SCHEDULES + query) == {"schedules": expected}

    url = f"{SCHEDULES}/{made['id']}"
    paused = await at_work.json("PATCH", url, {"status": "paused", "max_runs": None})
    assert (paused["status"], paused["next_fire_at"], paused["max_runs"]) == ("paused", None, None)
    assert await timed.fire(days=2) == 0
    resumed = await at_work.json("PATCH", url, {"status": "active", "cron": "30 9 * * *"})
    assert resumed["next_fire_at"] == "2030-01-04T08:30:00.000Z"
    assert (await at_work.client.delete(url)).status_code == 204
    assert (await at_work.problem("GET", url, 404))["code"] == "schedule_not_found"
    await at_work.problem("DELETE", url, 404)
    assert await timed.fire(days=2) == 0


async def test_what_is_refused(timed: Timed) -> None:
    at_work, made = timed.api, await timed.create()
    for wrong, pointer in (
        ({"cron": "61 * * * *"}, "/cron"), ({"time_zone": "Mars/Base"}, "/time_zone"), ({"max_runs": 0}, "/max_runs"),
        ({"target": {"kind": "eval", "id": "x"}}, "/target/kind"), ({"status": "deleting"}, "/status"),
        ({"concurrency": "allow"}, "/concurrency"), ({"other": 1}, ""),
    ):  # fmt: skip
        problem = await at_work.problem("PATCH", f"{SCHEDULES}/{made['id']}", 400, json=wrong)
        assert problem.get("pointer", "").startswith(pointer), problem
    assert await timed.read(made) == made
    await at_work.problem("GET", f"{SCHEDULES}?status=off", 400)
    await at_work.problem("GET", f"{SCHEDULES}/nonsense", 404)


async def test_another_projects_schedule_is_not_there(timed: Timed) -> None:
    at_work, made = timed.api, await timed.create()
    await at_work.json("POST", "/projects", {"slug": "other"})
    key = (await at_work.json("POST", "/projects/other/keys", {"name": "theirs"}))["key"]
    theirs = {"Authorization": f"Bearer {key}"}
    for ref in ("default", "other"):
        url = f"/projects/{ref}/schedules/{made['id']}"
        await at_work.problem("GET", url, 404, headers=theirs)
        await at_work.problem("PATCH", url, 404, headers=theirs, json={"status": "paused"})
        await at_work.problem("DELETE", url, 404, headers=theirs)
        body = {"run_name": "r", "idempotency_key": "k"}
        await at_work.problem("POST", f"{url}/runs", 404, headers=theirs, json=body)
    await at_work.problem("GET", SCHEDULES, 404, headers=theirs)
    reader = {"Authorization": f"Bearer {await at_work.new_key(scopes=['runs:read'])}"}
    await at_work.problem("DELETE", f"{SCHEDULES}/{made['id']}", 403, headers=reader)
    assert await timed.read(made) == made


async def test_a_run_by_hand(timed: Timed) -> None:
    at_work, made = timed.api, await timed.create(status="paused", max_runs=1, input={"a": 1}, config={"b": [2]})
    url = f"{SCHEDULES}/{made['id']}/runs"
    body = {"run_name": "now", "idempotency_key": "k-1"}
    first, again = await asyncio.gather(*(at_work.client.post(url, json=body) for _ in range(2)))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["schedule_id"] == made["id"]
    assert first.json()["run_execution_id"]
    run = await at_work.json("GET", f"/runs/{first.json()['run_id']}")
    assert (run["kind"], run["target"], run["schedule_id"], run["trigger_kind"]) == (
        "task", "task:tidy", made["id"], "manual",
    )  # fmt: skip
    assert (run["timeout_seconds"], run["input"], run["config"]) == (3600, {"a": 1}, {"b": [2]})
    assert (made["input"], made["config"]) == ({"a": 1}, {"b": [2]})
    url_of_schedule = f"{SCHEDULES}/{made['id']}"
    assert (await at_work.json("PATCH", url_of_schedule, {"config": None}))["input"] == {"a": 1}
    assert (await timed.read(made))["config"] is None
    other = await at_work.json("POST", url, {**body, "idempotency_key": "k-2"})
    assert other["run_id"] != run["run_id"]
    assert (await timed.read(made))["run_count"] == 0


async def test_a_fire_has_one_run_however_many_see_to_it(timed: Timed) -> None:
    made = await timed.create()
    assert await timed.fire(minutes=58, seconds=59) == 0
    timed.clock.now += 1000
    await asyncio.gather(*(schedules.fire_due(timed.api.core) for _ in range(4)))
    (run,) = await timed.runs()
    assert (run["schedule_id"], run["trigger_kind"], run["target"]) == (made["id"], "schedule", "task:tidy")
    assert await timed.fire(seconds=1) == 0
    after = await timed.read(made)
    assert (after["run_count"], after["last_run_id"]) == (1, run["run_id"])
    assert (after["last_fire_at"], after["next_fire_at"]) == ("2030-01-01T13:00:00.000Z", "2030-01-01T14:00:00.000Z")


async def test_of_missed_fires_the_latest_is_made_up_for(timed: Timed) -> None:
    made = await timed.create()
    assert await timed.fire(days=3) == 1
    assert await timed.fire() == 0
    assert len(await timed.runs()) == 1
    after = await timed.read(made)
    assert (after["last_fire_at"], after["next_fire_at"]) == ("2030-01-04T12:00:00.000Z", "2030-01-04T13:00:00.000Z")


async def test_a_server_that_dies_between_claim_and_run(timed: Timed) -> None:
    made = await timed.create(concurrency="Replace")
    core = timed.api.core
    timed.clock.now += 3_600_000
    now = datetime.fromtimestamp(timed.clock.now / 1000, UTC)
    (known,) = await store.due(core.database, now, 10)
    assert known.next_fire_at is not None
    taken = await store.claim_fire(core.database, known, known.next_fire_at, now + timedelta(hours=1), now)
    assert taken is not None
    assert await store.claim_fire(core.database, known, known.next_fire_at, now + timedelta(hours=1), now) is None
    assert await timed.fire(minutes=1) == 1, "another server finishes the fire"
    (run,) = await timed.runs()

    async with core.database.connection() as connection:  # as if it had died after the run, before it said so
        await connection.execute(
            "UPDATE schedules SET firing_at = $1, claimed_at = $2, run_count = 0", taken.firing_at, taken.claimed_at
        )
    assert await timed.fire(minutes=1) == 1
    assert [one["run_id"] for one in await timed.runs()] == [run["run_id"]]
    assert (await timed.api.json("GET", f"/runs/{run['run_id']}"))["status"] == "pending", "it does not replace itself"
    assert (await timed.read(made))["run_count"] == 1


async def test_forbid_replace_and_allow(timed: Timed) -> None:
    at_work = timed.api
    made = await timed.create(concurrency="Forbid")
    for _ in range(2):
        assert await timed.fire(hours=1) == 1
    (first,) = await timed.runs()
    assert (await timed.read(made))["run_count"] == 1
    await at_work.json("POST", f"/runs/{first['run_id']}/complete", {"status": "completed"})
    await timed.fire(hours=1)
    assert [run["status"] for run in await timed.runs()] == ["completed", "pending"]
    await at_work.json("PATCH", f"{SCHEDULES}/{made['id']}", {"concurrency": "Replace"})
    await timed.fire(hours=1)
    assert [run["status"] for run in await timed.runs()] == ["completed", "cancelled", "pending"]
    await at_work.json("PATCH", f"{SCHEDULES}/{made['id']}", {"concurrency": "Allow"})
    await timed.fire(hours=1)
    assert [run["status"] for run in await timed.runs()] == ["completed", "cancelled", "pending", "pending"]


async def test_max_runs_pauses_it(timed: Timed) -> None:
    made = await timed.create(max_runs=2)
    for _ in range(4):
        await timed.fire(hours=1)
    after = await timed.read(made)
    assert (len(await timed.runs()), after["status"], after["run_count"]) == (2, "paused", 2)
    url = f"{SCHEDULES}/{made['id']}"
    await timed.api.problem("PATCH", url, 409, json={"status": "active"})
    assert (await timed.api.json("PATCH", url, {"status": "active", "max_runs": 3}))["status"] == "active"
    await timed.fire(hours=1)
    assert len(await timed.runs()) == 3


async def test_an_agent_and_its_conversation(timed: Timed) -> None:
    at_work = timed.api
    conversation = (await at_work.json("POST", "/conversations", {}))["id"]
    existing = {"kind": "agent", "id": "echo", "conversation_mode": "existing", "conversation_id": conversation}
    made = await timed.create(target=existing)
    assert made["target"] == existing
    await timed.create(target={"kind": "agent", "id": "echo"})
    await timed.create(target={"kind": "agent", "id": "echo", "conversation_mode": "none"})
    await timed.create(target={"kind": "workflow", "id": "flow"})
    assert await timed.fire(hours=1) == 4
    runs = await timed.runs()
    assert sorted(run["kind"] for run in runs) == ["agent", "agent", "agent", "workflow"]
    (found,) = (await at_work.json("GET", f"/conversations/{conversation}/messages"))["data"]
    assert found["role"] == "assistant"


async def test_a_fire_that_cannot_be_says_why_and_stops_no_other(timed: Timed) -> None:
    lost = await timed.create(target={"kind": "agent", "id": "nobody"})
    gone = await timed.create(
        target={"kind": "agent", "id": "echo", "conversation_mode": "existing", "conversation_id": str(uuid4())}
    )
    fine = await timed.create()
    assert await timed.fire(hours=1) == 3
    assert "nobody" in (await timed.read(lost))["last_error"]
    assert (await timed.read(gone))["last_error"]
    assert (await timed.read(fine))["run_count"] == 1
    assert await timed.fire() == 0


async def test_what_the_clients_read(timed: Timed) -> None:
    """The members of veryfront.md 1.10, in the types that its client insists on."""
    target = {"kind": "agent", "id": "echo", "conversation_mode": "create_new"}
    await timed.create(target=target, source_trigger_id="t-1", timeout_seconds=60)
    (shown,) = (await timed.api.json("GET", f"{SCHEDULES}?status=active&source_trigger_id=t-1"))["schedules"]
    asked = ("name", "status", "target", "definition_source", "source_trigger_id", "timeout_seconds")
    assert {name: shown[name] for name in asked} == {
        "name": "hourly", "status": "active", "target": target, "definition_source": "source",
        "source_trigger_id": "t-1", "timeout_seconds": 60,
    }  # fmt: skip
    answer = await timed.api.client.post(
        f"{SCHEDULES}/{shown['id']}/runs", json={"run_name": "now", "idempotency_key": "k"}
    )
    assert (answer.status_code, sorted(answer.json())) == (201, ["run_execution_id", "run_id", "schedule_id"])


async def test_each_fire_is_told_once(timed: Timed) -> None:
    await timed.create(concurrency="Forbid")
    await timed.create(target={"kind": "agent", "id": "nobody"})
    with capture_logs() as lines:
        for _ in range(2):
            timed.clock.now += 3_600_000
            await asyncio.gather(*(schedules.fire_due(timed.api.core) for _ in range(3)))
    told = [(line["event"], line["fire_at"]) for line in lines if line["event"].startswith("schedule.failed")]
    assert told == [("schedule.failed", f"2030-01-01T{hour}:00:00+00:00") for hour in (13, 14)]
    metrics = (await timed.api.client.get("/metrics")).text
    for outcome, count in (("started", 1), ("skipped", 1), ("failed", 2)):
        assert f'perdure_schedule_fires_total{{outcome="{outcome}"}} {count}.0' in metrics


async def test_the_days_on_which_the_clocks_change(timed: Timed) -> None:
    """Berlin, 2030: 31 March has no 02:30, 27 October has two; three servers look every ten minutes."""
    made = await timed.create(cron="30 2 * * *", time_zone="Europe/Berlin")
    for begin, fires in (
        (datetime(2030, 3, 30, 22, tzinfo=UTC), ["2030-03-31T01:00"]),
        (datetime(2030, 10, 26, 22, tzinfo=UTC), ["2030-10-27T00:30"]),
    ):
        timed.clock.now = int(begin.timestamp() * 1000)
        await timed.fire()  # makes up for the long time without a server, once
        before = (await timed.read(made))["run_count"]
        for _ in range(6 * 10):
            timed.clock.now += 600_000
            await asyncio.gather(*(schedules.fire_due(timed.api.core) for _ in range(3)))
        after = await timed.read(made)
        assert (after["run_count"] - before, [after["last_fire_at"][:16]]) == (1, fires)


async def test_a_run_that_takes_too_long(timed: Timed) -> None:
    await timed.create(timeout_seconds=60)
    await timed.fire(hours=1)
    (run,) = await timed.runs()
    assert await lifecycle.claim(timed.api.core, "worker", ["task:tidy"], 1, 3600)
    timed.clock.now += 60_000
    assert await deadlines.fail_overdue(timed.api.core) == 0, "the worker of a task may end it first"
    timed.clock.now += 10_000
    assert await deadlines.fail_overdue(timed.api.core) == 1
    failed = await timed.api.json("GET", f"/runs/{run['run_id']}")
    assert (failed["status"], failed["error"]["code"], failed["duration_ms"]) == ("failed", "TIMEOUT", 70_000)
