"""Tool calls that a run's creation asks for, executed before its model is asked for the first time (vertesia.md 2.1).

They stand in the history as calls of the model that have no result yet, so the library executes them as it does any
others: recorded, once, and with their results before the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from ag_ui.core import BaseEvent, ToolCallArgsEvent, ToolCallEndEvent, ToolCallStartEvent
from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, ValidatedToolArgs, WrapToolExecuteHandler
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    SkipToolExecution,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)
from pydantic_ai.messages import (
    AgentStreamEvent,
    FunctionToolResultEvent,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_json

from perdure.domain.agui import pieces
from perdure.domain.past import INITIAL_STEP
from perdure.domain.run_profile import InitialCall
from perdure.execution.emitter import Emitter
from perdure.execution.history import History
from perdure.execution.log import RunFailed

_SIGNALS: Final = (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    SkipToolExecution,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)


class InitialCalls(AbstractCapability[Any]):
    """The initial calls of one attempt."""

    id: str | None = "perdure_initial_calls"

    def __init__(self, calls: Sequence[InitialCall]) -> None:
        self._asked = tuple(calls)
        self._calls: dict[str, InitialCall] = {}

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """It belongs to one attempt, so no agent spec can name it."""
        return None

    def get_ordering(self) -> CapabilityOrdering:
        """Next to the tool: what is recorded of a failure is what the model sees of it."""
        return CapabilityOrdering(position="innermost")

    async def begin(self, emitter: Emitter, history: History) -> History:
        """The history that asks for the calls; they are told to clients once."""
        if not self._asked:
            return history
        ids = await self._ids(emitter)
        self._calls = dict(zip(ids, self._asked, strict=True))
        emitter.fold.expect(ids)
        if emitter.fold.call(ids[0]) is None:
            await emitter.emit(*self._events(emitter.fold.unused(f"{emitter.run.run_id}-initial")))
        asked = [] if history.prompt is None else [ModelRequest(parts=[UserPromptPart(history.prompt)])]
        parts = [ToolCallPart(call.tool, dict(call.input), call_id) for call_id, call in self._calls.items()]
        return History([*history.messages, *asked, ModelResponse(parts=parts)], None, history.call_ids)

    async def _ids(self, emitter: Emitter) -> list[str]:
        """Those that the caller gave or, where the log has had one, the like of it."""
        recorded = emitter.run.run_log.step(INITIAL_STEP)
        if recorded is not None:
            return msgspec.json.decode(recorded, type=list[str])
        ids: list[str] = []
        for call in self._asked:
            ids.append(emitter.fold.unused(call.id))
            emitter.fold.reserve(ids)
        await emitter.record(INITIAL_STEP, msgspec.json.encode(ids))
        return ids

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """A call that does not stop the run tells the model of its error."""
        asked = self._calls.get(call.tool_call_id)
        try:
            return await handler(args)
        except _SIGNALS:
            raise
        except Exception as error:
            if asked is None or asked.stops:
                raise
            raise ToolFailed(f"{type(error).__name__}: {error}") from error

    def check(self, event: AgentStreamEvent) -> None:
        """Raise RunFailed for the failure of a call that stops the run."""
        if not isinstance(event, FunctionToolResultEvent):
            return
        asked = self._calls.get(event.part.tool_call_id)
        succeeded = event.part.outcome == "success"
        if asked is not None and asked.stops and not succeeded:
            raise RunFailed(f"The initial call of {asked.tool} failed: {event.part.content}", "INITIAL_CALL_FAILED")

    def _events(self, parent: str) -> list[BaseEvent]:
        events: list[BaseEvent] = []
        for call_id, call in self._calls.items():
            given = to_json(dict(call.input)).decode()
            events += [
                ToolCallStartEvent(tool_call_id=call_id, tool_call_name=call.tool, parent_message_id=parent),
                *(ToolCallArgsEvent(tool_call_id=call_id, delta=piece) for piece in pieces(given)),
                ToolCallEndEvent(tool_call_id=call_id),
            ]
        return events
