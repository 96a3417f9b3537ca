"""Runs one attempt of a workflow: its function from the first line on, with what is recorded read from the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json, to_json

from perdure.execution.definitions import WorkflowDefinition
from perdure.execution.inputs import input_shape
from perdure.execution.kinds.workflow_calls import Calls
from perdure.execution.kinds.workflow_context import WorkflowContext
from perdure.execution.log import Completed, Outcome, RunContext


async def run_workflow(definition: WorkflowDefinition, run: RunContext) -> Outcome:
    """One attempt. It ends when the function returns, or when all its branches wait and nothing else is left to do.

    Raises RunFailed, Nondeterminism where the code does something else than what is recorded, or what the function
    raises.
    """
    calls = Calls(run, run.links)
    arguments = input_shape(definition.function).arguments(run.input)
    await calls.emitter.end_open()
    main = calls.branches.start(definition.function(WorkflowContext(calls), **arguments))
    try:
        parked = await calls.waits.idle(main)
        if parked:
            return calls.waits.waiting()
        output = main.result()
    finally:
        await _stop(calls, [main, *calls.branches.tasks()])
    calls.emitter.check()
    calls.journal.check_end()
    await calls.emitter.end_open()
    return Completed(from_json(to_json(output, fallback=str)))


async def _stop(calls: Calls, tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End what the workflow has left running."""
    calls.waits.closing = True
    left = [task for task in set(tasks) if not task.done()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
