"""The client's stream: through lost connections, restarts and refusals, each event once and in order."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from perdure.client.errors import ApiError, UnexpectedAnswer, Unreachable
from perdure.client.models import Event
from perdure.client.retry import RetryPolicy
from perdure.client.stream import Interruption, LogStream
from perdure.client.transport import Transport, http_client

Step = httpx.Response | Exception

LOST = httpx.ReadError("connection lost")


class Server:
    """Answers each request with the next step. `GET /runs/r` is answered with `status`, and is no step."""

    def __init__(self, *steps: Step, status: str = "running") -> None:
        self.steps = list(steps)
        self.status = status
        self.cursors: list[str | None] = []
        self.pauses: list[float] = []
        self.interruptions: list[Interruption] = []

    async def follow(self, after: int = 0, give_up_after: float | None = None) -> list[Event]:
        http = http_client("http://server.test", "key", 5, httpx.MockTransport(self._answer))
        transport = Transport(http, RetryPolicy(), sleep=self._sleep, jitter=lambda: 1.0)
        log = LogStream(transport, "r", after, give_up_after=give_up_after, on_interruption=self.interruptions.append)
        return [event async for event in log.events()]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/runs/r":
            return httpx.Response(200, json={"status": self.status})
        assert request.url.path == "/runs/r/stream"
        self.cursors.append(request.headers.get("last-event-id"))
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def frame(event_id: int, kind: str = "CUSTOM") -> bytes:
    return b"id: %d\nevent: Custom\ndata: %b\n\n" % (event_id, msgspec.json.encode({"type": kind, "n": event_id}))


def stream(*parts: bytes, lost: bool = False) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        if lost:
            raise LOST

    return httpx.Response(200, headers={"content-type": "text/event-stream; charset=utf-8"}, content=body())


def ids(events: list[Event]) -> list[int]:
    return [event.event_id for event in events]


async def test_a_stream_ends_after_the_terminal_event() -> None:
    server = Server(stream(b"retry: 1000\n\n", frame(1), b": still here\n\n", frame(3, "RUN_FINISHED")))
    events = await server.follow()
    assert ids(events) == [1, 3]
    assert (events[1].type, events[1].terminal, events[1].payload["n"]) == ("RUN_FINISHED", True, 3)
    assert (server.cursors, server.interruptions) == ([None], [])


async def test_a_lost_connection_is_taken_up_where_it_was() -> None:
    half = frame(3)[:10]
    server = Server(
        stream(frame(1), frame(2), half, lost=True),
        LOST,
        stream(frame(2), frame(3), frame(4)),
        stream(frame(5, "RUN_ERROR")),
    )
    assert ids(await server.follow()) == [1, 2, 3, 4, 5]
    assert server.cursors == [None, "2", "2", "4"]
    assert [(type(stop.cause), stop.last_event_id) for stop in server.interruptions] == [
        (httpx.ReadError, 2),
        (httpx.ReadError, 2),
        (type(None), 4),
    ]


async def test_pauses_double_until_something_comes_and_the_server_names_the_first() -> None:
    server = Server(LOST, LOST, stream(b"retry: 1000\n\n", frame(1)), LOST, stream(frame(2, "RUN_FINISHED")))
    assert ids(await server.follow()) == [1, 2]
    assert server.pauses == [0.25, 0.5, 1.0, 2.0]


async def test_a_busy_server_is_asked_again_when_it_says() -> None:
    server = Server(httpx.Response(503, headers={"retry-after": "3"}), stream(frame(1, "RUN_FINISHED")))
    assert ids(await server.follow()) == [1]
    assert server.pauses == [3.0]


async def test_a_restarted_run_goes_on_after_its_earlier_end() -> None:
    server = Server(stream(frame(1, "RUN_ERROR"), frame(2), lost=True), stream(frame(3, "RUN_FINISHED")))
    assert ids(await server.follow()) == [1, 2, 3]


async def test_a_connection_lost_right_after_the_end_is_made_sure_of() -> None:
    server = Server(stream(frame(1, "RUN_FINISHED"), lost=True), stream(), status="completed")
    assert ids(await server.follow()) == [1]
    assert server.cursors == [None, "1"]


async def test_a_run_that_ended_at_the_cursor_has_no_more_events() -> None:
    server = Server(stream(b"retry: 1000\n\n"), status="cancelled")
    assert await server.follow(after=9) == []
    assert server.cursors == ["9"]


async def test_a_server_that_stops_closes_streams_of_runs_that_go_on() -> None:
    server = Server(stream(), stream(frame(1, "RUN_FINISHED")))
    assert ids(await server.follow()) == [1]
    assert server.interruptions[0].cause is None


async def test_a_refusal_is_told_at_once() -> None:
    server = Server(httpx.Response(404, json={"code": "run_not_found", "detail": "There is no run r."}))
    with pytest.raises(ApiError, match="There is no run r"):
        await server.follow()
    assert server.pauses == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, html="<p>A proxy's login page</p>"), "something else than an event stream"),
        (stream(b"id: 1\ndata: {nonsense\n\n"), "what is no event"),
        (stream(b"id: x\ndata: {}\n\n"), "whose id is no number"),
    ],
)
async def test_what_is_no_stream_of_events_is_named_as_such(answer: httpx.Response, words: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=words):
        await Server(answer).follow()


async def test_it_gives_up_in_the_end() -> None:
    with pytest.raises(Unreachable, match="No contact with the server"):
        await Server(LOST).follow(give_up_after=0.0)
