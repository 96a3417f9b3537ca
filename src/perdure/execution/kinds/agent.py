"""Runs one attempt of an agent run, whatever the agent is made of."""

from __future__ import annotations

from typing import assert_never

from perdure.execution.definitions import AgentDefinition
from perdure.execution.kinds.ag_ui_agent import run_ag_ui_agent
from perdure.execution.kinds.function_agent import run_function_agent
from perdure.execution.kinds.pydantic_agent import run_pydantic_agent
from perdure.execution.log import Outcome, RunContext
from perdure.execution.model_retry import RetryPolicy


async def run_agent(definition: AgentDefinition, run: RunContext, policy: RetryPolicy | None = None) -> Outcome:
    """One attempt; what it raises means that the run has failed.

    What it emitted last may still be on its way when this returns: it belongs into the log together with the run's end.
    `asyncio.CancelledError` passes through: who cancels closes what is open (`closing.closing_events`).
    """
    match definition.kind:
        case "pydantic_ai":
            return await run_pydantic_agent(definition, run, policy)
        case "function":
            return await run_function_agent(definition, run)
        case "ag_ui":
            return await run_ag_ui_agent(definition, run)
        case _:
            assert_never(definition.kind)
