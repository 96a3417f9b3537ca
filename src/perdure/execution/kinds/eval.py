"""Runs one attempt of a run of kind eval."""

from __future__ import annotations

from perdure.execution.definitions import EvalDefinition
from perdure.execution.log import Outcome, RunContext, RunFailed


async def run_eval(definition: EvalDefinition, run: RunContext) -> Outcome:
    """One attempt. Raises RunFailed."""
    raise RunFailed(f"Runs of kind eval have no executor: {definition.name}.", "NOT_SUPPORTED")
