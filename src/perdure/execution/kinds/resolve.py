"""Find what executes a run."""

from __future__ import annotations

from perdure.domain.errors import AgentNotFound
from perdure.domain.run import Kind
from perdure.domain.stored_run import Run
from perdure.execution.kinds.agent import run_agent
from perdure.execution.log import Outcome, RunContext, RunFailed
from perdure.execution.registry import AgentDefinition, App


class Resolver:
    """Resolves the runs of one App."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(self, run: Run) -> _AgentKind:
        """What executes `run`. Raises AgentNotFound, and RunFailed for a kind that has no executor."""
        if run.kind is not Kind.AGENT:
            raise RunFailed(f"Runs of kind {run.kind} have no executor.", "NOT_SUPPORTED")
        definition = self._app.agents.get(run.agent_id or "")
        if definition is None:
            raise AgentNotFound(f"This worker serves no agent {run.agent_id!r}.")
        return _AgentKind(definition)


class _AgentKind:
    def __init__(self, definition: AgentDefinition) -> None:
        self._definition = definition

    async def __call__(self, context: RunContext) -> Outcome:
        return await run_agent(self._definition, context)
