"""The agent `demo` on a model that it reaches over HTTP, executed by a real worker on a real log.

The provider is scripted: it streams, calls tools, asks for patience, and loses connections. It is on loopback.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import msgspec
import pytest
from pydantic_ai import Agent
from pydantic_ai.models import override_allow_model_requests
from structlog.testing import capture_logs

from perdure.app import open_core
from perdure.domain.fold import SUPERSEDED
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.run import Answer, Kind, Status
from perdure.domain.stored_run import Run
from perdure.execution.demo import demo_app
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.executor import Executor
from perdure.execution.hands import WorkerOptions
from perdure.execution.kinds.resolve import Resolver
from perdure.services import control
from perdure.services import events as event_service
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import RunRequest
from perdure.telemetry import LogLine, Tracing
from tests.acceptance.openai_server import Api, Break, Call, OpenAIServer, Refuse, Say
from tests.unit.execution.memory_log import check_rules, public, recorded, results, transcript

SECONDS = 30
"""How long a run may take."""

LOOK_UP = (
    Call("call_a", "search_notes", ['{"que', 'ry": "crash', ' recovery"}']),
    Call("call_b", "word_count", ['{"text":', ' "one two three"}']),
)
APIS = [
    pytest.param("openai:scripted", frozenset(Api), Api.RESPONSES, id="responses"),
    pytest.param("openai:scripted", frozenset({Api.CHAT}), Api.CHAT, id="responses-not-served"),
    pytest.param("openai-chat:scripted", frozenset(Api), Api.CHAT, id="chat"),
]


@dataclass
class Site:
    """A server's parts with a worker that serves the demo agents."""

    core: Core
    engine: PostgresEngine
    project_id: ProjectId

    async def start(self, prompt: str) -> RunKey:
        message = {"role": "user", "content": prompt}
        request = RunRequest(
            kind=Kind.AGENT,
            owner_kind="project",
            owner_id=self.project_id,
            fingerprint=b"",
            agent_id="demo",
            input=msgspec.json.encode({"messages": [message]}),
        )
        created = await run_service.create(self.core, self.project_id, request)
        await self.engine.submit(created.run.key)
        return created.run.key

    async def reached(self, key: RunKey, *statuses: Status) -> Run:
        async with asyncio.timeout(SECONDS):
            while (run := await run_service.get(self.core, key)).status not in statuses:
                assert not run.status.terminal, f"the run ended {run.status}: {await self.lines(key)}"
                await asyncio.sleep(0.02)
            return run

    async def lines(self, key: RunKey) -> list[str]:
        return [line async for line in event_service.own_lines(self.core, key)]


@asynccontextmanager
async def site(dsn: str, model: str) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        stack.enter_context(override_allow_model_requests(True))
        app = demo_app(model)
        # For its end: the model's HTTP client is closed with it.
        await stack.enter_async_context(cast("Agent[None, str]", app.agents["demo"].target))
        core = await stack.enter_async_context(open_core(dsn))
        project_id = ProjectId(uuid4())
        await core.database.execute("INSERT INTO projects VALUES ($1, $2, 'Test', now())", project_id, "p")
        engine = PostgresEngine(core, WorkerOptions(4, 10.0, 5.0))
        executor = Executor(core, Resolver(app), 0.01, Tracing())
        worker = await engine.work(frozenset(("agent", name) for name in app.agents), executor.execute)
        stack.push_async_callback(worker.stop)
        yield Site(core, engine, project_id)


@asynccontextmanager
async def provider(
    monkeypatch: pytest.MonkeyPatch, script: Sequence[Say | Refuse], apis: frozenset[Api] = frozenset(Api)
) -> AsyncIterator[OpenAIServer]:
    scripted = OpenAIServer(list(script), apis)
    async with scripted.running() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield scripted
    assert scripted.script == [], "not everything was asked for"


def model_apis(model: str) -> frozenset[Api]:
    """What a model's name stands for."""
    return frozenset({Api.CHAT if model.startswith("openai-chat:") else Api.RESPONSES})


def taken_back(lines: Sequence[str]) -> list[dict[str, Any]]:
    """The values of the events that take a message back."""
    return [cast("dict[str, Any]", event["value"]) for event in public(lines) if event.get("name") == SUPERSEDED]


def text_of(lines: Sequence[str], message_id: str) -> str:
    """Everything that was streamed of a message, taken back or not."""
    events = [event for event in public(lines) if event["type"] == "TEXT_MESSAGE_CONTENT"]
    return "".join(str(event["delta"]) for event in events if event["messageId"] == message_id)


@pytest.mark.parametrize(("model", "apis", "used"), APIS)
async def test_it_streams_and_calls_tools(
    database: str, monkeypatch: pytest.MonkeyPatch, model: str, apis: frozenset[Api], used: Api
) -> None:
    script = [Say(["Let ", "me ", "look."], LOOK_UP), Say(["A recorded step ", "is not executed ", "again."])]
    async with provider(monkeypatch, script, apis) as asked, site(database, model) as perdure:
        key = await perdure.start("How does crash recovery work?")
        run = await perdure.reached(key, Status.COMPLETED)
        lines = await perdure.lines(key)
    check_rules(lines)
    assert list(transcript(lines).values()) == ["Let me look.", "A recorded step is not executed again."]
    assert run.output == '"A recorded step is not executed again."'
    found = results(lines)
    assert found.keys() == {"call_a", "call_b"}
    assert "Crash recovery" in found["call_a"]
    assert '"words":3' in found["call_b"]
    assert taken_back(lines) == []
    assert sorted(recorded(lines)) == ["model:1", "model:2", "tool:call_a", "tool:call_b"]
    assert [request.path for request in asked.asked()] == [f"/v1/{used}"] * 2
    # That a server does not have an API is found out once.
    assert len(asked.requests) == 2 + (used not in model_apis(model))
    # What the model is told of the tools is what they returned, once.
    told = msgspec.json.encode(asked.asked()[1].body).decode()
    assert told.count("A recorded step is not executed again; what was in flight is") == 1
    metadata = msgspec.json.decode(run.metadata or "{}")
    assert (metadata["provider"], metadata["model"], metadata["inputTokens"]) == ("openai", "scripted", 20)


@pytest.mark.parametrize(
    ("model", "apis", "broken"),
    [
        pytest.param("openai:scripted", frozenset(Api), Break.RESET, id="responses-reset"),
        pytest.param("openai:scripted", frozenset(Api), Break.SILENT, id="responses-silent"),
        pytest.param("openai:scripted", frozenset({Api.CHAT}), Break.CHUNKED, id="responses-not-served-chunked"),
        pytest.param("openai-chat:scripted", frozenset(Api), Break.SILENT, id="chat-silent"),
    ],
)
async def test_a_refusal_and_a_broken_connection_are_tried_again(
    database: str, monkeypatch: pytest.MonkeyPatch, model: str, apis: frozenset[Api], broken: Break
) -> None:
    script: list[Say | Refuse] = [
        Refuse(429, {"retry-after": "1"}),
        Say(["Let me ", "lo"], broken=broken),
        Say(["Let me look."], LOOK_UP),
        Refuse(429, {"retry-after-ms": "300"}),
        Refuse(503),
        Say(["Found ", "it."]),
    ]
    async with provider(monkeypatch, script, apis) as asked, site(database, model) as perdure:
        key = await perdure.start("How does crash recovery work?")
        run = await perdure.reached(key, Status.COMPLETED)
        lines = await perdure.lines(key)
    check_rules(lines)
    assert run.attempt == 1
    # One request for each item of the script: nobody else tries again, and nobody earlier than asked.
    times = [request.at for request in asked.asked()]
    assert len(times) == len(script)
    assert times[1] - times[0] >= 1.0
    assert times[4] - times[3] >= 0.3
    [gone] = taken_back(lines)
    assert gone["reason"] == "model_retry"
    assert text_of(lines, gone["messageId"]) == "Let me lo"
    assert list(transcript(lines).values()) == ["Let me look.", "Found it."]
    assert results(lines).keys() == {"call_a", "call_b"}
    assert sorted(recorded(lines)) == ["model:1", "model:2", "tool:call_a", "tool:call_b"]
    assert [event["type"] for event in public(lines)].count("RUN_FINISHED") == 1


async def test_it_waits_for_an_approval_and_goes_on(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = Call("call_m", "send_email", ['{"to": "ada@example.org", "subject": "Hello", "body": "How are you?"}'])
    script = [Say(["I would send this."], [mail]), Say(["It is sent."])]
    async with provider(monkeypatch, script) as asked, site(database, "openai:scripted") as perdure:
        key = await perdure.start("Say hello to Ada.")
        await perdure.reached(key, Status.WAITING)
        assert len(asked.requests) == 1
        await control.resume(perdure.core, key, Answer("call_m", {"approved": True}, "true"))
        await perdure.reached(key, Status.COMPLETED)
        lines = await perdure.lines(key)
    check_rules(lines)
    assert list(transcript(lines).values()) == ["I would send this.", "It is sent."]
    assert '"to":"ada@example.org"' in results(lines)["call_m"]
    assert len(asked.requests) == 2


@pytest.mark.parametrize(
    ("status", "requests"), [pytest.param(400, 1, id="refused"), pytest.param(404, 2, id="neither-api")]
)
async def test_a_request_that_is_wrong_is_not_sent_again(
    database: str, monkeypatch: pytest.MonkeyPatch, status: int, requests: int
) -> None:
    script = [Refuse(status)] * requests
    with capture_logs() as logged:
        async with provider(monkeypatch, script) as asked, site(database, "openai:scripted") as perdure:
            key = await perdure.start("Hello")
            run = await perdure.reached(key, Status.FAILED)
            lines = await perdure.lines(key)
    assert LogLine.RUN_FAILED in [line["event"] for line in logged]
    assert len(asked.requests) == requests
    assert run.error is not None
    assert f"status_code: {status}" in run.error.message
    assert public(lines)[-1]["type"] == "RUN_ERROR"
    check_rules(lines)
