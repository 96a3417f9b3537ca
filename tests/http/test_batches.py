"""Batches of tasks: sent as one, counted, cancelled as a whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from perdure.domain.ids import RunId, RunKey
from perdure.domain.lease import Held
from perdure.domain.run import Status
from perdure.services import batches, catalog, lifecycle
from tests.http.runs_app import PROJECT, Api
from tests.http.tasks_at_work import tasks_at_work
from tests.store.harness import WAIT_SECONDS

UNKNOWN = "0190a000-0000-7000-8000-000000000000"


@pytest_asyncio.fixture
async def at_work(at_work: Api) -> Api:
    """The application, where a worker has once served two tasks."""
    await catalog.register(at_work.core, "gone", [("task", "a"), ("task", "unserved")], 1)
    return at_work


def requests(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"target": "task:unserved", "config": {"number": number}, **more} for number in range(count)]


async def counts(api: Api, batch_id: str) -> dict[str, int]:
    batch = await api.json("GET", f"/batches/{batch_id}")
    assert batch["total"] == sum(batch["counts"].values())
    return {status: count for status, count in batch["counts"].items() if count}


async def test_a_batch_is_made_whole(at_work: Api) -> None:
    made = await at_work.json("POST", "/batches", {"requests": requests(3, name="n", timeout_seconds=5)})
    batch = made["batch"]
    assert (made["accepted"], made["duplicate"], batch["status"], batch["progress"]) == (True, False, "pending", 0.0)
    for number, run_id in enumerate(made["run_ids"]):
        run = await at_work.json("GET", f"/runs/{run_id}")
        assert (run["config"], run["batch_id"]) == ({"number": number}, batch["batch_id"])
        assert (run["kind"], run["status"], run["timeout_seconds"]) == ("task", "pending", 5)
        assert run["owner"] == {"kind": "project", "id": str(PROJECT)}


async def test_the_same_request_makes_it_once(at_work: Api) -> None:
    body: dict[str, Any] = {"batch_id": str(uuid4()), "requests": requests(5)}
    first = await at_work.json("POST", "/batches", body)
    again = await at_work.json("POST", "/batches", body)
    assert again == {**first, "duplicate": True}
    assert await counts(at_work, body["batch_id"]) == {"pending": 5}
    problem = await at_work.problem("POST", "/batches", 409, json={**body, "requests": requests(4)})
    assert problem["code"] == "idempotency_key_reused"


async def test_task_runs_that_name_it_belong_to_it(at_work: Api) -> None:
    batch_id = str(uuid4())
    task = {"kind": "task", "owner": {"kind": "project", "id": str(PROJECT)}}
    await at_work.json("POST", "/runs", {**task, "request": {"target": "task:a", "batch_id": batch_id}})
    assert await counts(at_work, batch_id) == {"pending": 1}
    answer = await at_work.json("POST", f"/batches/{batch_id}/cancel")
    assert (answer["cancelled"], answer["batch"]["status"]) == (True, "cancelled")
    assert await counts(at_work, batch_id) == {"cancelled": 1}


async def test_ten_thousand_at_once(at_work: Api) -> None:
    made = await at_work.json("POST", "/batches", {"requests": requests(10_000)})
    assert len(set(made["run_ids"])) == made["batch"]["total"] == 10_000
    problem = await at_work.problem("POST", "/batches", 400, json={"requests": requests(10_001)})
    assert "/requests" in problem["detail"]
    answer = await at_work.json("POST", f"/batches/{made['batch']['batch_id']}/cancel")
    assert answer["batch"]["counts"]["cancelled"] == 10_000


async def test_plans_that_were_made_for_few_runs_serve_for_many(at_work: Api) -> None:
    """They are kept, and those that check foreign keys read a whole table for each row if they once found it small."""
    database, many = at_work.core.database, 2_000
    await at_work.json("POST", "/batches", {"requests": requests(5)})
    await database.execute("VACUUM ANALYZE")
    await at_work.json("POST", "/batches", {"requests": requests(5)})
    await at_work.json("POST", "/batches", {"requests": requests(many)})
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            ((made, read),) = await database.fetch(
                "SELECT sum(n_tup_ins), sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = ANY ($1)",
                ["runs", "run_head"],
            )
            if made > 2 * many:  # the connections tell of what they did with a delay
                break
            await asyncio.sleep(0.05)
    assert read < 50 * many


async def test_a_run_of_a_cancelled_batch_is_a_cancelled_run(at_work: Api) -> None:
    """The many that nobody has begun are cancelled in one statement, which must leave what the cancel of one leaves."""
    made = await at_work.json("POST", "/batches", {"requests": requests(2)})
    alone, one_of_many = made["run_ids"]
    await lifecycle.cancel(at_work.core, RunKey(PROJECT, RunId(alone)), "The batch was cancelled.")
    await at_work.json("POST", f"/batches/{made['batch']['batch_id']}/cancel")
    own = {"run_id", "root_run_id", "config", "updated_at", "completed_at", "created_at", "duration_ms"}
    runs = [await at_work.json("GET", f"/runs/{run_id}") for run_id in (alone, one_of_many)]
    assert (
        len({msgspec.json.encode({name: run[name] for name in run.keys() - own}, order="sorted") for run in runs}) == 1
    )
    logs = [(await at_work.json("GET", f"/runs/{run_id}/events"))["data"] for run_id in (alone, one_of_many)]
    assert [[{**event, "created_at": None} for event in log] for log in logs] == 2 * [
        [{"event_id": 1, "event_type": "RUN_ERROR", "payload": logs[0][0]["payload"], "created_at": None}]
    ]
    heads = await at_work.core.database.fetch(
        "SELECT DISTINCT status, executor, revision, attempt, fence, cancelling, version, waiting::text FROM run_head"
    )
    assert len(heads) == 1


async def test_a_cancel_goes_on_wherever_it_was_interrupted(at_work: Api) -> None:
    """Runs that were begun are cancelled one by one, some before the answer."""
    made = await at_work.json("POST", "/batches", {"requests": requests(500)})
    batch_id = made["batch"]["batch_id"]
    for begun in await lifecycle.claim(at_work.core, "gone", ["task:unserved"], 250, 30):
        await lifecycle.give_back(at_work.core, Held(begun.key, begun.fence), "worker_stopped")
    answer = await at_work.json("POST", f"/batches/{batch_id}/cancel")
    assert answer["batch"]["status"] == "cancelling"
    assert answer["batch"]["counts"]["pending"] == 50
    for _ in range(5):
        await batches.go_on_cancelling(at_work.core)
    assert await counts(at_work, batch_id) == {"cancelled": 500}
    again = await at_work.json("POST", f"/batches/{batch_id}/cancel")
    assert again["batch"]["status"] == "cancelled"
    rows = await at_work.core.database.fetch("SELECT run_id FROM run_queue")
    assert rows == []


async def test_others_do_not_see_it(at_work: Api) -> None:
    made = await at_work.json("POST", "/batches", {"requests": requests(1)})
    batch_id = made["batch"]["batch_id"]
    await at_work.json("POST", "/projects", {"slug": "other"})
    key = (await at_work.json("POST", "/projects/other/keys", {"name": "k"}))["key"]
    headers = {"Authorization": f"Bearer {key}"}
    for method, path in (("GET", f"/batches/{batch_id}"), ("POST", f"/batches/{batch_id}/cancel")):
        assert (await at_work.problem(method, path, 404, headers=headers))["code"] == "batch_not_found"
    foreign = {"owner": {"kind": "project", "id": str(PROJECT)}, "requests": requests(1)}
    await at_work.problem("POST", "/batches", 404, json=foreign, headers=headers)
    assert await counts(at_work, batch_id) == {"pending": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"requests": []},
        {},
        {"requests": [{}]},
        {"requests": [{"target": "task:a", "batch_id": UNKNOWN}]},
        {"requests": requests(1), "batch_id": "x"},
    ],
)
async def test_bad_bodies(at_work: Api, body: dict[str, Any]) -> None:
    await at_work.problem("POST", "/batches", 400, json=body)
    rows = await at_work.core.database.fetch("SELECT FROM runs")
    assert rows == []


async def test_what_is_asked_for_is_checked_before_anything_is_made(database: str, tmp_path: Path) -> None:
    async with tasks_at_work(database, tmp_path) as tasks:
        good = {"target": "task:typed", "config": {"to": "Ada"}}
        for bad, status, code in (
            ({"target": "task:nobody"}, 404, "target_not_found"),
            ({"target": "task:typed", "config": {"to": 1}}, 400, "invalid_request"),
        ):
            problem = await tasks.api.problem("POST", "/batches", status, json={"requests": [good, bad]})
            assert problem["code"] == code
        assert await tasks.api.core.database.fetch("SELECT FROM runs") == []


@pytest.mark.parametrize("path", [f"/batches/{UNKNOWN}", "/batches/x"])
async def test_unknown_batches(at_work: Api, path: str) -> None:
    assert (await at_work.problem("GET", path, 404))["code"] == "batch_not_found"
    assert (await at_work.problem("POST", f"{path}/cancel", 404))["code"] == "batch_not_found"


async def test_a_batch_runs_to_its_end(database: str, tmp_path: Path) -> None:
    async with tasks_at_work(database, tmp_path) as tasks:
        served = [{"target": "task:shell_result"}, {"target": "task:shell_result"}, {"target": "task:shell_failed"}]
        made = await tasks.api.json("POST", "/batches", {"requests": served})
        for run_id in made["run_ids"]:
            await tasks.ended(run_id)
        batch = await tasks.api.json("GET", f"/batches/{made['batch']['batch_id']}")
        assert (batch["status"], batch["progress"]) == ("failed", 1.0)
        assert batch["counts"][Status.COMPLETED] == 2
