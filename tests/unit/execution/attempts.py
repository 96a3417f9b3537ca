"""One attempt of an agent as the executor runs it, on whatever log a test gives."""

from __future__ import annotations

from perdure.execution.definitions import AgentDefinition
from perdure.execution.kinds.agent import run_agent
from perdure.execution.log import Outcome, RunContext
from perdure.execution.model_retry import RetryPolicy


async def run_attempt(definition: AgentDefinition, run: RunContext, policy: RetryPolicy | None = None) -> Outcome:
    """The attempt's outcome; what it emitted last is in the log, where the executor writes it with the run's end."""
    outcome = await run_agent(definition, run, policy)
    await run.run_log.flush()
    return outcome
