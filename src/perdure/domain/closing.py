"""The events that close what is open in a log, and those that take back what stands for nothing.

After a cancel or a failure the conversation must stay usable; after a lost attempt its partial output must not be mixed
with the next attempt's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    ReasoningEndEvent,
    ReasoningMessageEndEvent,
    StepFinishedEvent,
    ToolCallEndEvent,
)

from perdure.domain.agui import TextEnd, ToolResult, content_id, result_message_id
from perdure.domain.fold import SUPERSEDED
from perdure.domain.past import Past, StreamedCall, StreamedMessage


def end_events(past: Past) -> list[BaseEvent]:
    """The END events that are missing."""
    return [
        *(_end(message) for message in past.messages if message.open),
        *(ReasoningEndEvent(message_id=span) for span in past.open_spans),
        *(ToolCallEndEvent(tool_call_id=call.id) for call in past.calls if call.open),
        *(StepFinishedEvent(step_name=stage) for stage in past.open_stages),
    ]


def closing_events(past: Past, reason: str = "cancelled") -> list[BaseEvent]:
    """The events that close what a run leaves open when it ends early, so that its conversation stays usable.

    Everything open is ended; a tool call without a result gets one that says `reason`.
    """
    return [*end_events(past), *_no_results(past.calls, reason)]


def supersede_events(past: Past, reason: str) -> list[BaseEvent]:
    """The events that take back what a lost attempt streamed: it is closed, then named in CUSTOM events.

    One for each message, which also names the tool calls that belong to it. What is settled is left alone.
    """
    gone = [message for message in past.messages if not message.settled]
    lost = [call for call in past.calls if not call.settled]
    children: dict[str, list[str]] = {message.id: [] for message in gone}
    for call in lost:
        children.setdefault(call.parent, []).append(call.id)
    events = [*end_events(replace(past, messages=tuple(gone), calls=tuple(lost))), *_no_results(lost, reason)]
    return [*events, *(superseded(message_id, reason, call_ids) for message_id, call_ids in children.items())]


def superseded(message_id: str, reason: str, call_ids: list[str] | None = None) -> BaseEvent:
    """The event that takes back one message, and the tool calls that belong to it."""
    value: dict[str, object] = {"messageId": message_id, "reason": reason}
    return CustomEvent(name=SUPERSEDED, value={**value, "toolCallIds": call_ids} if call_ids else value)


def _no_results(calls: Iterable[StreamedCall], reason: str) -> list[BaseEvent]:
    return [
        ToolResult(
            message_id=result_message_id(call.parent, call.id),
            tool_call_id=call.id,
            content=reason,
            role="tool",
            is_error=True,
            cancelled=True,
        )
        for call in calls
        if call.result is None
    ]


def _end(message: StreamedMessage) -> BaseEvent:
    if message.kind == "text":
        return TextEnd(message_id=message.id, content_id=content_id(message.id))
    return ReasoningMessageEndEvent(message_id=message.id)
