"""Runs one attempt of a run of kind task."""

from __future__ import annotations

from perdure.execution.definitions import TaskDefinition
from perdure.execution.log import Outcome, RunContext, RunFailed


async def run_task(definition: TaskDefinition, run: RunContext) -> Outcome:
    """One attempt. Raises RunFailed."""
    raise RunFailed(f"Runs of kind task have no executor: {definition.name}.", "NOT_SUPPORTED")
