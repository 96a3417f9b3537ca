"""The Python SDK against the real application behind a real HTTP server, through connections that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import pytest

from perdure.client import ApiError, Client, CreatedRun, Event, Interruption, RetryPolicy, RunStatus
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Park, PendingCall, Waiting, WaitingReason
from perdure.services import lifecycle
from tests.http.runs_app import ADMIN_KEY, PROJECT, Api, served
from tests.store.harness import eventually

QUICK = RetryPolicy(first_delay=0.01, longest_delay=0.05)


@pytest.fixture
async def url(at_work: Api) -> AsyncIterator[str]:
    async with served(at_work.app) as running:
        yield running


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with Client(url, ADMIN_KEY, retry=QUICK) as one:
        yield one


class Wire:
    """Passes connections on to a server, and cuts them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._there = (parts.hostname or "", parts.port or 0)
        self._streams: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The URL at which it listens."""
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self.cut()

    def cut(self) -> None:
        """Break every connection, without a word."""
        for stream in self._streams:
            stream.transport.abort()
        self._streams.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._there)
        self._streams += [writer, there_writer]
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
        target.close()
    except ConnectionError:
        target.transport.abort()


async def mirrored(client: Client, run_id: str | None = None) -> CreatedRun:
    """A run that its caller, the test, executes."""
    return await client.runs.create("demo", "Hi", conversation="new", initial_status="running", public_id=run_id)


def _has(seen: list[Event], count: int) -> bool:
    return len(seen) >= count


def words(*texts: str) -> list[dict[str, str]]:
    return [{"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "c", "delta": text} for text in texts]


async def test_a_run_from_its_start_to_its_end(client: Client) -> None:
    created = await mirrored(client, "mine 1?")
    assert (created.accepted, created.duplicate, created.run.run_id) == (True, False, "mine 1?")
    assert created.conversation_id is not None
    appended = await client.conversations.append(
        created.conversation_id, "mine 1?", words("a", "b"), expected_previous_external_event_sequence=0
    )
    assert (appended.appended_count, appended.latest_external_event_sequence) == (2, 2)
    again = await client.conversations.append(
        created.conversation_id, "mine 1?", words("a", "b"), expected_previous_external_event_sequence=0
    )
    assert again.appended_count == 0
    projection = await client.conversations.get_run(created.conversation_id, "mine 1?")
    assert projection.latest_event_id == appended.latest_event_id
    ended = await client.runs.complete("mine 1?", "failed", error_code="BOOM", error_message="It broke.")
    assert (ended.completed, ended.run.status, ended.run.error and ended.run.error.code) == (True, "failed", "BOOM")
    assert not (await client.runs.complete("mine 1?", "completed")).completed
    assert not (await client.runs.cancel("mine 1?", reason="late")).cancelled
    events = [event async for event in client.runs.stream("mine 1?")]
    assert [event.payload.get("delta", event.type) for event in events] == ["a", "b", "RUN_ERROR"]
    assert [event.payload for event in await client.runs.events("mine 1?", after=1)] == [
        event.payload for event in events[1:]
    ]
    assert [event async for event in client.runs.stream("mine 1?", after=events[-1].event_id)] == []


async def test_the_same_create_again_is_the_same_run(client: Client) -> None:
    first = await client.runs.create("echo", "Hi", idempotency_key="k-1")
    again = await client.runs.create("echo", "Hi", idempotency_key="k-1")
    assert (again.run.run_id, again.duplicate) == (first.run.run_id, True)
    other = await client.runs.create("echo", "Hi")
    assert other.run.run_id != first.run.run_id
    with pytest.raises(ApiError) as caught:
        await client.runs.create("echo", "Hello", idempotency_key="k-1")
    assert (caught.value.status, caught.value.code) == (409, "idempotency_key_reused")


async def test_a_stream_goes_on_through_broken_connections(client: Client, url: str) -> None:
    created = await mirrored(client)
    run_id, conversation = created.run.run_id, created.conversation_id or ""
    wire = Wire(url)
    stops: list[Interruption] = []
    seen: list[Event] = []
    async with wire.running() as through, Client(through, ADMIN_KEY, retry=QUICK) as follower:

        async def follow() -> None:
            async for event in follower.runs.stream(run_id, on_interruption=stops.append):
                seen.append(event)

        following = asyncio.create_task(follow())
        for start in range(0, 6, 2):
            await client.conversations.append(conversation, run_id, words(str(start), str(start + 1)))
            await eventually(partial(_has, seen, start + 1))
            wire.cut()
        await client.runs.complete(run_id, "completed")
        await asyncio.wait_for(following, 30)
    assert [event.payload.get("delta") for event in seen] == ["0", "1", "2", "3", "4", "5", None]
    assert stops and seen[-1].terminal


async def test_a_waiting_run_is_answered(client: Client, at_work: Api) -> None:
    run_id = (await mirrored(client)).run.run_id
    calls = (PendingCall("c1", "pay", WaitingReason.APPROVAL), PendingCall("c2", "ask"))
    key = RunKey(PROJECT, RunId(run_id))
    await lifecycle.apply(at_work.core, key, Park(Waiting(WaitingReason.APPROVAL, calls), None))
    run = await client.runs.get(run_id)
    assert run.status is RunStatus.WAITING and run.waiting is not None
    assert [(call.tool_call_id, call.tool_name, call.reason) for call in run.waiting.calls] == [
        ("c1", "pay", "approval"),
        ("c2", "ask", "tool"),
    ]
    assert not (await client.runs.approve(run_id, "c1", approved=False, message="no")).duplicate
    assert (await client.runs.resume(run_id, "c2", {"n": 1})).accepted
    assert (await client.runs.resume(run_id, "c2", {"n": 1})).duplicate
    with pytest.raises(ApiError, match="TOOL_RESULT_CONFLICT"):
        await client.runs.resume(run_id, "c2", {"n": 2})
    assert (await client.runs.signal(run_id, "go", [1, 2])).accepted
    cancelled = await client.runs.cancel(run_id, reason="Enough.")
    assert (cancelled.cancelled, cancelled.run.status) == (True, "cancelled")
    restarted = await client.runs.restart(run_id, fresh=False)
    assert restarted.run.status is RunStatus.PENDING


async def test_runs_are_listed_page_by_page(client: Client) -> None:
    for _ in range(3):
        await client.runs.create("echo", "Hi")
    first = await client.runs.list(agent_id="echo", statuses=[RunStatus.PENDING], limit=2)
    rest = await client.runs.list(agent_id="echo", limit=2, cursor=first.next)
    assert (len(first.data), len(rest.data), rest.next) == (2, 1, None)
    named = await client.runs.list(project="default", since=first.data[-1].created_at)
    assert {run.run_id for run in named.data} >= {first.data[0].run_id}
    assert (await client.runs.list(kind="task")).data == ()


async def test_projects_and_keys(client: Client, url: str) -> None:
    made = await client.projects.create("other", name="Other", id="7b0a3c9e-5d3f-4f5a-9b1e-0d4c8f6a2b11")
    assert (await client.projects.get("other")) == made
    assert [project.slug for project in await client.projects.list()] == ["default", "other"]
    assert (await client.projects.own()).slug == "default"
    key = await client.keys.create("robot", project="other", scopes=["runs:read"])
    assert key.key.startswith("pd_") and key.scopes == ("runs:read",)
    assert [known.prefix for known in await client.keys.list(project="other")] == [key.prefix]
    async with Client(url, key.key) as robot:
        assert (await robot.projects.own()).id == made.id
        with pytest.raises(ApiError) as caught:
            await robot.runs.create("echo", "Hi")
        assert (caught.value.status, caught.value.code) == (403, "not_allowed")
    assert (await client.keys.revoke(key.prefix, project="other")).revoked_at is not None
    assert [known.prefix for known in await client.keys.list()] == ["~bootstrap"]
    async with Client(url, key.key) as robot:
        with pytest.raises(ApiError) as caught:
            await robot.projects.list()
        assert caught.value.status == 401


async def test_errors_tell_what_the_server_says(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        await client.runs.create("nobody", "Hi")
    error = caught.value
    assert (error.status, error.code) == (404, "agent_not_found")
    assert "echo" in error.detail and error.request_id
