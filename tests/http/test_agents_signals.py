"""Signals to agent runs and what they do (vertesia.md 4.1), with a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from ag_ui.core import BaseEvent, TextMessageContentEvent, TextMessageEndEvent, TextMessageStartEvent
from pydantic_ai import Agent, CallDeferred
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.profiles import ModelProfile

from perdure import App
from perdure.agents import RunContext
from tests.http.agents_at_work import AGENTS, Agents, agents_at_work
from tests.http.runs_app import Api

SIGNALS: dict[str, dict[str, Any] | None] = {
    "UserInput": {"message": "hello", "client_message_id": "c-1"},
    "Stop": None,
    "FileUploaded": {"id": "f1", "name": "a.txt", "content_type": "text/plain", "reference": "artifact:files/a.txt"},
    "FileRemoved": {"id": "f1"},
    "FileBatchClosed": {"batch_id": "b1", "file_ids": []},
    "ModelConfigChanged": {"effort": "low"},
    "McpConfigChanged": {"disabled_mcp_collections": ["docs"]},
    "ToolApprovalModeChanged": {"mode": "ask"},
    "TriggerCheckpoint": {"reason": "long"},
    "SomethingElse": {"x": 1},
}


@dataclass
class Model:
    """Calls the tool that the user's last message names, with that call's id, then says what came of it."""

    asked: list[list[str]] = field(default_factory=list)
    tools: list[list[str]] = field(default_factory=list)
    settings: list[Any] = field(default_factory=list)

    async def answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        self.tools.append(sorted(tool.name for tool in info.function_tools))
        self.settings.append(info.model_request_parameters.thinking)
        last = messages[-1]
        assert isinstance(last, ModelRequest)
        prompts = [text_of(part) for message in messages if isinstance(message, ModelRequest)
                   for part in message.parts if isinstance(part, UserPromptPart)]  # fmt: skip
        self.asked.append(prompts)
        results = [part for part in last.parts if isinstance(part, ToolReturnPart)]
        word, _, name = prompts[-1].partition(" ")
        if results:
            yield "; ".join(f"{part.tool_name}: {part.content}" for part in results)
        elif word == "call":
            yield {0: DeltaToolCall(name=name, json_args="{}", tool_call_id=f"call-{name}-{len(prompts)}")}
        else:
            yield f"You said: {prompts[-1]}"


def text_of(part: UserPromptPart) -> str:
    return part.content if isinstance(part.content, str) else "\n".join(map(str, part.content))


def make_app(model: Model, done: list[str]) -> App:
    thinks = ModelProfile(supports_thinking=True)
    agent = Agent(FunctionModel(stream_function=model.answer, profile=thinks))

    @agent.tool_plain(requires_approval=True)
    async def erase() -> str:
        """Erases everything."""
        done.append("erase")
        return "erased"

    @agent.tool_plain(metadata={"side_effects": True})
    async def send() -> str:
        """Sends a letter."""
        done.append("send")
        return "sent"

    @agent.tool_plain
    async def look() -> str:
        """Looks."""
        done.append("look")
        return "seen"

    @agent.tool_plain
    async def ask() -> str:
        """Asks somebody."""
        raise CallDeferred

    @agent.tool_plain
    async def crash() -> str:
        """Does not work."""
        raise RuntimeError("on fire")

    app = App()
    app.agent("worker", agent)

    @app.agent("teller")
    async def teller(run: RunContext) -> AsyncIterator[BaseEvent]:
        """Tells what holds for its turn."""
        profile = run.profile
        yield TextMessageStartEvent(message_id=f"m{run.attempt}", role="assistant")
        said = f"{profile.model} {profile.effort} {profile.approval} {sorted(profile.disabled_mcp_collections)}"
        yield TextMessageContentEvent(message_id=f"m{run.attempt}", delta=said)
        yield TextMessageEndEvent(message_id=f"m{run.attempt}")

    return app


@dataclass
class Site:
    agents: Agents
    model: Model
    done: list[str]


@pytest_asyncio.fixture
async def site(at_work: Api) -> AsyncIterator[Site]:
    model, done = Model(), list[str]()
    async with agents_at_work(at_work, make_app(model, done)) as agents:
        yield Site(agents, model, done)


def answers(events: list[dict[str, Any]]) -> list[str]:
    return [event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT"]


@pytest.mark.parametrize("name", SIGNALS)
async def test_a_signal_is_taken_from_the_start_until_the_end(site: Site, name: str) -> None:
    run_id = await site.agents.start("worker", "go")
    answer = await site.agents.signal(run_id, name, SIGNALS[name])
    assert answer == {"status": "ok", "message": f"Signal {name} was taken."}
    told = [value["name"] for value in await site.agents.customs(run_id, "perdure.signal")]
    assert name in told or name == "Stop"
    await site.agents.waits(run_id)
    await site.agents.api.json("DELETE", f"{AGENTS}/{run_id}")
    refused = await site.agents.api.client.post(f"{AGENTS}/{run_id}/signal/{name}", json=SIGNALS[name] or {})
    assert refused.status_code == 409
    assert set(refused.json()) <= {"error", "status", "message", "details"}
    await site.agents.api.json("POST", f"{AGENTS}/{run_id}/restart")
    await site.agents.signal(run_id, name, SIGNALS[name])


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("UserInput", None),
        ("UserInput", {"message": 3}),
        ("FileUploaded", {"id": "", "name": "x"}),
        ("FileRemoved", {}),
        ("FileBatchClosed", {"batch_id": "b", "file_ids": "f1"}),
        ("ModelConfigChanged", {"effort": "enormous"}),
        ("ModelConfigChanged", {"model": ""}),
        ("McpConfigChanged", {"disabled_mcp_collections": [1]}),
        ("ToolApprovalModeChanged", {}),
        ("bad name", {}),
    ],
)
async def test_a_signal_that_makes_no_sense_changes_nothing(site: Site, name: str, payload: object) -> None:
    run_id = await site.agents.start("worker", "go")
    await site.agents.waits(run_id)
    before = await site.agents.events(run_id)
    path = f"{AGENTS}/{run_id}/signal/{name}"
    answer = await (
        site.agents.api.client.post(path) if payload is None else site.agents.api.client.post(path, json=payload)
    )
    assert answer.status_code == 400, answer.text
    assert await site.agents.events(run_id) == before


async def test_a_message_that_answers_an_approval_is_no_turn_of_its_own(site: Site) -> None:
    run_id = await site.agents.start("worker", "call erase")
    await site.agents.waits(run_id, "approval")
    response = {"request_input_response": {"request_id": "call-erase-1"}}
    await site.agents.say(run_id, "Approve", client_message_id="c-9", metadata=response)
    await site.agents.turns(run_id, 1)
    await site.agents.say(run_id, "Approve", client_message_id="c-9", metadata=response)
    assert site.done == ["erase"]
    assert answers(await site.agents.events(run_id)) == ["erase: erased"]
    assert site.model.asked == [["call erase"], ["call erase"]]
    (told,) = await site.agents.customs(run_id, "perdure.signal")
    assert (told["answers"], told["payload"]["client_message_id"]) == ("call-erase-1", "c-9")
    await site.agents.say(run_id, "call erase")
    await site.agents.waits(run_id, "approval")
    denial = {"request_input_response": {"request_id": "call-erase-2", "approved": False}}
    await site.agents.say(run_id, "better not", metadata=denial)
    await site.agents.turns(run_id, 2)
    assert site.done == ["erase"]
    assert answers(await site.agents.events(run_id))[-1] == "erase: better not"


async def test_a_message_answers_a_tool_call_that_waits_for_its_result(site: Site) -> None:
    run_id = await site.agents.start("worker", "call ask")
    await site.agents.waits(run_id, "tool")
    await site.agents.say(run_id, "not for me", metadata={"request_input_response": {"request_id": "another"}})
    await site.agents.say(run_id, "blue", metadata={"request_input_response": {"request_id": "call-ask-1"}})
    await site.agents.turns(run_id, 2)
    assert answers(await site.agents.events(run_id)) == ["ask: blue", "You said: not for me"]


async def test_a_message_answers_an_input_request(site: Site) -> None:
    run_id = await site.agents.start("worker", "go")
    run = await site.agents.waits(run_id)
    path = f"/conversations/{run['conversation_id']}/input-requests"
    body = {
        "run_id": run_id, "tool_call_id": "form-1", "kind": "form", "title": "Colour?",
        "requested_responder_type": "human",
        "fields": [{"name": "colour", "label": "Colour", "type": "text", "required": True}],
    }  # fmt: skip
    asked = await site.agents.api.json("POST", path, body)
    request_id = asked.get("id") or asked["input_request"]["id"]
    await site.agents.say(run_id, "red", metadata={"request_input_response": {"request_id": request_id}})
    settled = await site.agents.api.json("GET", f"{path}/{request_id}")
    settled = settled.get("input_request", settled)
    assert settled["status"] == "submitted"
    assert (settled.get("latest_response") or settled.get("response"))["values"] == {"colour": "red"}
    assert len(site.model.asked) == 1
    (told,) = await site.agents.customs(run_id, "perdure.signal")
    assert told["answers"] == request_id


async def test_a_settled_batch_of_files_is_one_turn(site: Site) -> None:
    run_id = await site.agents.start("worker", "go")
    await site.agents.waits(run_id)
    closed = {"batch_id": "b1", "file_ids": ["f1", "f2"], "failed_uploads": [{"name": "c.doc", "error": "too big"}]}
    await site.agents.signal(run_id, "FileUploaded", uploaded("f1", "a.txt"))
    await site.agents.signal(run_id, "FileBatchClosed", closed)
    await site.agents.signal(run_id, "FileBatchClosed", closed)
    assert len(site.model.asked) == 1
    await asyncio.gather(
        site.agents.signal(run_id, "FileUploaded", uploaded("f2", "b.pdf")),
        *(site.agents.signal(run_id, "FileBatchClosed", closed) for _ in range(3)),
    )
    await site.agents.turns(run_id, 2)
    await site.agents.signal(run_id, "FileBatchClosed", closed)
    signals = [value["name"] for value in await site.agents.customs(run_id, "perdure.signal")]
    assert sorted(signals) == ["FileBatchClosed", "FileUploaded", "FileUploaded", "UserInput"]
    assert len(site.model.asked) == 2
    turn = site.model.asked[1][-1]
    assert turn.startswith("[Files Ready]\n- a.txt (text/plain): artifact:files/a.txt\n")
    assert "- c.doc: too big" in turn
    assert "[attached file: b.pdf (artifact:files/b.pdf)]" in turn


def uploaded(file_id: str, name: str) -> dict[str, str]:
    return {
        "id": file_id, "name": name, "content_type": "text/plain", "reference": f"artifact:files/{name}",
        "artifact_path": f"files/{name}",
    }  # fmt: skip


async def test_a_batch_without_files_and_one_whose_file_was_removed_are_told_too(site: Site) -> None:
    run_id = await site.agents.start("worker", "go")
    await site.agents.signal(run_id, "FileBatchClosed", {"batch_id": "empty", "file_ids": []})
    await site.agents.turns(run_id, 2)
    assert site.model.asked[1][-1] == "[Files Ready]\nThere are no files."
    await site.agents.signal(run_id, "FileBatchClosed", {"batch_id": "gone", "file_ids": ["f1"]})
    await site.agents.signal(run_id, "FileRemoved", {"id": "f1"})
    await site.agents.turns(run_id, 3)
    assert len(site.model.asked) == 3


async def test_the_next_turn_has_what_signals_changed(site: Site) -> None:
    config = {"environment": "openai", "model": "gpt-1"}
    run_id = await site.agents.start("teller", "go", config=config, tool_approval_mode="ask")
    await site.agents.turns(run_id, 1)
    await site.agents.signal(run_id, "ModelConfigChanged", {"model": "gpt-2", "effort": "max"})
    await site.agents.signal(run_id, "McpConfigChanged", {"disabled_mcp_collections": ["docs"]})
    await site.agents.signal(run_id, "ToolApprovalModeChanged", {"mode": "auto_review"})
    await site.agents.say(run_id, "again")
    await site.agents.turns(run_id, 2)
    run = await site.agents.read(run_id)
    assert (run["config"]["model"], run["model"]) == ("gpt-2", "gpt-2")
    assert (run["tool_approval_mode"], run["disabled_mcp_collections"]) == ("auto_review", ["docs"])
    await site.agents.signal(run_id, "ModelConfigChanged", {"effort": None})
    await site.agents.signal(run_id, "McpConfigChanged", {})
    await site.agents.say(run_id, "and again")
    await site.agents.turns(run_id, 3)
    assert answers(await site.agents.events(run_id)) == [
        "None None ask []",
        "openai:gpt-2 max auto_review ['docs']",
        "openai:gpt-2 None auto_review ['docs']",
    ]


async def test_the_effort_reaches_the_model_and_the_model_is_taken(site: Site) -> None:
    run_id = await site.agents.start("worker", "go")
    await site.agents.turns(run_id, 1)
    for effort in ("none", "xhigh"):
        await site.agents.signal(run_id, "ModelConfigChanged", {"effort": effort})
        await site.agents.say(run_id, effort)
        await site.agents.waits(run_id)
        await site.agents.turns(run_id, len(site.model.settings))
    assert site.model.settings == [None, False, "xhigh"]
    await site.agents.signal(run_id, "ModelConfigChanged", {"model": "nobody:knows"})
    await site.agents.say(run_id, "who are you?")
    failed = await site.agents.ends(run_id)
    assert "nobody" in failed["error"]["message"]


async def test_the_mode_says_whether_tools_ask(site: Site) -> None:
    run_id = await site.agents.start("worker", "call send", tool_approval_mode="ask")
    await site.agents.waits(run_id, "approval")
    assert site.done == []
    await site.agents.signal(run_id, "ToolApprovalModeChanged", {"mode": "full_control"})
    await site.agents.say(run_id, "yes", metadata={"request_input_response": {"request_id": "call-send-1"}})
    await site.agents.turns(run_id, 1)
    await site.agents.say(run_id, "call erase")
    await site.agents.turns(run_id, 2)
    assert site.done == ["send", "erase"]


async def test_a_run_that_is_not_interactive_asks_nobody(site: Site) -> None:
    run_id = await site.agents.start("worker", "call erase", interactive=False, tool_approval_mode="ask")
    await site.agents.ends(run_id)
    assert site.done == ["erase"]


async def test_excluded_tools_are_neither_offered_nor_executed(site: Site) -> None:
    run_id = await site.agents.start("worker", "call look", interactive=False, excluded_tools=["look"],
                                     tool_names=["look", "send"])  # fmt: skip
    await site.agents.ends(run_id)
    assert site.done == []
    assert site.model.tools[0] == ["send"]


async def test_initial_tool_calls_are_executed_before_the_model_is_asked(site: Site) -> None:
    calls = [{"id": "i1", "tool": "look"}, {"id": "i2", "tool": "crash", "on_error": "continue"}]
    run_id = await site.agents.start("worker", "go", initial_tool_calls=calls)
    await site.agents.turns(run_id, 1)
    await site.agents.say(run_id, "next")
    await site.agents.turns(run_id, 2)
    events = await site.agents.events(run_id)
    assert answers(events) == ["look: seen; crash: RuntimeError: on fire", "You said: next"]
    assert [event["toolCallId"] for event in events if event["type"] == "TOOL_CALL_START"] == ["i1", "i2"]
    assert site.done == ["look"]
    assert len(site.model.asked) == 2


@pytest.mark.parametrize("tool", ["crash", "unknown"])
async def test_an_initial_tool_call_that_fails_ends_the_run(site: Site, tool: str) -> None:
    run_id = await site.agents.start("worker", "go", initial_tool_calls=[{"id": "i1", "tool": tool}])
    assert (await site.agents.ends(run_id))["status"] == "failed"
    assert site.model.asked == []


async def test_a_checkpoint_leaves_the_newest_messages(site: Site) -> None:
    run_id = await site.agents.start("worker", "a" * 3000, checkpoint_tokens=1)
    await site.agents.turns(run_id, 1)
    await site.agents.say(run_id, "b" * 500)
    await site.agents.turns(run_id, 2)
    await site.agents.signal(run_id, "TriggerCheckpoint", {"reason": "long"})
    await site.agents.say(run_id, "c")
    await site.agents.turns(run_id, 3)
    assert site.model.asked[-1] == ["b" * 500, "c"]
    await site.agents.say(run_id, "d")
    await site.agents.turns(run_id, 4)
    assert site.model.asked[-1] == ["b" * 500, "c", "d"]
