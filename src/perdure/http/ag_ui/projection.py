"""From events of our log to the events of one turn, in an order that AG-UI's clients accept.

RUN_STARTED comes first and once, RUN_FINISHED or RUN_ERROR last; what is open is ended before; nothing goes on that was
not begun. Members that AG-UI does not name are left out, and so are events that are none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
from ag_ui.core import BaseEvent, Event
from pydantic import TypeAdapter, ValidationError

from perdure.domain.event import CUSTOM, RUN_FINISHED, RUN_STARTED, TERMINAL_TYPES, TOOL_CALL_RESULT
from perdure.domain.fold import SUPERSEDED
from perdure.domain.run import PendingCall, WaitingReason

PROTOCOL_VERSION: Final = "1.0"
WAITING: Final = "perdure.run.waiting"

Made = dict[str, Any]

_EVENT: Final[TypeAdapter[BaseEvent]] = TypeAdapter(Event)

_BRACKETS: Final = (
    ("TEXT_MESSAGE_START", ("TEXT_MESSAGE_CONTENT",), "TEXT_MESSAGE_END", "messageId"),
    ("REASONING_MESSAGE_START", ("REASONING_MESSAGE_CONTENT",), "REASONING_MESSAGE_END", "messageId"),
    ("REASONING_START", (), "REASONING_END", "messageId"),
    ("TOOL_CALL_START", ("TOOL_CALL_ARGS",), "TOOL_CALL_END", "toolCallId"),
    ("STEP_STARTED", (), "STEP_FINISHED", "stepName"),
)
_STARTS: Final = MappingProxyType({start: (end, name) for start, _, end, name in _BRACKETS})
_INSIDE: Final = MappingProxyType({kind: (end, name) for _, kinds, end, name in _BRACKETS for kind in kinds})
_ENDS: Final = MappingProxyType({end: name for _, _, end, name in _BRACKETS})

_NULLABLE: Final = frozenset({"value", "snapshot"})
"""Members of which null says something; elsewhere AG-UI leaves out what has no value."""

_APPROVAL: Final = MappingProxyType(
    {
        "type": "object",
        "properties": {
            "approved": {"type": "boolean"},
            "editedArgs": {"type": "object"},
            "reason": {"type": "string"},
        },
        "required": ["approved"],
    }
)
"""What a decision about a tool call looks like, in the words that AG-UI recommends."""


class Projection:
    """One turn's events. `answered`: the tool calls whose results the client has in its own messages."""

    def __init__(self, thread_id: str, run_id: str, answered: frozenset[str]) -> None:
        self._names = {"threadId": thread_id, "runId": run_id}
        self._answered = answered
        self._open: dict[tuple[str, str], str] = {}
        self._interrupts: dict[str, Made] = {}
        self._held: Made | None = None
        self.calls: tuple[PendingCall, ...] = ()
        self.superseded = False

    @property
    def ended(self) -> Made | None:
        """The terminal event of the log, where nothing has come after it."""
        return self._held

    def started(self) -> Made:
        """The event that a turn begins with."""
        return {"type": RUN_STARTED, **self._names, "protocolVersion": PROTOCOL_VERSION}

    def add(self, kind: str, line: str) -> Made | None:
        """The event for the client, if it gets one. A terminal event is held: a restart may follow it."""
        event = _read(kind, line)
        if event is None or kind == RUN_STARTED:
            return None
        self._held = event if kind in TERMINAL_TYPES else None
        if self._held is not None or not self._fits(kind, event):
            return None
        if kind == CUSTOM:
            self._custom(event)
        return event

    def waits(self, event: Made) -> bool:
        """Whether the event says that the run waits."""
        return bool(event["type"] == CUSTOM and event["name"] == WAITING)

    def finished(self, result: str | None) -> list[Made]:
        """The events that end the turn as the log has ended; `result` is the run's output as JSON."""
        event = self._held or {}
        if event.get("type") == RUN_FINISHED:
            output = {} if result is None else {"result": msgspec.json.decode(result)}
            return [*self._ends(), {"type": RUN_FINISHED, **self._names, **output, **_usage(event.get("metadata"))}]
        if event.get("code") == "CANCELLED":
            return [*self._ends(), {"type": RUN_FINISHED, **self._names, "outcome": {"type": "cancelled"}}]
        return [event]

    def paused(self, calls: Sequence[PendingCall], reason: WaitingReason) -> list[Made]:
        """The events that end the turn because the run waits: for results of `calls`, or for decisions about them."""
        asked = [call for call in calls if call.reason is not WaitingReason.TOOL]
        if not asked and calls:
            outcome: Made = {"type": "success", "pendingToolCallIds": [call.id for call in calls]}
        elif calls:
            outcome = {"type": "interrupt", "interrupts": [self._interrupt(call) for call in asked]}
        else:
            outcome = {"type": "interrupt", "interrupts": [{"id": reason.value, "reason": reason.value}]}
        return [*self._ends(), {"type": RUN_FINISHED, **self._names, "outcome": outcome}]

    def left(self) -> list[Made]:
        """The events that end a turn after which the client has gone on in another."""
        calls = self.calls
        if calls:
            return self.paused(calls, calls[0].reason)
        return [*self._ends(), {"type": RUN_FINISHED, **self._names}]

    def _fits(self, kind: str, event: Made) -> bool:
        """Whether it can come now; keeps what is open."""
        if kind in _STARTS:
            end, name = _STARTS[kind]
            if (end, event[name]) in self._open:
                return False
            self._open[end, event[name]] = name
            return True
        if kind in _INSIDE:
            end, name = _INSIDE[kind]
            return (end, event[name]) in self._open
        if kind in _ENDS:
            return self._open.pop((kind, event[_ENDS[kind]]), None) is not None
        if kind == TOOL_CALL_RESULT:
            # The result that came from the client: it has its own message of it.
            return not (event["toolCallId"] in self._answered and event["messageId"] == f"result:{event['toolCallId']}")
        return True

    def _custom(self, event: Made) -> None:
        value = event.get("value")
        if event["name"] == SUPERSEDED:
            self.superseded = True
        elif event["name"] == WAITING and isinstance(value, dict):
            self.calls = tuple(
                PendingCall(call["toolCallId"], call["toolCallName"], WaitingReason(call["reason"]))
                for call in value.get("calls", ())
            )
        elif event["name"] == "perdure.agent.interrupt" and isinstance(value, dict):
            self._interrupts[str(value.get("id"))] = value

    def _interrupt(self, call: PendingCall) -> Made:
        told = self._interrupts.get(call.id)
        if told is not None:
            return told
        return {
            "id": call.id,
            "reason": "tool_call",
            "toolCallId": call.id,
            "message": f"May {call.name} be called?",
            "responseSchema": dict(_APPROVAL),
        }

    def _ends(self) -> list[Made]:
        opened, self._open = self._open, {}
        return [{"type": end, name: value} for (end, value), name in reversed(opened.items())]


def _read(kind: str, line: str) -> Made | None:
    """An event with AG-UI's own members; None for one that is none of AG-UI's."""
    if kind not in _MEMBERS:
        return None
    try:
        _EVENT.validate_json(line)
    except ValidationError:
        return None
    event: Made = msgspec.json.decode(line)
    known = _MEMBERS[kind]
    return {name: value for name, value in event.items() if name in known and (value is not None or name in _NULLABLE)}


def _members() -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for event in BaseEvent.__subclasses__():
        kind = event.model_fields["type"].default
        if event.__module__ == BaseEvent.__module__ and kind is not None:
            found[str(kind.value)] = frozenset(
                field.alias or name for name, field in event.model_fields.items() if name != "raw_event"
            )
    return MappingProxyType(found)


_MEMBERS: Final = _members()


def _usage(metadata: object) -> Made:
    """What the run's metadata says of the model's tokens, as AG-UI counts them."""
    if not isinstance(metadata, dict):
        return {}
    members = ("provider", "model", "inputTokens", "outputTokens", "cachedInputTokens", "reasoningTokens")
    usage = {name: metadata[name] for name in members if metadata.get(name) is not None}
    return {"usage": [usage]} if usage else {}
