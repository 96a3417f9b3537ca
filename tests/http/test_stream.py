"""Event streams over a real HTTP server: what they say, where they begin, how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from perdure.http.context import HttpSettings
from perdure.http.runs.stream import event_name
from tests.http.runs_app import ADMIN_KEY, Api, api, served
from tests.store.harness import WAIT_SECONDS, eventually

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
QUICK = HttpSettings(heartbeat_seconds=0.05, retry_ms=250)


class Reader:
    """An open stream, read frame by frame."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._chunks = answer.aiter_text()
        self._text = ""

    async def frame(self) -> str | None:
        """The next frame, heartbeats included; None at the end."""
        async with asyncio.timeout(WAIT_SECONDS):
            while "\n\n" not in self._text:
                try:
                    self._text += await anext(self._chunks)
                except StopAsyncIteration:
                    assert not self._text
                    return None
        frame, self._text = self._text.split("\n\n", 1)
        return frame

    async def event(self) -> str | None:
        """The next frame that is an event."""
        while True:
            frame = await self.frame()
            if frame is None or frame.startswith("id:"):
                return frame

    async def events(self) -> list[str]:
        """All that are still to come."""
        found: list[str] = []
        while (frame := await self.event()) is not None:
            found.append(frame)
        return found


@asynccontextmanager
async def stream(url: str, path: str, **headers: str) -> AsyncIterator[Reader]:
    async with (
        httpx.AsyncClient(base_url=url, headers={**HEADERS, **headers}) as client,
        client.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        yield Reader(answer)


async def append(at_work: Api, path: str, *events: dict[str, Any]) -> None:
    await at_work.json("POST", f"{path}/events", {"events": list(events)})


def numbered(number: int) -> dict[str, Any]:
    return {"type": "CUSTOM", "name": "n", "value": number}


def ids(frames: list[str]) -> list[int]:
    return [int(frame.split("\n")[0].removeprefix("id: ")) for frame in frames]


async def test_a_stream_says_when_events_were_written_where_it_is_asked(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        path, key = await at_work.conversation_run()
        await append(at_work, path, numbered(1), numbered(2))
        await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
        async with stream(url, f"/runs/{key.run_id}/stream?times=true") as reader:
            timed = await reader.events()
        async with stream(url, f"/runs/{key.run_id}/stream") as reader:
            plain = await reader.events()
        page = await at_work.json("GET", f"/runs/{key.run_id}/events")
        written = [int(datetime.fromisoformat(one["created_at"]).timestamp() * 1000) for one in page["data"]]
        assert [int(frame.split("\n")[2].removeprefix("time: ")) for frame in timed] == written
        assert [[line for line in frame.split("\n") if not line.startswith("time: ")] for frame in timed] == [
            frame.split("\n") for frame in plain
        ]


async def test_a_transcript(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        path, key = await at_work.conversation_run()
        await append(
            at_work,
            path,
            {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
            {"type": "STEP_STARTED", "stepName": "step-1"},
            {"type": "REASONING_START", "messageId": "m"},
            {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "c", "delta": "a\nb ü\r\n"},
            {"type": "AGENT_RUN_MODEL_CALL_CONTEXT", "messages": []},
            {"type": "my.own kind", "x": 1},
            {"type": "REASONING_END", "messageId": "m"},
            {"type": "STEP_FINISHED", "stepName": "step-1"},
        )
        await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "failed"})
        async with stream(url, f"/runs/{key.run_id}/stream") as reader:
            text = (await reader.answer.aread()).decode()
            headers = reader.answer.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert text == snapshot("""\
retry: 1000

id: 1
event: RunStarted
data: {"type":"RUN_STARTED","threadId":"t","runId":"r"}

id: 2
event: StepStarted
data: {"type":"STEP_STARTED","stepName":"step-1"}

id: 3
event: ReasoningStart
data: {"type":"REASONING_START","messageId":"m"}

id: 4
event: TextMessageContent
data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","contentId":"c","delta":"a\\nb ü\\r\\n"}

id: 6
event: my.own kind
data: {"type":"my.own kind","x":1}

id: 7
event: ReasoningEnd
data: {"type":"REASONING_END","messageId":"m"}

id: 8
event: StepFinished
data: {"type":"STEP_FINISHED","stepName":"step-1"}

id: 9
event: RunError
data: {"type":"RUN_ERROR","message":"The run failed.","code":"FAILED"}

""")
        async with stream(url, f"{path}/stream") as reader:
            assert ids(await reader.events()) == [1, 4, 6, 9]


async def test_events_arrive_while_the_run_goes_on(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        path, key = await at_work.conversation_run()
        async with stream(url, f"{path}/stream") as one, stream(url, f"/runs/{key.run_id}/stream") as other:
            for number in range(1, 6):
                await append(at_work, path, numbered(number))
                for reader in (one, other):
                    frame = await reader.event()
                    assert frame is not None
                    assert frame.startswith(f"id: {number}\nevent: Custom\ndata: ")
            await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
            for reader in (one, other):
                assert ids(await reader.events()) == [6]


async def test_a_reader_goes_on_after_its_cursor(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        path, key = await at_work.conversation_run()
        await append(at_work, path, *map(numbered, range(1, 5)))
        await append(at_work, path, *map(numbered, range(5, 9)))
        await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
        run = f"/runs/{key.run_id}/stream"
        for query, headers, expected in (
            ("", {}, range(1, 10)),
            ("?after=0", {}, range(1, 10)),
            ("?after=2", {}, range(3, 10)),
            ("", {"Last-Event-ID": "4"}, range(5, 10)),
            ("?after=2", {"Last-Event-ID": "6"}, range(7, 10)),
            ("?after=7", {"Last-Event-ID": "0"}, range(1, 10)),
            ("?after=9", {}, range(0)),
            ("?after=2", {"Last-Event-ID": ""}, range(3, 10)),
        ):
            async with stream(url, run + query, **headers) as reader:
                assert ids(await reader.events()) == list(expected), (query, headers)


async def test_a_silent_stream_beats_and_a_client_that_goes_is_noticed(database: str) -> None:
    async with api(database, QUICK) as at_work, served(at_work.app) as url:
        path, key = await at_work.conversation_run()
        async with stream(url, f"/runs/{key.run_id}/stream") as reader:
            assert await reader.frame() == "retry: 250"
            for _ in range(3):
                assert (await reader.frame() or "").startswith(":")
            await append(at_work, path, numbered(1))
            assert ids([await reader.event() or ""]) == [1]
            assert b"perdure_followers 1.0" in at_work.core.metrics.render()
        await eventually(lambda: b"perdure_followers 0.0" in at_work.core.metrics.render())


async def test_a_server_that_stops_ends_its_streams(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        path, key = await at_work.conversation_run()
        await append(at_work, path, numbered(1))
        async with stream(url, f"/runs/{key.run_id}/stream") as reader:
            assert ids([await reader.event() or ""]) == [1]
            await at_work.core.hub.stop()
            assert await reader.events() == []


async def test_head_answers_without_following(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        _, key = await at_work.conversation_run()
        async with httpx.AsyncClient(base_url=url, headers=HEADERS) as client:
            answer = await client.head(f"/runs/{key.run_id}/stream")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.content == b""


async def test_a_row_is_rendered_once_for_all_its_readers(database: str) -> None:
    async with api(database) as at_work, served(at_work.app) as url:
        path, key = await at_work.conversation_run()
        run = f"/runs/{key.run_id}/stream"
        async with stream(url, run) as one, stream(url, run) as two, stream(url, f"{path}/stream") as three:
            for reader in (one, two, three):
                assert (await reader.frame() or "").startswith("retry:")
            rows = at_work.core.hub.follow(key, 0)
            waiting = asyncio.ensure_future(anext(rows))
            await append(at_work, path, numbered(1))
            delivery = await waiting
            for reader in (one, two, three):
                assert ids([await reader.event() or ""]) == [1]
            await rows.aclose()
            if delivery.rendered:  # Unless the extra reader was still catching up by itself.
                assert set(delivery.rendered) == {"runs", "runs/conversation"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("TEXT_MESSAGE_CONTENT", "TextMessageContent"),
        ("RUN_STARTED", "RunStarted"),
        ("CUSTOM", "Custom"),
        ("STATE_DELTA", "StateDelta"),
        ("V2_THING_3D", "V2Thing3d"),
        ("perdure.x", "perdure.x"),
        ("Custom", "Custom"),
        ("A__B", "A__B"),
    ],
)
def test_event_names(kind: str, name: str) -> None:
    assert event_name(kind) == name
