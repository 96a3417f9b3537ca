"""Every fault meets every kind of run, on every engine: they share the processes that are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.kinds_at_work import EVERY_KIND, KINDS, all_completed, endpoint, in_second, start
from tests.acceptance.processes import Site, eventually, site
from tests.temporal_server import TemporalServer

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


@pytest.fixture(params=["postgres", "temporal"])
def place(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Site]:
    """A site on a database of the session's PostgreSQL, for each engine."""
    more = {"PERDURE_DATABASE_URL": database, "PERDURE_ENGINE": request.param}
    if request.param == "temporal":
        server: TemporalServer = request.getfixturevalue("temporal")
        more |= {"PERDURE_TEMPORAL_ADDRESS": server.address, "PERDURE_TEMPORAL_TASK_QUEUE": f"test-{uuid4().hex}"}
    with (
        endpoint(tmp_path) as url,
        site(
            tmp_path,
            EVERY_KIND,
            PERDURE_TEST_ENDPOINT=url,
            PERDURE_TEST_VERSION="1",
            PERDURE_EGRESS_ALLOW="127.0.0.1",
            **more,
        ) as made,
    ):
        yield made


def test_workers_are_killed_frozen_and_stopped(place: Site) -> None:
    """One after the other has all runs in hand; the server is killed meanwhile. The fourth worker ends them."""
    place.environment["PERDURE_DRAIN_SECONDS"] = "0.2"
    server = place.serve()
    first = place.worker()
    for kind in KINDS:
        start(place, kind)
    in_second(place, 1)
    first.kill()
    frozen = place.worker()
    server.kill()
    place.serve()
    in_second(place, 2)
    frozen.freeze()
    third = place.worker()
    in_second(place, 3)
    frozen.wake()
    eventually(lambda: frozen.log.read_text().count("lease.lost") == len(KINDS), "the zombie lost every one")
    frozen.kill()
    assert third.stop() == 0
    assert {place.run(kind)["status"] for kind in KINDS} == {"pending"}, "they wait for no lease"
    place.worker()
    in_second(place, 4)
    all_completed(place)
    assert {kind: place.run(kind)["attempt"] for kind in KINDS} == dict.fromkeys(KINDS, 4)


@pytest.mark.parametrize("engine", ["postgres", "temporal"])
def test_everything_is_killed(tmp_path: Path, engine: str) -> None:
    """`perdure dev` has all kinds in hand: its PostgreSQL is killed, the Temporal server, and then itself."""
    (tmp_path / "temporal").mkdir()
    with ExitStack() as stack:
        temporal = stack.enter_context(TemporalServer(tmp_path / "temporal")) if engine == "temporal" else None
        place = stack.enter_context(
            site(
                tmp_path,
                EVERY_KIND,
                PERDURE_TEST_ENDPOINT=stack.enter_context(endpoint(tmp_path)),
                PERDURE_TEST_VERSION="1",
                PERDURE_EGRESS_ALLOW="127.0.0.1",
                PERDURE_ENGINE=engine,
                **({} if temporal is None else {"PERDURE_TEMPORAL_ADDRESS": temporal.address}),
            )
        )
        dev = place.dev()
        for kind in KINDS:
            start(place, kind)
        in_second(place, 1)
        postmaster = int((tmp_path / "data/postgres/postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        if temporal is not None:
            temporal.kill()
            temporal.start()
        place.ready(dev)
        dev.kill()
        again = place.dev()
        in_second(place, 2)
        all_completed(place)
        assert again.stop() == 0
