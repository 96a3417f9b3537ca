"""Runs one attempt of a Pydantic AI agent: from the first step on, with what is recorded read from the log."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.durable_exec import replay_scope
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ModelResponse
from pydantic_ai.run import AgentRun
from pydantic_ai.settings import ModelSettings, ThinkingLevel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset
from pydantic_ai.usage import UsageLimits
from pydantic_core import to_jsonable_python
from pydantic_graph import End

from perdure.domain.agent_signals import ApprovalMode, Effort
from perdure.domain.closing import superseded
from perdure.execution.definitions import AgentDefinition
from perdure.execution.durability import Durability
from perdure.execution.emitter import ATTEMPT_LOST, Emitter
from perdure.execution.history import History, history_of
from perdure.execution.kinds.approval import OutsideAnswers, Suspended
from perdure.execution.kinds.initial_calls import InitialCalls
from perdure.execution.kinds.tool_rules import tool_rules
from perdure.execution.log import Completed, Outcome, RunFailed, Usage, Waiting
from perdure.execution.log import RunContext as Run
from perdure.execution.model_retry import RetryPolicy
from perdure.execution.overrides import ClientTool, Overrides, overrides_of

MAX_STEPS = "MAX_STEPS"
"""Code of a run that failed because it needed more model requests or tokens than it may use."""


_EFFORTS: Final[Mapping[Effort, ThinkingLevel]] = MappingProxyType(
    {
        Effort.NONE: False,
        Effort.MINIMAL: "minimal",
        Effort.LOW: "low",
        Effort.MEDIUM: "medium",
        Effort.HIGH: "high",
        Effort.XHIGH: "xhigh",
        Effort.MAX: "xhigh",
    }
)


async def run_pydantic_agent(definition: AgentDefinition, run: Run, policy: RetryPolicy | None = None) -> Outcome:
    """One attempt of a run of a Pydantic AI agent. Raises RunFailed, or what the agent raises."""
    agent = cast("AbstractAgent[Any, Any]", definition.target)
    emitter = Emitter(run)
    history, overrides = history_of(run.messages), overrides_of(run.input)
    durability = Durability(emitter, policy or RetryPolicy(), history.call_ids)
    answers = OutsideAnswers(run.answers, approve_all=run.profile.approval is ApprovalMode.FULL_CONTROL)
    await emitter.begin()
    try:
        with replay_scope():
            outcome: Outcome = await _iterate(agent, definition, run, history, overrides, durability, answers)
    except Suspended as suspended:
        outcome = suspended.waiting
    except Exception as error:
        emitter.check()
        if isinstance(error, UsageLimitExceeded):
            raise RunFailed(str(error), MAX_STEPS) from error
        raise
    emitter.check()
    # A hook of the agent may have turned the suspension into a result; the answers are missing all the same.
    if answers.waiting is not None:
        outcome = answers.waiting
        await _reopen(emitter, answers.waiting)
    return outcome


async def _iterate(
    agent: AbstractAgent[Any, Any],
    definition: AgentDefinition,
    run: Run,
    history: History,
    overrides: Overrides,
    durability: Durability,
    answers: OutsideAnswers,
) -> Completed:
    initial = InitialCalls(run.profile.initial_calls)
    history = await initial.begin(durability.emitter, history)
    async with agent.iter(
        history.prompt,
        message_history=history.messages,
        model=run.profile.model or overrides.model,
        instructions=overrides.context,
        deps=await _deps(definition, run),
        model_settings=_settings(overrides.thinking, run.profile.effort),
        usage_limits=None if overrides.max_steps is None else UsageLimits(request_limit=overrides.max_steps),
        toolsets=[_client_tools(overrides.tools)] if overrides.tools else None,
        capabilities=[durability, answers, initial, ReinjectSystemPrompt(), *tool_rules(run, overrides)],
        run_id=run.run_id,
        conversation_id=run.conversation_id,
        infer_name=False,
    ) as agent_run:
        await _drive(agent_run, durability, initial)
        return _completed(agent_run)


async def _drive(agent_run: AgentRun[Any, Any], durability: Durability, initial: InitialCalls) -> None:
    node = agent_run.next_node
    while not isinstance(node, End):
        if Agent.is_call_tools_node(node):
            async with node.stream(agent_run.ctx) as events:
                async for event in events:
                    await durability.forward(event)
                    initial.check(event)
        node = await agent_run.next(node)


async def _reopen(emitter: Emitter, waiting: Waiting) -> None:
    """Takes back results that an earlier execution gave to the calls which now wait: "cancelled", when it was."""
    for pending in waiting.calls:
        call = emitter.fold.call(pending.id)
        if call is not None and call.result is not None:
            await emitter.emit(superseded(call.result, ATTEMPT_LOST))


async def _deps(definition: AgentDefinition, run: Run) -> object:
    made = None if definition.deps is None else definition.deps(run)
    return await made if inspect.isawaitable(made) else made


def _client_tools(tools: Sequence[ClientTool]) -> ExternalToolset[Any]:
    return ExternalToolset(
        [
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=dict(tool.parameters),
                kind="external",
            )
            for tool in tools
        ],
        id="client",
    )


def _settings(thinking: int | bool | None, effort: Effort | None) -> ModelSettings | None:
    if effort is not None:
        return ModelSettings(thinking=_EFFORTS[effort])
    if thinking is None:
        return None
    return ModelSettings(thinking=thinking if isinstance(thinking, bool) else _effort(thinking))


def _effort(budget: int) -> ThinkingLevel:
    """The provider-neutral level for a budget in tokens."""
    if budget < 1_024:
        return "minimal"
    if budget <= 4_096:
        return "low"
    return "medium" if budget <= 16_384 else "high"


def _completed(agent_run: AgentRun[Any, Any]) -> Completed:
    result = agent_run.result
    if result is None:
        raise RunFailed("The agent ended without a result.")
    usage = result.usage
    last = next((m for m in reversed(result.all_messages()) if isinstance(m, ModelResponse)), None)
    return Completed(
        output=to_jsonable_python(result.output, fallback=str),
        usage=Usage(
            requests=usage.requests,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cache_read_tokens,
            reasoning_tokens=usage.output_reasoning_tokens,
        ),
        provider=last.provider_name if last else None,
        model=last.model_name if last else None,
        finish_reason=last.finish_reason if last else None,
    )
