"""A new version of the code takes over from the old one, worker by worker, while runs come in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.kinds_at_work import EVERY_KIND, KINDS, all_completed, endpoint, in_second, start
from tests.acceptance.processes import PATIENCE, Process, Site, eventually, site
from tests.temporal_server import TemporalServer

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

PINNED = ("agent", "workflow", "task", "eval")
"""The kinds whose effects name the version of the worker; the agent elsewhere has none of ours."""


@pytest.fixture(params=["postgres", "temporal"])
def place(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Site]:
    """A site for each engine; its leases are longer than any test waits."""
    more = {
        "PERDURE_DATABASE_URL": database,
        "PERDURE_ENGINE": request.param,
        "PERDURE_LEASE_SECONDS": str(int(PATIENCE) * 5),
        "PERDURE_DRAIN_SECONDS": "2",
    }
    if request.param == "temporal":
        server: TemporalServer = request.getfixturevalue("temporal")
        more |= {"PERDURE_TEMPORAL_ADDRESS": server.address, "PERDURE_TEMPORAL_TASK_QUEUE": f"test-{uuid4().hex}"}
    with (
        endpoint(tmp_path) as url,
        site(tmp_path, EVERY_KIND, PERDURE_TEST_ENDPOINT=url, PERDURE_EGRESS_ALLOW="127.0.0.1", **more) as made,
    ):
        yield made


@contextmanager
def load(place: Site) -> Iterator[list[str]]:
    """Short workflows, one after the other, until the block ends; their ids."""
    begun: list[str] = []
    enough = threading.Event()

    def begin() -> None:
        while not enough.wait(0.3):
            begun.append(start(place, "quick", f"quick-{len(begun)}"))

    thread = threading.Thread(target=begin)
    thread.start()
    try:
        yield begun
    finally:
        enough.set()
        thread.join()


def worker(place: Site, version: str) -> Process:
    """A worker with a version of the code."""
    place.environment["PERDURE_TEST_VERSION"] = version
    return place.worker()


def versions(place: Site) -> dict[str, list[str]]:
    """The versions that executed each run, in order."""
    found: dict[str, list[str]] = {}
    for line in place.effects():
        what, version = line.split()
        found.setdefault(what.split(":")[0], []).append(version)
    return found


def test_workers_are_changed_one_after_the_other(place: Site) -> None:
    place.serve()
    old, older = worker(place, "1"), worker(place, "1")
    for kind in KINDS:
        start(place, kind)
    in_second(place, 1)
    with load(place) as begun:
        worker(place, "2")
        eventually(lambda: "2" in str(versions(place)), "the new version takes what is new")
        assert old.stop() == 0
        eventually(lambda: not held_by_none(place), "what it handed back is taken")
        for run, seen in versions(place).items():
            assert run == "remote" or len(set(seen)) == 1, f"{run} changed its version while a worker of it was alive"
        assert older.stop() == 0
        in_second(place, 2)
        eventually(lambda: all(versions(place)[kind][-1] == "2" for kind in PINNED), "the new version goes on")
    all_completed(place)
    for run_id in begun:
        assert place.ended(run_id)["status"] == "completed"
    effects = [line.split()[0] for line in place.effects() if line.startswith("quick-")]
    assert sorted(effects) == sorted(f"{run_id}:{part}" for run_id in begun for part in ("first", "second"))


def held_by_none(place: Site) -> list[str]:
    """The runs of every kind that no worker executes."""
    return [kind for kind in KINDS if place.run(kind)["status"] != "running"]
