"""Faults, with real processes (design sections 2-4): nothing committed is lost, nothing appears twice, ids have no gap,
a recorded step is not executed again, a zombie cannot write."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from tests.acceptance.processes import KEY, PATIENCE, Site, eventually, site
from tests.temporal_server import TemporalServer

pytestmark = pytest.mark.timeout(180)

WRITERS = 20
FOLLOWERS = 20
EVENTS_EACH = 60


on_each_engine = pytest.mark.parametrize("place", ["postgres", "temporal"], indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Site]:
    """A site on a database of the session's PostgreSQL, and with the engine that the test asks for."""
    engine: str = getattr(request, "param", "postgres")
    with site(tmp_path, PERDURE_DATABASE_URL=database, PERDURE_ENGINE=engine) as made:
        if engine == "temporal":
            server: TemporalServer = request.getfixturevalue("temporal")
            made.environment["PERDURE_TEMPORAL_ADDRESS"] = server.address
            made.environment["PERDURE_TEMPORAL_TASK_QUEUE"] = f"test-{uuid4().hex}"
        yield made


def payloads(place: Site, run_id: str) -> list[dict[str, Any]]:
    """The payloads of a run's events, after checking that ids and times only grow."""
    events = place.events(run_id)
    ids = [int(str(event["event_id"])) for event in events]
    times = [str(event["created_at"]) for event in events]
    assert ids == sorted(set(ids))
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    found: list[dict[str, Any]] = [event["payload"] for event in events]
    return found


def final_text(events: list[dict[str, Any]]) -> str:
    """The text of the messages that were not superseded."""
    gone = {event["value"]["messageId"] for event in events if event.get("name") == "perdure.message.superseded"}
    return "".join(
        str(event["delta"])
        for event in events
        if event["type"] == "TEXT_MESSAGE_CONTENT" and event["messageId"] not in gone
    )


@on_each_engine
def test_worker_killed_between_two_tool_calls(place: Site) -> None:
    place.serve()
    worker = place.worker()
    place.create("two_tools", "r")
    eventually(lambda: any(line.startswith("second") for line in place.effects()), "the second tool runs")
    worker.kill()
    place.let("go")
    place.worker()
    assert place.ended("r")["status"] == "completed"
    effects = place.effects()
    assert sum(line.startswith("first ") for line in effects) == 1
    seconds = [line for line in effects if line.startswith("second ")]
    assert len(seconds) == 2
    assert seconds[0] == seconds[1], "the idempotency key of a repeated call is the same"
    assert effects.count("model 0") == 1
    assert effects.count("model 1") == 1
    results = [event["toolCallId"] for event in payloads(place, "r") if event["type"] == "TOOL_CALL_RESULT"]
    assert results == ["call-0", "call-1"]
    assert place.run("r")["attempt"] == 2


def test_worker_killed_in_the_middle_of_streamed_text(place: Site) -> None:
    place.serve()
    worker = place.worker()
    place.create("storyteller", "r")
    eventually(lambda: len(place.events("r")) > 20, "text streams")
    worker.kill()
    place.worker()
    assert place.ended("r")["status"] == "completed"
    events = payloads(place, "r")
    assert final_text(events) == "".join(f"w{number} " for number in range(120))
    assert [event["type"] for event in events].count("TEXT_MESSAGE_START") == 2
    assert [event["type"] for event in events].count("TEXT_MESSAGE_END") == 2
    assert [event["type"] for event in events].count("RUN_STARTED") == 1
    assert events[-1]["type"] == "RUN_FINISHED"


@on_each_engine
def test_worker_dies_after_a_tool_ran_and_before_its_result_was_recorded(place: Site) -> None:
    place.serve()
    worker = place.worker()
    place.create("suicidal", "r")
    assert worker.popen.wait(PATIENCE) < 0
    place.worker()
    assert place.ended("r")["status"] == "completed"
    effects = place.effects()
    assert len(effects) == 2
    assert len(set(effects)) == 1, "the same idempotency key both times"
    assert final_text(payloads(place, "r")) == "survived"


@on_each_engine
def test_a_frozen_worker_wakes_up_and_cannot_write(place: Site) -> None:
    place.serve()
    frozen = place.worker()
    place.create("storyteller", "r")
    eventually(lambda: len(place.events("r")) > 10, "text streams")
    frozen.freeze()
    place.worker()
    eventually(lambda: place.run("r")["attempt"] == 2, "the other worker takes the run")
    eventually(lambda: len(place.events("r")) > 60, "the other worker writes")
    frozen.wake()
    eventually(lambda: frozen.says("lease.lost"), "the zombie notices")
    assert place.ended("r")["status"] == "completed"
    events = payloads(place, "r")
    assert final_text(events) == "".join(f"w{number} " for number in range(120))
    taken = next(i for i, event in enumerate(events) if event.get("name") == "perdure.run.attempt")
    first_message = next(event["messageId"] for event in events if event["type"] == "TEXT_MESSAGE_START")
    later = [event["type"] for event in events[taken:] if event.get("messageId") == first_message]
    assert later == ["TEXT_MESSAGE_END"], "after the take-over only its end is written, by the new attempt"


@on_each_engine
def test_a_worker_that_is_told_to_stop_hands_its_run_to_the_next(place: Site) -> None:
    place.environment |= {"PERDURE_LEASE_SECONDS": str(int(PATIENCE) * 5), "PERDURE_DRAIN_SECONDS": "0.2"}
    place.serve()
    worker = place.worker()
    place.create("two_tools", "r")
    eventually(lambda: any(line.startswith("second") for line in place.effects()), "the second tool runs")
    assert worker.stop() == 0
    assert place.run("r")["status"] == "pending", "it waits for no lease"
    place.let("go")
    place.worker()
    run = place.ended("r")
    assert (run["status"], run["attempt"]) == ("completed", 2)


class Writer(threading.Thread):
    """Mirrors events into a run as a caller does: at its cursor, again and again until it is answered."""

    def __init__(self, place: Site, run_id: str) -> None:
        super().__init__(daemon=True)
        self.place, self.run_id, self.problem = place, run_id, ""

    def run(self) -> None:
        sequence = 0
        with self.place.client() as client:
            while sequence < EVENTS_EACH:
                event = {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "c", "delta": f"{sequence} "}
                body = {"events": [event], "expected_previous_external_event_sequence": sequence}
                try:
                    answer = client.post(
                        f"{self.place.url}/conversations/{CONVERSATION}/runs/{self.run_id}/events", json=body
                    )
                except httpx.TransportError:
                    threading.Event().wait(0.05)
                    continue
                if answer.status_code == 200:
                    sequence = answer.json()["latest_external_event_sequence"]
                elif answer.status_code < 500:
                    self.problem = answer.text
                    return


class Follower(threading.Thread):
    """Follows a run to its end, reconnecting with the last id it saw."""

    def __init__(self, place: Site, run_id: str) -> None:
        super().__init__(daemon=True)
        self.place, self.run_id = place, run_id
        self.ids: list[int] = []
        self.deltas: list[str] = []
        self.finished = False

    def run(self) -> None:
        while not self.finished:
            headers = {"Authorization": f"Bearer {KEY}"}
            if self.ids:
                headers["Last-Event-ID"] = str(self.ids[-1])
            try:
                with (
                    httpx.Client(timeout=httpx.Timeout(5, read=30)) as client,
                    connect_sse(
                        client, "GET", f"{self.place.url}/runs/{self.run_id}/stream", headers=headers
                    ) as source,
                ):
                    self._read(source.iter_sse())
            except httpx.HTTPError:
                threading.Event().wait(0.05)

    def _read(self, frames: Iterator[ServerSentEvent]) -> None:
        for frame in frames:
            if not frame.data:
                continue  # the `retry:` at the beginning
            self.ids.append(int(frame.id))
            event = json.loads(frame.data)
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                self.deltas.append(event["delta"])
            self.finished = event["type"] == "RUN_FINISHED"


CONVERSATION = "11111111-1111-4111-8111-111111111111"


def start_load(place: Site) -> tuple[list[Writer], list[Follower]]:
    """Runs that are mirrored by writers and watched by followers."""
    with place.client() as client:
        for number in range(WRITERS):
            body = {
                "kind": "agent",
                "owner": {"kind": "project", "id": "00000000-0000-4000-8000-000000000001"},
                "public_id": f"load-{number}",
                "conversation_mode": "create_new",
                "conversation_id": CONVERSATION,
                "request": {"mode": "agent", "agent_id": "mine", "initial_status": "running"},
            }
            client.post("/runs", json=body).raise_for_status()
    writers = [Writer(place, f"load-{number}") for number in range(WRITERS)]
    followers = [Follower(place, f"load-{number % WRITERS}") for number in range(FOLLOWERS)]
    for thread in (*writers, *followers):
        thread.start()
    return writers, followers


def flow(followers: list[Follower], more: int) -> None:
    """Wait until the followers have seen so many events more."""
    wanted = sum(len(follower.ids) for follower in followers) + more
    eventually(lambda: sum(len(follower.ids) for follower in followers) > wanted, "events flow")


def check_load(place: Site, writers: list[Writer], followers: list[Follower]) -> None:
    """Every log holds each event once, and every follower saw exactly that."""
    for writer in writers:
        writer.join(PATIENCE)
        assert not writer.is_alive()
        assert not writer.problem, writer.problem
    with place.client() as client:
        for writer in writers:
            client.post(f"/runs/{writer.run_id}/complete", json={"status": "completed"}).raise_for_status()
    expected = [f"{sequence} " for sequence in range(EVENTS_EACH)]
    for writer in writers:
        events = place.events(writer.run_id)
        assert [event["event_id"] for event in events] == list(range(1, EVENTS_EACH + 2))
        assert [event["payload"].get("delta") for event in events][:-1] == expected
    for follower in followers:
        follower.join(PATIENCE)
        assert follower.finished
        assert follower.ids == list(range(1, EVENTS_EACH + 2))
        assert follower.deltas == expected


def test_server_killed_under_followers_and_writers(place: Site) -> None:
    server = place.serve()
    writers, followers = start_load(place)
    for _ in range(2):
        flow(followers, 100)
        server.kill()
        server = place.serve()
    check_load(place, writers, followers)


def test_postgres_stopped_and_started_under_load(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        server = place.dev()
        writers, followers = start_load(place)
        place.create("storyteller", "story")
        for _ in range(2):
            flow(followers, 60)
            postmaster = int((tmp_path / "data/postgres/postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGKILL)
        check_load(place, writers, followers)
        assert place.ended("story")["status"] == "completed"
        assert final_text(payloads(place, "story")) == "".join(f"w{number} " for number in range(120))
        assert server.stop() == 0


def test_dev_killed_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        first = place.dev()
        place.create("storyteller", "story")
        follower = Follower(place, "story")
        follower.start()
        eventually(lambda: len(follower.deltas) > 20, "text streams")
        first.kill()
        second = place.dev()
        assert place.ended("story")["status"] == "completed"
        follower.join(PATIENCE)
        assert follower.ids == [event["event_id"] for event in place.events("story")]
        assert final_text(payloads(place, "story")) == "".join(f"w{number} " for number in range(120))
        assert second.stop() == 0
