"""How an attempt of a Pydantic AI agent begins, waits and goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import CallDeferred
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.tools import DeferredToolRequests

from perdure.domain.closing import closing_events
from perdure.domain.fold import fold
from perdure.domain.message import Message, Role
from perdure.domain.run import PendingCall, Waiting, WaitingReason
from perdure.execution.definitions import Deps
from perdure.execution.log import Completed, Outcome, RunFailed
from perdure.execution.log import RunContext as Run
from perdure.execution.registry import App
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import (
    MemoryLog,
    check_rules,
    context,
    public,
    recorded,
    results,
    transcript,
    user,
)

Stream = AsyncIterator[str | dict[int, DeltaToolCall]]
CLIENT_TOOL = {"name": "ask_user", "description": "Asks.", "parameters": {"type": "object", "properties": {}}}


def app_of(agent: Agent[None, str] | Agent[None, object], deps: Deps | None = None) -> App:
    app = App()
    app.agent("tested", agent, deps=deps)
    return app


async def run(app: App, log: MemoryLog, attempt: int = 1, **request: object) -> Outcome:
    return await run_attempt(app.agents["tested"], replace(context(log, attempt=attempt), input=request))


def calling(*names: str) -> FunctionModel:
    """A model that calls the tools, all at once, and then says what they returned."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Stream:
        if not any(isinstance(message, ModelResponse) for message in messages):
            for index, name in enumerate(names):
                yield {index: DeltaToolCall(name=name, json_args="{}", tool_call_id=f"{name}-1")}
        else:
            parts = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
            yield "; ".join(f"{part.tool_name}: {part.model_response_str()}" for part in parts)

    return FunctionModel(stream_function=stream)


@dataclass
class Parked:
    """A run that waits, as the server leaves it."""

    app: App
    log: MemoryLog
    attempt: int = 1

    def waits(self, waiting: Waiting) -> None:
        calls = [{"toolCallId": c.id, "toolCallName": c.name, "reason": c.reason} for c in waiting.calls]
        self.log.append(
            {"type": "CUSTOM", "name": "perdure.run.waiting", "value": {"reason": waiting.reason, "calls": calls}}
        )

    def result(self, call_id: str, content: str, **more: object) -> None:
        self.log.append(
            {
                "type": "TOOL_CALL_RESULT",
                "messageId": f"result:{call_id}",
                "toolCallId": call_id,
                "content": content,
                **more,
            }
        )

    def approval(self, call_id: str, value: object) -> None:
        self.log.append(
            {"type": "CUSTOM", "name": "perdure.run.approval", "value": {"toolCallId": call_id, "value": value}}
        )

    async def go_on(self, **request: object) -> Outcome:
        self.attempt += 1
        self.log = MemoryLog(self.log.lines)
        outcome = await run(self.app, self.log, self.attempt, **request)
        check_rules(self.log.lines)
        return outcome


def danger_zone(ran: Counter[str]) -> Agent[None, str]:
    agent = Agent(calling("safe", "danger", "ask_user"))

    @agent.tool_plain
    def safe() -> str:
        ran["safe"] += 1
        return "safe"

    @agent.tool_plain(requires_approval=True)
    def danger(level: int = 1) -> str:
        ran["danger"] += 1
        return f"danger {level}"

    return agent


async def test_waits_for_the_client_and_for_approval_and_goes_on_when_both_are_there() -> None:
    ran = Counter[str]()
    parked = Parked(app_of(danger_zone(ran)), MemoryLog())
    outcome = await run(parked.app, parked.log, tools=[CLIENT_TOOL])
    danger = PendingCall("danger-1", "danger", WaitingReason.APPROVAL)
    ask = PendingCall("ask_user-1", "ask_user", WaitingReason.TOOL)
    assert outcome == Waiting(WaitingReason.APPROVAL, (danger, ask))
    assert recorded(parked.log.lines) == ["model:1", "tool:safe-1"]
    assert ran == {"safe": 1}

    parked.waits(outcome)
    parked.approval("danger-1", {"approved": True, "arguments": {"level": 2}})
    outcome = await parked.go_on(tools=[CLIENT_TOOL])
    assert outcome == Waiting(WaitingReason.TOOL, (ask,))
    assert ran == {"safe": 1}, "what waits together goes on together"

    parked.waits(outcome)
    parked.result("ask_user-1", '{"answer": "blue"}')
    outcome = await parked.go_on(tools=[CLIENT_TOOL])
    assert isinstance(outcome, Completed)
    assert outcome.output == 'safe: safe; danger: danger 2; ask_user: {"answer": "blue"}'
    assert ran == {"safe": 1, "danger": 1}
    assert results(parked.log.lines) == {
        "safe-1": "safe",
        "ask_user-1": '{"answer": "blue"}',
        "danger-1": "danger 2",
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "danger 1"),
        ("approve", "danger 1"),
        ({"decision": "Approved"}, "danger 1"),
        (False, "The tool call was denied."),
        ("not on a Friday", "not on a Friday"),
        ({"approved": False, "reason": "too risky"}, "too risky"),
        ({"approved": "maybe"}, "The tool call was denied."),
        (None, "The tool call was denied."),
        (1, "The tool call was denied."),
    ],
)
async def test_only_a_clear_yes_lets_a_tool_run(value: object, said: str) -> None:
    ran = Counter[str]()
    agent = danger_zone(ran)
    agent.model = calling("danger")
    parked = Parked(app_of(agent), MemoryLog())
    waiting = await run(parked.app, parked.log)
    assert isinstance(waiting, Waiting)
    parked.waits(waiting)
    parked.approval("danger-1", value)
    outcome = await parked.go_on()
    assert isinstance(outcome, Completed)
    assert outcome.output == f"danger: {said}"
    assert results(parked.log.lines) == {"danger-1": said}
    assert ran["danger"] == said.startswith("danger")


async def test_a_clients_tool_that_failed_is_told_to_the_model() -> None:
    parked = Parked(app_of(Agent(calling("ask_user"))), MemoryLog())
    waiting = await run(parked.app, parked.log, tools=[CLIENT_TOOL])
    assert isinstance(waiting, Waiting)
    parked.waits(waiting)
    parked.result("ask_user-1", "nobody there", isError=True)
    outcome = await parked.go_on(tools=[CLIENT_TOOL])
    assert isinstance(outcome, Completed)
    assert outcome.output == 'ask_user: {"error":"nobody there"}'


async def test_a_tool_that_defers_itself_starts_its_work_once() -> None:
    ran = Counter[str]()
    agent = Agent(calling("job"))

    @agent.tool_plain
    def job() -> str:
        ran["job"] += 1
        raise CallDeferred(metadata={"job": 17})

    parked = Parked(app_of(agent), MemoryLog())
    waiting = await run(parked.app, parked.log)
    assert waiting == Waiting(WaitingReason.TOOL, (PendingCall("job-1", "job", WaitingReason.TOOL),))
    assert await parked.go_on() == waiting
    parked.waits(waiting)
    parked.result("job-1", "done")
    outcome = await parked.go_on()
    assert isinstance(outcome, Completed)
    assert outcome.output == "job: done"
    assert ran == {"job": 1}


async def test_a_run_cancelled_while_it_waits_asks_again_when_it_is_restarted() -> None:
    parked = Parked(app_of(Agent(calling("ask_user"))), MemoryLog())
    waiting = await run(parked.app, parked.log, tools=[CLIENT_TOOL])
    assert isinstance(waiting, Waiting)
    parked.waits(waiting)
    parked.log.append(
        *(event.model_dump(mode="json", by_alias=True) for event in closing_events(fold(parked.log.lines)))
    )
    assert results(parked.log.lines) == {"ask_user-1": "cancelled"}
    parked.log.append(
        {"type": "CUSTOM", "name": "perdure.run.restarted", "value": {"from": "cancelled", "fresh": False}}
    )
    assert await parked.go_on(tools=[CLIENT_TOOL]) == waiting
    assert results(parked.log.lines) == {}
    parked.waits(waiting)
    parked.result("ask_user-1", "hello again")
    outcome = await parked.go_on(tools=[CLIENT_TOOL])
    assert isinstance(outcome, Completed)
    assert outcome.output == "ask_user: hello again"


async def test_an_agent_that_could_return_deferred_calls_itself_waits_all_the_same() -> None:
    agent = Agent(calling("ask_user"), output_type=[str, DeferredToolRequests])
    app = App()
    app.agent("tested", agent)
    assert isinstance(await run(app, MemoryLog(), tools=[CLIENT_TOOL]), Waiting)


async def test_invalid_arguments_and_unknown_tools_get_a_result() -> None:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Stream:
        if len(messages) == 1:
            yield {0: DeltaToolCall(name="add", json_args='{"number": "x"}', tool_call_id="bad")}
            yield {1: DeltaToolCall(name="nowhere", json_args="{}", tool_call_id="unknown")}
        else:
            yield "sorry"

    agent = Agent(FunctionModel(stream_function=stream))

    @agent.tool_plain
    def add(number: int) -> int:
        return number + 1

    log = MemoryLog()
    await run(app_of(agent), log)
    check_rules(log.lines)
    found = results(log.lines)
    assert "Input should be a valid integer" in found["bad"]
    assert "Unknown tool name" in found["unknown"]
    again = MemoryLog(log.lines)
    await run(app_of(agent), again, 2)
    assert again.lines == log.lines


class Answer(BaseModel):
    city: str
    people: int


async def test_structured_output_is_the_runs_output() -> None:
    log = MemoryLog()
    agent = Agent(TestModel(custom_output_args={"city": "Ghent", "people": 265_000}), output_type=Answer)
    app = App()
    app.agent("tested", agent)
    outcome = await run(app, log)
    assert isinstance(outcome, Completed)
    assert outcome.output == {"city": "Ghent", "people": 265_000}
    check_rules(log.lines)
    assert list(results(log.lines).values()) == ["Final result processed."]


async def test_a_model_that_does_not_stream() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(parts=[TextPart("First "), ToolCallPart("lucky", {}, "lucky-1")])
        return ModelResponse(parts=[TextPart("seven")])

    agent = Agent(FunctionModel(answer))

    @agent.tool_plain
    def lucky() -> int:
        return 7

    log = MemoryLog()
    outcome = await run(app_of(agent), log)
    assert isinstance(outcome, Completed)
    assert outcome.output == "seven"
    check_rules(log.lines)
    assert list(transcript(log.lines).values()) == ["First ", "seven"]


# --- what a request says about how its agent runs --------------------------------------------------------------------


async def test_only_allowed_tools_are_offered() -> None:
    model = TestModel(call_tools=[])
    agent = Agent(model, tools=[one, two])
    await run(app_of(agent), MemoryLog(), runtime_overrides={"allowed_tools": ["two", "ask_user"]}, tools=[CLIENT_TOOL])
    assert model.last_model_request_parameters is not None
    assert [tool.name for tool in model.last_model_request_parameters.function_tools] == ["two", "ask_user"]


def one() -> int:
    return 1


def two() -> int:
    return 2


@pytest.mark.parametrize(
    ("thinking", "level"), [(False, False), (500, "minimal"), (4_000, "low"), (10_000, "medium"), (50_000, "high")]
)
async def test_thinking_is_set(thinking: object, level: object) -> None:
    seen: list[object] = []

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Stream:
        seen.append(info.model_request_parameters.thinking)
        yield "ok"

    model = FunctionModel(stream_function=stream, profile=ModelProfile(supports_thinking=True))
    await run(app_of(Agent(model)), MemoryLog(), runtime_overrides={"thinking": thinking})
    assert seen == [level]


async def test_too_many_steps_fail_the_run() -> None:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Stream:
        yield {0: DeltaToolCall(name="one", json_args="{}", tool_call_id=f"one-{len(messages)}")}

    agent = Agent(FunctionModel(stream_function=stream), tools=[one])
    log = MemoryLog()
    with pytest.raises(RunFailed) as failed:
        await run(app_of(agent), log, runtime_overrides={"max_steps": 3})
    assert failed.value.code == "MAX_STEPS"
    assert [key for key in recorded(log.lines) if key.startswith("model:")] == ["model:1", "model:2", "model:3"]


async def test_another_model_can_be_asked_for() -> None:
    def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise AssertionError

    outcome = await run(app_of(Agent(FunctionModel(never))), MemoryLog(), model="test")
    assert isinstance(outcome, Completed)
    assert (outcome.output, outcome.model) == ("success (no tool calls)", "test")
    assert outcome.usage is not None
    assert outcome.usage.requests == 1
    metadata = outcome.metadata()
    assert metadata is not None
    assert metadata["model"] == "test"


async def test_context_of_the_application_reaches_the_model() -> None:
    model = TestModel()
    items = [{"description": "page", "value": "/orders"}, {"type": "json", "title": "user", "json": {"id": 1}}]
    await run(app_of(Agent(model, instructions="Be brief.")), MemoryLog(), context=items)
    parameters = model.last_model_request_parameters
    assert parameters is not None
    text = "\n".join(part.content for part in parameters.instruction_parts or ())
    assert "Be brief." in text
    assert "page:\n/orders" in text
    assert 'user:\n{"id":1}' in text


async def test_the_conversation_and_the_system_prompt_reach_the_model() -> None:
    seen: list[ModelMessage] = []

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Stream:
        seen.extend(messages)
        yield "ok"

    app = App()
    app.agent("tested", Agent(FunctionModel(stream_function=stream), system_prompt="You are kind."))
    said = Message(None, Role.ASSISTANT, ({"type": "text", "text": "Hi."},))
    log = MemoryLog()
    earlier = (user("Hello."), said, user("How are you?"))
    await run_attempt(app.agents["tested"], replace(context(log), messages=earlier))
    requests = [part for message in seen if isinstance(message, ModelRequest) for part in message.parts]
    assert [part.content for part in requests if isinstance(part, SystemPromptPart | UserPromptPart)] == [
        "You are kind.",
        "Hello.",
        "How are you?",
    ]


async def test_dependencies_are_made_for_each_attempt() -> None:
    agent = Agent(TestModel(), deps_type=str)

    @agent.tool
    def who(ctx: RunContext[str]) -> str:
        return ctx.deps

    async def make(run: Run) -> str:
        return f"attempt {run.attempt} of {run.agent}"

    app = App()
    app.agent("tested", agent, deps=make)
    log = MemoryLog()
    await run(app, log, 3)
    assert list(results(log.lines).values()) == ["attempt 3 of tested"]


async def test_large_results_are_cut_for_the_client_only() -> None:
    agent = Agent(calling("flood"))

    @agent.tool_plain
    def flood() -> str:
        return "é" * 300_000

    log = MemoryLog()
    outcome = await run(app_of(agent), log)
    assert isinstance(outcome, Completed)
    assert outcome.output == "flood: " + "é" * 300_000
    assert max(len(line.encode()) for line in log.lines) < 256 * 1024
    assert results(log.lines)["flood-1"].endswith("… (300000 characters)")
    assert "".join(transcript(log.lines).values()) == outcome.output
    again = MemoryLog(log.lines)
    assert await run(app_of(agent), again, 2) == outcome
    assert len(public(again.lines)) == len(public(log.lines))
