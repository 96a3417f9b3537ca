"""What a caller says when it starts a run reaches the agent, whichever way it starts it (veryfront.md 1.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from pydantic_ai import Agent
from pydantic_ai import RunContext as ToolContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.profiles import ModelProfile

from perdure import App
from perdure.agents import RunContext, StartRequest, current_run, last_user_text
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.executor import Executor
from perdure.execution.hands import WorkerOptions
from perdure.execution.kinds.resolve import Resolver
from perdure.services import lifecycle
from perdure.telemetry import Tracing
from tests.http.runs_app import PROJECT, Api, api
from tests.store.harness import WAIT_SECONDS

AGENTS = ("model", "function")
TOOL = {
    "name": "pick_color",
    "description": "Shows a colour picker.",
    "parameters": {"type": "object", "properties": {"question": {"type": "string"}}},
}
TRIGGER = {"message_id": str(uuid4()), "tool_call_id": "call-of-the-parent"}
PROPS = {"locale": "pt", "deep": {"list": [1, None]}}
PLACE = {"project_id": str(PROJECT), "branch_id": None, "environment_context": "staging"}
OVERRIDES = {"allowed_tools": ["look", "pick_color"], "thinking": 2_000, "max_steps": 4}
DOCUMENTS = [
    {"type": "text", "title": "House rules", "text": "No shoes."},
    {"type": "json", "title": "Cart", "data": {"lamps": 2}},
    {"type": "resource", "uri": "file:///plan.md", "mimeType": "text/markdown", "text": "# Plan"},
]
INPUT: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [TOOL],
    "context": PLACE,
    "forwarded_props": PROPS,
    "allow_delegation": False,
    "active_chat_id": "chat-1",
    "runtime_overrides": OVERRIDES,
}


@dataclass
class Seen:
    """What an agent's code and its model were given."""

    requests: list[StartRequest] = field(default_factory=list)
    runs: list[RunContext] = field(default_factory=list)
    tools: list[set[str]] = field(default_factory=list)
    thinking: list[object] = field(default_factory=list)
    asked: list[list[ModelMessage]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def take(self, run: RunContext) -> None:
        self.runs.append(run)
        self.requests.append(run.request)


@dataclass
class Server:
    """An application with a worker that serves both sorts of agents."""

    api: Api
    seen: Seen

    async def ended(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run, as soon as it has one of the statuses."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                run: dict[str, Any] = await self.api.json("GET", f"/runs/{run_id}")
                if run["status"] in statuses:
                    return run
                assert run["status"] not in ("failed", "cancelled"), run["error"]
                await asyncio.sleep(0.01)

    async def parent(self) -> tuple[str, str, str]:
        """A run of a caller's that has a parent of its own: its id, its root's and its conversation's."""
        root = (await self.api.create())["run"]["run_id"]
        made = await self.api.create(parent_run_id=root)
        return made["run"]["run_id"], root, made["conversation_id"]


def model_of(seen: Seen) -> FunctionModel:
    """It calls `look`, then the client's tool where there is one, then answers."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        names = {tool.name for tool in info.function_tools}
        seen.asked.append(messages)
        seen.tools.append(names)
        seen.thinking.append(info.model_request_parameters.thinking or (info.model_settings or {}).get("thinking"))
        done = {part.tool_name for message in messages for part in message.parts if isinstance(part, ToolReturnPart)}
        for place, name in enumerate(sorted(names - done, key=lambda one: one != "look")[:1]):
            yield {place: DeltaToolCall(name, "{}", tool_call_id=f"call-{name}")}
            return
        yield "Done."

    return FunctionModel(stream_function=answer, profile=ModelProfile(supports_thinking=True))


def agents(seen: Seen) -> App:
    model_agent = Agent(model_of(seen), deps_type=type(None))

    @model_agent.tool
    async def look(ctx: ToolContext[None]) -> str:
        """Looks at the run."""
        seen.take(current_run(ctx))
        return "seen"

    @model_agent.tool_plain
    async def forbidden() -> str:
        """Is not among the allowed tools."""
        return "no"

    app = App()
    app.agent("model", model_agent)

    @app.agent("function")
    async def function(run: RunContext) -> AsyncIterator[dict[str, object]]:
        seen.take(run)
        yield {"type": "RUN_FINISHED", "threadId": "", "runId": "", "result": last_user_text(run.messages)}

    return app


@asynccontextmanager
async def serving(dsn: str) -> AsyncIterator[Server]:
    seen = Seen()
    application = agents(seen)
    async with api(dsn) as at_work:
        executor = Executor(at_work.core, Resolver(application), 0.01, Tracing())
        working = await PostgresEngine(at_work.core, WorkerOptions()).work(
            frozenset(("agent", name) for name in application.agents), executor.execute
        )
        try:
            yield Server(at_work, seen)
        finally:
            await working.stop()


def body(request: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "kind": "agent",
        "owner": {"kind": "project", "id": str(PROJECT)},
        "request": {"mode": "agent", **request},
        **more,
    }


async def start_at_once(server: Server, agent: str, **more: Any) -> dict[str, Any]:
    """POST /runs, variant B."""
    made: dict[str, Any] = await server.api.json("POST", "/runs", body({"agent_id": agent, "input": INPUT}, **more))
    return made


async def start_by_second_create(server: Server, agent: str, **more: Any) -> dict[str, Any]:
    """Recorded first, then a second POST /runs with durable_root_run."""
    recorded = body({"agent_id": agent, "initial_status": "pending"}, **more)
    made: dict[str, Any] = await server.api.json("POST", "/runs", recorded)
    root = {"run_id": made["run"]["run_id"], "message_id": made["message_id"]}
    request = {"agent_id": agent, "initial_status": "pending", "input": {**INPUT, "durable_root_run": root}}
    await server.api.json("POST", "/runs", body(request, **{**more, "public_id": root["run_id"]}))
    return made


async def start_by_start(server: Server, agent: str, **more: Any) -> dict[str, Any]:
    """Recorded first, then POST /conversations/{cid}/agent-runs/{rid}/start (seed 000)."""
    recorded = body({"agent_id": agent, "initial_status": "pending"}, **more)
    made: dict[str, Any] = await server.api.json("POST", "/runs", recorded)
    path = f"/conversations/{made['conversation_id']}/agent-runs/{made['run']['run_id']}/start"
    await server.api.json("POST", path, INPUT)
    return made


WAYS = (start_at_once, start_by_second_create, start_by_start)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("start", WAYS, ids=[way.__name__ for way in WAYS])
async def test_everything_that_was_said_reaches_the_agent(database: str, agent: str, start: Any) -> None:
    async with serving(database) as server:
        parent, root, conversation = await server.parent()
        trigger = {"conversation_id": conversation, **TRIGGER}
        made = await start(server, agent, parent_run_id=parent, trigger=trigger)
        run_id = made["run"]["run_id"]
        if agent == "model":
            waiting = await server.ended(run_id, "waiting")
            assert waiting["waiting"]["calls"][0]["tool_name"] == "pick_color"
            answer = {"type": "tool_result", "tool_call_id": "call-pick_color", "result": "red"}
            await server.api.json("POST", f"/runs/{run_id}/resume", answer)
        ended = await server.ended(run_id, "completed")
        assert ended["output"] == ("Done." if agent == "model" else "Go on.")
        request = server.seen.requests[0]
        assert asdict(request.origin) == {
            "trigger": {"kind": "api", "id": None, "schedule_id": None, **trigger},
            "parent_run_id": parent,
            "root_run_id": root,
            "spawned_from": trigger,
            "created_by": ended["created_by"],
        }
        assert (request.allowed_tools, request.thinking, request.max_steps) == (
            frozenset({"look", "pick_color"}),
            2_000,
            4,
        )
        assert [(tool.name, tool.parameters) for tool in request.tools] == [("pick_color", TOOL["parameters"])]
        assert (request.place, request.forwarded_props, request.documents) == (PLACE, PROPS, ())
        assert (request.allow_delegation, request.active_chat_id) == (False, "chat-1")
        assert [str(message.role) for message in server.seen.runs[0].messages] == ["user", "assistant", "user"]
        projection = await server.api.json("GET", f"/conversations/{made['conversation_id']}/runs/{run_id}")
        assert (projection["parent_run_id"], projection["parent_conversation_id"]) == (parent, conversation)
        assert projection["spawned_from_message_id"] == TRIGGER["message_id"]
        assert projection["spawned_from_tool_call_id"] == TRIGGER["tool_call_id"]
        assert (ended["parent_run_id"], ended["root_run_id"]) == (parent, root)
        if agent == "model":
            assert server.seen.tools[0] == {"look", "pick_color"}
            assert server.seen.thinking[0] == "low"
            assert said(server.seen.asked[0]) == ["My name is Ada.", "Hello Ada.", "Go on."]


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_project_stream_brings_documents_and_reads_its_conversation(database: str, agent: str) -> None:
    """Variant C has no messages: they are those of the conversation."""
    async with serving(database) as server:
        conversation = (await server.api.json("POST", "/conversations"))["id"]
        for role, text in (("user", "One."), ("assistant", "Two."), ("user", "Three.")):
            message = {"role": role, "parts": [{"type": "text", "text": text}]}
            await server.api.json("POST", f"/conversations/{conversation}/messages", message)
        given = {"agent_id": agent, "context": DOCUMENTS, "forwarded_props": PROPS, "tools": []}
        wanted = body({"input": given}, conversation_mode="existing", conversation_id=conversation)
        run_id = (await server.api.json("POST", "/runs", wanted))["run"]["run_id"]
        ended = await server.ended(run_id, "completed", "waiting")
        assert ended["conversation_id"] == conversation
        run, request = server.seen.runs[0], server.seen.requests[0]
        assert [message.parts[0]["text"] for message in run.messages] == ["One.", "Two.", "Three."]
        assert [(one.type, one.title, one.text, one.data, one.uri) for one in request.documents] == [
            ("text", "House rules", "No shoes.", None, None),
            ("json", "Cart", None, {"lamps": 2}, None),
            ("resource", None, "# Plan", None, "file:///plan.md"),
        ]
        assert (request.place, request.forwarded_props) == ({}, PROPS)
        assert (request.origin.parent_run_id, request.origin.root_run_id) == (None, run_id)
        if agent == "model":
            assert said(server.seen.asked[0]) == ["One.", "Two.", "Three."]
            instructions = str(getattr(server.seen.asked[0][-1], "instructions", ""))
            for text in ("House rules:\nNo shoes.", 'Cart:\n{"lamps":2}', "file:///plan.md:\n# Plan"):
                assert text in instructions


async def test_the_conversation_that_a_run_belongs_to(database: str) -> None:
    async with serving(database) as server:
        existing = (await server.api.json("POST", "/conversations"))["id"]
        modes: dict[str, dict[str, Any]] = {
            "new": {"conversation_mode": "create_new"},
            "unsaid": {},
            "existing": {"conversation_mode": "existing", "conversation_id": existing},
            "none": {"conversation_mode": "none"},
        }
        seen: dict[str, str | None] = {}
        for name, mode in modes.items():
            made = await start_at_once(server, "function", **mode)
            await server.ended(made["run"]["run_id"], "completed")
            seen[name] = server.seen.runs[-1].conversation_id
            assert made["conversation_id"] == seen[name]
        assert seen["existing"] == existing
        assert seen["none"] is None
        assert len({seen["new"], seen["unsaid"], existing, None}) == 4


async def test_an_agents_second_run_sees_what_the_first_one_said(database: str) -> None:
    async with serving(database) as server:
        first = await start_at_once(server, "model")
        run_id, conversation = first["run"]["run_id"], first["conversation_id"]
        await server.ended(run_id, "waiting")
        answer = {"type": "tool_result", "tool_call_id": "call-pick_color", "result": "red"}
        await server.api.json("POST", f"/runs/{run_id}/resume", answer)
        await server.ended(run_id, "completed")
        message = {"role": "user", "parts": [{"type": "text", "text": "And now?"}]}
        await server.api.json("POST", f"/conversations/{conversation}/messages", message)
        given = {"input": {"agent_id": "function"}}
        second = body(given, conversation_mode="existing", conversation_id=conversation)
        run = await server.api.json("POST", "/runs", second)
        assert (await server.ended(run["run"]["run_id"], "completed"))["output"] == "And now?"
        parts = [part["type"] for part in server.seen.runs[-1].messages[0].parts]
        assert parts == ["tool_call", "tool_result", "tool_call", "tool_result", "text"]


async def test_too_many_steps_end_a_run_and_an_unknown_model_fails_it(database: str) -> None:
    async with serving(database) as server:
        for change, code in (
            ({"runtime_overrides": {"max_steps": 1}}, "MAX_STEPS"),
            ({"model": "nobody:has-this"}, "FAILED"),
        ):
            given = {**INPUT, "tools": [], **change}
            made = await server.api.json("POST", "/runs", body({"agent_id": "model", "input": given}))
            with pytest.raises(AssertionError):
                await server.ended(made["run"]["run_id"], "completed")
            assert (await server.api.json("GET", f"/runs/{made['run']['run_id']}"))["error"]["code"] == code


async def test_two_servers_asked_at_once_start_a_run_once(database: str) -> None:
    """Ten callers, two processes' worth of parts, both ways of starting: one start, and one input."""
    async with api(database) as one, api(database) as two:
        for _ in range(5):
            recorded = await one.json("POST", "/runs", body({"agent_id": "echo", "initial_status": "pending"}))
            run_id, conversation = recorded["run"]["run_id"], recorded["conversation_id"]
            root = {"run_id": run_id, "message_id": recorded["message_id"]}
            path = f"/conversations/{conversation}/agent-runs/{run_id}/start"

            def start(at: Api, number: int, path: str = path) -> Any:
                return at.json("POST", path, {**INPUT, "active_chat_id": f"caller-{number}"})

            def create(at: Api, number: int, root: dict[str, str] = root) -> Any:
                given = {**INPUT, "durable_root_run": root, "active_chat_id": f"caller-{number}"}
                request = {"agent_id": "echo", "initial_status": "pending", "input": given}
                return at.json("POST", "/runs", body(request, public_id=root["run_id"]))

            servers = (one, two)
            answers = await asyncio.gather(
                *(start(servers[number % 2], number) for number in range(6)),
                *(create(servers[number % 2], number) for number in range(6, 10)),
            )
            started = [number for number, answer in enumerate(answers[:6]) if not answer["duplicate"]]
            assert len(started) <= 1
            assert all(answer["duplicate"] for answer in answers[6:])
            taken = await asyncio.gather(
                *(lifecycle.claim(server.core, "worker-1", ["agent:echo"], 5, 60) for server in servers)
            )
            assert sum(map(len, taken)) == 1
            kept = (await two.json("GET", f"/runs/{run_id}"))["input"]["active_chat_id"]
            assert kept == f"caller-{started[0]}" if started else int(kept.removeprefix("caller-")) >= 6


async def test_two_servers_asked_at_once_create_a_run_once(database: str) -> None:
    async with api(database) as one, api(database) as two:
        for _ in range(5):
            wanted = body({"agent_id": "echo", "input": INPUT}, public_id=uuid4().hex)
            answers = await asyncio.gather(*(at.json("POST", "/runs", wanted) for at in (one, two) * 5))
            assert [answer["duplicate"] for answer in answers].count(False) == 1
            assert len({msgspec.json.encode(answer["run"]["run_id"]) for answer in answers}) == 1
            assert len(await lifecycle.claim(two.core, "worker-1", ["agent:echo"], 5, 60)) == 1


def said(messages: list[ModelMessage]) -> list[str]:
    """What user and assistant said."""
    found: list[str] = []
    for message in messages:
        kinds = TextPart if isinstance(message, ModelResponse) else UserPromptPart
        found += [str(part.content) for part in message.parts if isinstance(part, kinds)]
        assert not any(isinstance(part, ToolCallPart) for part in message.parts)
    return found
