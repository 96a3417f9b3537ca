"""What a Pydantic AI tool may ask of the run that it is called in. All take the tool's own `RunContext`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ag_ui.core import BaseEvent

from perdure.domain import agui
from perdure.execution.log import RunContext
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from pydantic_ai import RunContext as ToolContext

    from perdure.execution import durability
    from perdure.execution.durability import Durability
else:
    # Workflows and tasks import what stands beside these functions, and need no Pydantic AI.
    durability = Lazy("perdure.execution.durability")


def current_run(ctx: ToolContext[Any]) -> RunContext:
    """The run: its id, attempt, input and messages. Raises LookupError outside of one."""
    return _durability(ctx).emitter.run


def idempotency_key(ctx: ToolContext[Any]) -> str:
    """A key for this tool call: the same when it has to run again because its result was not recorded.

    Raises LookupError outside of a run, or outside of a tool call.
    """
    if ctx.tool_call_id is None:
        raise LookupError("An idempotency key belongs to a tool call; this is none.")
    return _durability(ctx).idempotency_key(ctx.tool_call_id)


async def publish(ctx: ToolContext[Any], *events: BaseEvent) -> None:
    """Sends state (STATE_SNAPSHOT, STATE_DELTA), activity or CUSTOM events to the client while the tool runs.

    They become durable with the tool's result at the latest. For events at its end, return them as
    `ToolReturn(…, metadata=[…])`. Raises LookupError outside of a run and TypeError for other events.
    """
    await _durability(ctx).emitter.emit(*(agui.client_event(event) for event in events))


def _durability(ctx: ToolContext[Any]) -> Durability:
    capability = ctx.capabilities.get(durability.CAPABILITY_ID)
    if not isinstance(capability, durability.Durability):
        raise LookupError("This is not executed by Perdure.")
    return capability
