"""Interactive agent runs with a worker: turns, queued messages, stops, restarts and forks (vertesia.md 3, 4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest_asyncio
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from perdure import App
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.executor import Executor
from perdure.execution.hands import WorkerOptions
from perdure.execution.kinds.resolve import Resolver
from perdure.telemetry import Tracing
from tests.http.runs_app import Api, served
from tests.store.harness import WAIT_SECONDS, eventually

AGENTS = "/api/v1/agents"
THOUGHT, COMPLETE, ERROR, ANSWER, QUESTION, IDLE, TERMINATED, CHUNK, RESTARTING = 1, 4, 6, 7, 8, 10, 11, 12, 14


@dataclass
class Model:
    """It repeats what it is told; `hold` in the text makes it wait in the middle, `break` makes it fail."""

    asked: list[list[str]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    broken: bool = True

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        said = conversation(messages)
        self.asked.append(said)
        yield f"You said: {said[-1]}"
        if "hold" in said[-1]:
            await self.go.wait()
        if "break" in said[-1] and self.broken:
            raise RuntimeError("broken on purpose")
        yield "."


def conversation(messages: list[ModelMessage]) -> list[str]:
    """What both sides have said, in order."""
    said: list[str] = []
    for message in messages:
        match message:
            case ModelRequest():
                said += [str(part.content) for part in message.parts if isinstance(part, UserPromptPart)]
            case ModelResponse():
                said += [part.content for part in message.parts if isinstance(part, TextPart)]
    return said


@dataclass
class Runs:
    """An application with a worker whose agent `parrot` speaks through `model`."""

    api: Api
    model: Model
    url: str

    async def start(self, **body: object) -> str:
        made = await self.api.json("POST", AGENTS, {"interaction": "parrot", **body})
        return str(made["id"])

    async def messages(self, run_id: str, since: int = 0) -> list[dict[str, Any]]:
        query = f"?since={since}" if since else ""
        return list((await self.api.json("GET", f"{AGENTS}/{run_id}/updates{query}"))["messages"])

    async def until(self, run_id: str, kind: int, count: int = 1) -> list[dict[str, Any]]:
        """The run's messages, as soon as there are so many of a sort."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                found = await self.messages(run_id)
                if sum(message["t"] == kind for message in found) >= count:
                    return found
                await asyncio.sleep(0.01)

    async def say(self, run_id: str, text: str, **more: object) -> None:
        await self.api.json("POST", f"/runs/{run_id}/signals/UserInput", {"message": text, **more})

    async def read(self, run_id: str) -> dict[str, Any]:
        return dict(await self.api.json("GET", f"{AGENTS}/{run_id}"))

    @asynccontextmanager
    async def follow(self, run_id: str, query: str = "") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The stream's messages, as a browser reads them: without headers."""
        path = f"{self.url}{AGENTS}/{run_id}/stream?access_token=pd_admin&{query}"
        async with httpx.AsyncClient(timeout=WAIT_SECONDS) as client, client.stream("GET", path) as answer:
            assert answer.status_code == 200, await answer.aread()
            async with aclosing(frames(answer)) as found:
                yield found


async def frames(answer: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def texts(messages: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(message["t"], message.get("m", "")) for message in messages]


def answered(text: str) -> tuple[int, str]:
    return ANSWER, f"You said: {text}."


@pytest_asyncio.fixture
async def runs(at_work: Api) -> AsyncIterator[Runs]:
    model = Model()
    app = App()
    app.agent("parrot", Agent(FunctionModel(stream_function=model.answer)))
    engine = PostgresEngine(at_work.core, WorkerOptions(8, 10.0, 1.0))
    executor = Executor(at_work.core, Resolver(app), 0.01, Tracing())
    working = await engine.work(frozenset({("agent", "parrot")}), executor.execute)
    try:
        async with served(at_work.app) as url:
            yield Runs(at_work, model, url)
            await at_work.core.hub.stop()
    finally:
        model.go.set()
        await working.stop()


async def test_a_turn_ends_idle_and_the_next_message_starts_the_next(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "one"})
    first = await runs.until(run_id, IDLE)
    assert texts(first) == [answered("one"), (IDLE, "")]
    run = await runs.read(run_id)
    assert (run["status"], run["activity_state"], run["interactive"]) == ("running", "idle", True)
    assert (await runs.api.json("GET", f"/runs/{run_id}"))["waiting_reason"] == "input"

    await runs.say(run_id, "two", client_message_id="m-2")
    second = await runs.until(run_id, IDLE, 2)
    assert texts(second) == [answered("one"), (IDLE, ""), (QUESTION, "two"), answered("two"), (IDLE, "")]
    assert second[2]["d"]["ack"] == "m-2"
    assert runs.model.asked == [["one"], ["one", "You said: one.", "two"]]
    times = [message["ts"] for message in second]
    assert times == sorted(set(times))
    assert await runs.messages(run_id, times[2]) == second[3:]


async def test_a_run_without_data_waits_for_the_user(runs: Runs) -> None:
    run_id = await runs.start()
    assert texts(await runs.until(run_id, IDLE)) == [(IDLE, "")]
    await runs.say(run_id, "hello")
    await runs.until(run_id, ANSWER)
    assert runs.model.asked == [["hello"]]


async def test_messages_sent_while_a_turn_runs_are_next_in_order(runs: Runs) -> None:
    run_id = await runs.start(data={"prompt": "hold"})
    await eventually(lambda: bool(runs.model.asked))
    for text in ("a", "b", "c"):
        await runs.say(run_id, text)
    assert (await runs.read(run_id))["activity_state"] == "working"
    runs.model.go.set()
    found = await runs.until(run_id, ANSWER, 4)
    assert [text for kind, text in texts(found) if kind == ANSWER] == [
        f"You said: {t}." for t in ("hold", "a", "b", "c")
    ]
    found = await runs.until(run_id, IDLE)
    assert texts(found)[-1] == (IDLE, "")
    assert sum(kind == IDLE for kind, _ in texts(found)) == 1
    assert runs.model.asked[-1] == [
        "hold", "You said: hold.", "a", "You said: a.", "b", "You said: b.", "c",
    ]  # fmt: skip


async def test_a_stop_ends_the_turn_and_only_the_turn(runs: Runs) -> None:
    run_id = await runs.start(data={"prompt": "hold"})
    async with runs.follow(run_id) as stream:
        async for message in stream:
            if message["t"] == CHUNK:
                break
    await runs.api.json("POST", f"{AGENTS}/{run_id}/signal/Stop", {"client_message_id": "stop-1"})
    found = await runs.until(run_id, IDLE)
    assert texts(found) == [(ANSWER, "You said: hold"), (IDLE, "Stopped.")]
    assert found[-1]["d"] == {"status_reason": "user_stopped", "display_role": "user_stopped", "ack": "stop-1"}
    assert (await runs.read(run_id))["status"] == "running"
    await runs.say(run_id, "go on")
    await runs.until(run_id, IDLE, 2)
    assert runs.model.asked[-1] == ["hold", "You said: hold", "go on"]


async def test_a_run_that_is_not_interactive_completes(runs: Runs) -> None:
    run_id = await runs.start(data={"message": "once"}, interactive=False)
    found = await runs.until(run_id, COMPLETE)
    assert texts(found)[0] == answered("once")
    assert (await runs.read(run_id))["status"] == "completed"
    answer = await runs.api.client.post(f"{AGENTS}/{run_id}/signal/Stop")
    assert answer.status_code == 409


async def test_a_completed_run_restarts_and_waits_for_the_user(runs: Runs) -> None:
    run_id = await runs.start(data={"message": "once"}, interactive=False)
    await runs.until(run_id, COMPLETE)
    again = await runs.api.json("POST", f"{AGENTS}/{run_id}/restart")
    assert (again["id"], again["status"], "completed_at" in again) == (run_id, "running", False)
    found = await runs.until(run_id, IDLE)
    assert [kind for kind, _ in texts(found)][-2:] == [RESTARTING, IDLE]
    await runs.say(run_id, "twice")
    assert texts(await runs.until(run_id, COMPLETE, 2))[-2] == answered("twice")
    assert runs.model.asked[-1] == ["once", "You said: once.", "twice"]


async def test_a_failed_turn_is_told_ends_followers_and_goes_on_when_restarted(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "break"})
    found = await runs.until(run_id, TERMINATED)
    assert [kind for kind, _ in texts(found)][-2:] == [ERROR, TERMINATED]
    assert found[-1]["ts"] == found[-2]["ts"] + 1
    runs.model.broken = False
    restarted = await runs.api.json("POST", f"{AGENTS}/{run_id}/restart")
    assert restarted["status"] == "running"
    later = await runs.until(run_id, IDLE)
    assert texts(later)[-2:] == [answered("break"), (IDLE, "")]
    times = [message["ts"] for message in later]
    assert times == sorted(set(times))


async def test_a_fork_has_the_history_and_goes_on_apart(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "one"}, tags=["kept"], title="A run")
    before = await runs.until(run_id, IDLE)
    forked = await runs.api.json("POST", f"{AGENTS}/{run_id}/fork")
    assert forked["id"] != run_id
    assert (forked["forked_from"], forked["tags"], forked["title"]) == (run_id, ["kept"], "A run")
    there = await runs.until(forked["id"], IDLE, 2)
    assert there[: len(before)] == before
    assert [kind for kind, _ in texts(there)][len(before) :] == [RESTARTING, IDLE]
    await runs.say(forked["id"], "two")
    await runs.until(forked["id"], IDLE, 3)
    assert runs.model.asked[-1] == ["one", "You said: one.", "two"]
    assert await runs.messages(run_id) == before


async def test_a_fork_of_a_turn_that_runs_goes_on_with_it(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "hold"})
    async with runs.follow(run_id) as stream:
        async for message in stream:
            if message["t"] == CHUNK:
                break
    forked = (await runs.api.json("POST", f"{AGENTS}/{run_id}/fork"))["id"]
    runs.model.go.set()
    for one in (run_id, forked):
        assert texts(await runs.until(one, IDLE))[-2:] == [answered("hold"), (IDLE, "")]


async def test_a_follower_sees_each_message_once_and_chunks_before_their_text(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "hold"})
    seen: list[dict[str, Any]] = []
    async with runs.follow(run_id) as stream:
        async for message in stream:
            seen.append(message)
            if message["t"] == CHUNK and not runs.model.go.is_set():
                runs.model.go.set()
            if message["t"] == IDLE:
                break
    stored = await runs.messages(run_id)
    assert [message for message in seen if message["t"] != CHUNK] == stored
    chunks = [message for message in seen if message["t"] == CHUNK]
    assert stored[0]["m"].startswith("".join(chunk["m"] for chunk in chunks))
    assert {chunk["i"] for chunk in chunks} == {stored[0]["i"]}
    assert all(chunk["ts"] < stored[0]["ts"] for chunk in chunks)


async def test_a_late_follower_gets_what_it_asks_for(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "one"})
    stored = await runs.until(run_id, IDLE)
    await runs.say(run_id, "hold")
    await runs.until(run_id, QUESTION)
    wanted = {
        "": stored,
        f"since={stored[0]['ts']}": stored[1:],
        f"since={stored[-1]['ts']}&skipHistory=true": [],
        "skipHistory=true": [],
    }
    for query, history in wanted.items():
        async with runs.follow(run_id, query) as stream:
            found = [await anext(stream) for _ in range(len(history) + (query != "skipHistory=true"))]
        assert found[: len(history)] == history
        assert all(message["t"] == QUESTION for message in found[len(history) :])


async def test_a_stream_of_an_ended_run_repeats_its_last_message_and_closes(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "one"}, interactive=False)
    stored = await runs.until(run_id, COMPLETE)
    for query, expected in (
        ("", stored),
        (f"since={stored[-1]['ts']}", stored[-1:]),
        ("skipHistory=true", stored[-1:]),
    ):
        async with runs.follow(run_id, query) as stream:
            assert [message async for message in stream] == expected


async def test_a_terminated_run_tells_why(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "one"})
    await runs.until(run_id, IDLE)
    answer = await runs.api.json("DELETE", f"{AGENTS}/{run_id}?reason=No%20longer%20needed")
    assert answer["reason"] == "No longer needed"
    found = await runs.until(run_id, TERMINATED)
    assert texts(found)[-1] == (TERMINATED, "No longer needed")
    run = await runs.read(run_id)
    assert (run["status"], "completed_at" in run) == ("cancelled", True)


async def test_what_clients_post_is_a_message_also_while_the_run_waits(runs: Runs) -> None:
    run_id = await runs.start(data={"task": "one"})
    await runs.until(run_id, IDLE)
    answer = await runs.api.client.post(
        f"{AGENTS}/{run_id}/updates", json={"type": 5, "message": "careful", "details": {"a": 1}, "workstream_id": "w"}
    )
    assert (answer.status_code, answer.json()) == (201, {"success": True})
    last = (await runs.messages(run_id))[-1]
    assert {name: last[name] for name in ("t", "m", "d", "w")} == {"t": 5, "m": "careful", "d": {"a": 1}, "w": "w"}
    assert (await runs.read(run_id))["activity_state"] == "idle"
