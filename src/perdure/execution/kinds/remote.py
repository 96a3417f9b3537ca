"""Finds what executes a run of a stored agent that is reached by a URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from perdure.domain.errors import AgentNotFound
from perdure.domain.stored_run import Run
from perdure.execution.definitions import AgentDefinition, RemoteAgent
from perdure.execution.kinds.ag_ui_agent import run_ag_ui_agent
from perdure.execution.log import Outcome, RunContext
from perdure.services import remote_agents
from perdure.services.core import Core


async def remote_kind(core: Core, run: Run) -> Callable[[RunContext], Awaitable[Outcome]]:
    """What executes `run`, with the URL and headers of now. Raises AgentNotFound where the agent is no more."""
    stored = await remote_agents.find(core, run.project_id, run.served_name)
    if stored is None:
        raise AgentNotFound(f"The agent {run.served_name!r} has no URL any more.")
    return partial(run_ag_ui_agent, AgentDefinition(stored.name, RemoteAgent(stored.url, stored.headers), "ag_ui"))
