"""A workflow outlives its workers: nothing that is recorded is executed again, and what comes meanwhile is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import PROJECT, Site, eventually, site

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]
WORKFLOWS = Path(__file__).with_name("workflows.py")


@pytest.fixture
def place(tmp_path: Path, database: str) -> Iterator[Site]:
    with site(tmp_path, WORKFLOWS, PERDURE_DATABASE_URL=database) as made:
        yield made


def test_a_workflow_whose_workers_are_killed_goes_on_where_it_was(place: Site) -> None:
    place.serve()
    worker = place.worker()
    with place.client() as client:
        request = {"workflow_id": "order", "target": "workflow:order", "input": {"sku": "a"}}
        owner = {"kind": "project", "id": PROJECT}
        made = client.post("/runs", json={"kind": "workflow", "public_id": "w", "owner": owner, "request": request})
        assert made.status_code == 202, made.text

        def logged() -> bool:
            return "waiting for money" in client.get("/runs/w/events").text

        eventually(lambda: logged() and place.run("w")["status"] == "waiting", "it waits for the signal")
        worker.kill()
        client.post("/runs/w/signals/paid", json={"euro": 5}).raise_for_status()
        second = place.worker()
        eventually(lambda: any(line.startswith("mail") for line in place.effects()), "the last step begins")
        second.kill()
        place.let("go")
        place.worker()
        ended = place.ended("w")
        assert ended["status"] == "completed", ended
        assert ended["output"] == {
            "paid": {"euro": 5},
            "boxes": ["box of a0", "box of a1"],
            "mail": "sent box of a0",
        }
    effects = place.effects()
    assert effects[0] == "reserve a"
    assert sorted(effects[1:3]) == ["pack a0", "pack a1"]
    assert len(effects) == 5
    assert len(set(effects[3:])) == 1
