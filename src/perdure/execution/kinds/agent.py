"""Runs one attempt of an agent run, whatever the agent is made of."""

from __future__ import annotations

from typing import assert_never

from perdure.execution.kinds.function_agent import run_function_agent
from perdure.execution.kinds.pydantic_agent import run_pydantic_agent
from perdure.execution.log import Outcome, RunContext
from perdure.execution.model_retry import RetryPolicy
from perdure.execution.registry import AgentDefinition


async def run_agent(definition: AgentDefinition, run: RunContext, policy: RetryPolicy | None = None) -> Outcome:
    """One attempt. Everything it emitted is durable when this returns; what it raises means that the run has failed.

    `asyncio.CancelledError` passes through: who cancels closes what is open (`closing.closing_events`).
    """
    match definition.kind:
        case "pydantic_ai":
            outcome = await run_pydantic_agent(definition, run, policy)
        case "function":
            outcome = await run_function_agent(definition, run)
        case _:
            assert_never(definition.kind)
    await run.log.flush()
    return outcome
