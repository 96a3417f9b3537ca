"""Runs one attempt of a run of kind workflow."""

from __future__ import annotations

from perdure.execution.definitions import WorkflowDefinition
from perdure.execution.log import Outcome, RunContext, RunFailed


async def run_workflow(definition: WorkflowDefinition, run: RunContext) -> Outcome:
    """One attempt. Raises RunFailed."""
    raise RunFailed(f"Runs of kind workflow have no executor: {definition.name}.", "NOT_SUPPORTED")
