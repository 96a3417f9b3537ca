"""Workers of tasks are killed: nothing of a task is left, its run goes on, and each request of a batch ends once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.processes import PROJECT, Process, Site, eventually, site

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

EXAMPLES = Path(__file__).parents[1] / "http" / "task_examples.py"
BATCH = 30


@pytest.fixture
def place(tmp_path: Path, database: str) -> Iterator[Site]:
    with site(tmp_path, EXAMPLES, PERDURE_DATABASE_URL=database) as made:
        yield made


def gone(pid: int) -> bool:
    """Whether a process has ended; one that waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def posted(place: Site, path: str, body: object) -> dict[str, Any]:
    with place.client() as client:
        answer: dict[str, Any] = client.post(path, json=body).raise_for_status().json()
    return answer


def start(place: Site, target: str, **request: object) -> str:
    owner = {"kind": "project", "id": PROJECT}
    made = posted(place, "/runs", {"kind": "task", "owner": owner, "request": {"target": f"task:{target}", **request}})
    return str(made["run"]["run_id"])


def kill(worker: Process) -> None:
    """`kill -9` of the worker alone, whose session its tasks are not in."""
    worker.kill()


def test_a_killed_worker_takes_its_task_with_it_and_another_runs_it_again(place: Site) -> None:
    place.serve()
    worker = place.worker()
    config = {"effects": str(place.folder / "effects"), "go": str(place.folder / "go")}
    run_id = start(place, "once_per_file", config=config)
    eventually(lambda: len(place.effects()) == 1, "the task runs")
    kill(worker)
    pid = int(place.effects()[0].split()[2])
    eventually(lambda: gone(pid), "the task's process ends")
    place.worker()
    eventually(lambda: len(place.effects()) == 2, "the task runs again")
    place.let("go")
    run = place.ended(run_id)
    assert (run["status"], run["output"], run["attempt"], run["exit_code"]) == ("completed", 2, 2, 0)
    exits = [
        one["payload"]["value"] for one in place.events(run_id) if one["payload"].get("name", "").endswith("exited")
    ]
    assert [one["attempt"] for one in exits] == [2]


def test_what_a_task_started_goes_with_a_killed_worker_too(place: Site) -> None:
    place.serve()
    worker = place.worker()
    run_id = start(place, "family", backoff_limit=0)
    eventually(lambda: "family" in (place.run(run_id)["logs"] or ""), "the family is there")
    family = [int(pid) for pid in place.run(run_id)["logs"].split()[1:4]]
    kill(worker)
    eventually(lambda: all(map(gone, family)), "the family ends")
    place.worker()
    run = place.ended(run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "ATTEMPTS_EXHAUSTED"), "0 retries: a loss is one, too"


def test_a_worker_is_killed_in_the_middle_of_a_batch(place: Site) -> None:
    place.serve()
    worker = place.worker()
    requests = [{"target": "task:shell", "config": {"number": number}} for number in range(BATCH)]
    made = posted(place, "/batches", {"requests": requests})
    path = f"/batches/{made['batch']['batch_id']}"

    def batch() -> dict[str, Any]:
        with place.client() as client:
            read: dict[str, Any] = client.get(path).raise_for_status().json()
        return read

    eventually(lambda: batch()["ended"] > 0, "some have ended")
    kill(worker)
    place.worker()
    eventually(lambda: batch()["ended"] == BATCH, "all have ended", 120)
    assert batch()["counts"]["completed"] == BATCH
    for number, run_id in enumerate(made["run_ids"]):
        assert f'"number":{number}}}' in place.run(run_id)["logs"]
