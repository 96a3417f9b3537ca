"""Runs one attempt of a function agent: an async generator function that yields AG-UI events.

An attempt that is lost starts over; what it had streamed is taken back. Work that must not be repeated goes into
`ctx.step(key, function)`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from inspect import isasyncgen
from typing import cast

from ag_ui.core import BaseEvent, RunErrorEvent, RunFinishedEvent, RunFinishedSuccessOutcome, RunStartedEvent
from pydantic_core import from_json, to_json

from perdure.execution.definitions import AgentDefinition, FunctionAgent
from perdure.execution.emitter import Emitter
from perdure.execution.kinds.function_events import INVALID_EVENT, FunctionEvents, parse_event
from perdure.execution.log import Completed, Outcome, RunContext, RunFailed


async def run_function_agent(definition: AgentDefinition, run: RunContext) -> Outcome:
    """One attempt of a run of a function agent.

    RUN_STARTED is the server's own and swallowed; RUN_FINISHED ends the run with its `result`; RUN_ERROR fails it.
    Raises RunFailed, or what the function raises.
    """
    emitter = Emitter(run)
    await emitter.begin()
    function = cast("FunctionAgent", definition.target)
    async with AsyncExitStack() as stack:
        yielded = function(run)
        if isasyncgen(yielded):
            stack.push_async_callback(yielded.aclose)
        output = await _consume(yielded, emitter)
    emitter.check()
    await emitter.end_open()
    return Completed(from_json(to_json(output, fallback=str)))


async def _consume(yielded: AsyncIterator[BaseEvent | Mapping[str, object]], emitter: Emitter) -> object:
    """Emits what comes, and gives back the result that the function ends with."""
    events = FunctionEvents(emitter.fold)
    async for item in yielded:
        event = parse_event(item)
        match event:
            case RunStartedEvent():
                pass
            case RunFinishedEvent():
                if event.outcome is not None and not _is_plain(event):
                    raise RunFailed("A function agent cannot wait for answers: it can only end.", INVALID_EVENT)
                return event.result
            case RunErrorEvent():
                raise RunFailed(event.message, event.code)
            case _:
                for accepted in events.accept(event):
                    await emitter.emit(accepted)
    for accepted in events.end_chunk():
        await emitter.emit(accepted)
    return None


def _is_plain(event: RunFinishedEvent) -> bool:
    return isinstance(event.outcome, RunFinishedSuccessOutcome) and not event.outcome.pending_tool_call_ids
