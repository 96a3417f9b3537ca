"""From a log to what the next attempt needs: recorded steps, answers, and what was streamed but stands for nothing yet.

`fold` is pure. `LogFold` does the same event by event, so that an executor knows at any time what it has left open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from ag_ui.core import BaseEvent, EventType

from perdure.domain.agent_message import PUBLISHED
from perdure.domain.event import STEP_RECORD
from perdure.domain.past import ERROR_STEP, INITIAL_STEP, MODEL_STEP, Answer, Past, StreamedCall, StreamedMessage

SUPERSEDED: Final = "perdure.message.superseded"
"""Name of the CUSTOM event that takes a message back: value {messageId, reason, toolCallIds?}."""

TURN_STARTED: Final = "perdure.turn.started"
"""Name of the CUSTOM event that begins the next turn of an interactive run: value {turn, message}."""

TURN_ENDED: Final = "perdure.turn.ended"
"""Name of the CUSTOM event that ends a turn after which the run goes on: value {turn, status, metadata?}."""

MAX_STEP_TEXT: Final = 48_000
"""Characters of a recorded step in one event. At five bytes each, as JSON text inside JSON, they stay below 256 KB."""

_CONTENT: Final = frozenset(
    {EventType.TEXT_MESSAGE_CONTENT, EventType.REASONING_MESSAGE_CONTENT, EventType.TOOL_CALL_ARGS}
)
"""The types that change nothing here, and that come once per token."""


class _Line(msgspec.Struct):
    """The members of an event that count here. Everything is `object`: a caller's events may be of any shape."""

    type: object = None
    messageId: object = None
    toolCallId: object = None
    toolCallName: object = None
    parentMessageId: object = None
    stepName: object = None
    content: object = None
    isError: object = None
    cancelled: object = None
    name: object = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    key: object = None
    text: object = None
    more: object = None


class _Call(msgspec.Struct):
    name: str
    parent: str
    open: bool = True
    settled: bool = False
    result: str | None = None


class _Message(msgspec.Struct):
    kind: Literal["text", "reasoning"]
    open: bool = True
    settled: bool = False


def encode_step(key: str, value: bytes) -> list[str]:
    """A recorded step as private log lines, in order; several where it is large, because an event has a size limit.

    `value` is JSON. All lines belong into one append. `LogFold` puts them together again.
    """
    if len(value) <= MAX_STEP_TEXT:
        return [msgspec.json.encode({"type": STEP_RECORD, "key": key, "value": msgspec.Raw(value)}).decode()]
    text = value.decode()
    parts = [text[start : start + MAX_STEP_TEXT] for start in range(0, len(text), MAX_STEP_TEXT)]
    last = len(parts) - 1
    return [
        msgspec.json.encode({"type": STEP_RECORD, "key": key, "text": part, "more": index < last}).decode()
        for index, part in enumerate(parts)
    ]


def fold(lines: Iterable[str | bytes]) -> Past:
    """What a run's log says, given its events' JSON texts, public and private ones, from the first on."""
    state = LogFold()
    for line in lines:
        state.add(line)
    return state.past()


class LogFold:
    """The running state of `fold`. Feed it a log from the beginning, or start it from a `Past`."""

    def __init__(self, past: Past | None = None) -> None:
        past = past or Past()
        self._decoder = msgspec.json.Decoder(_Line)
        self._steps = dict(past.steps)
        self._answers = dict(past.answers)
        self._messages = {m.id: _Message(m.kind, m.open, m.settled) for m in past.messages}
        self._calls = {c.id: _Call(c.name, c.parent, c.open, c.settled, c.result) for c in past.calls}
        self._stages = dict.fromkeys(past.open_stages)
        self._spans = dict.fromkeys(past.open_spans)
        self._ids = set(past.ids)
        self._generation = past.generation
        self._restarted = past.restarted
        self._published = dict(past.published)
        self._signals = list(past.signals)
        self._expected: set[str] = set()
        self._waiting: set[str] = set()
        self._parts: list[str] = []

    def past(self) -> Past:
        """The state as a value."""
        return Past(
            steps=MappingProxyType(dict(self._steps)),
            answers=MappingProxyType(dict(self._answers)),
            messages=tuple(StreamedMessage(key, m.kind, m.open, m.settled) for key, m in self._messages.items()),
            calls=tuple(_call(key, c) for key, c in self._calls.items()),
            open_stages=tuple(self._stages),
            open_spans=tuple(self._spans),
            ids=frozenset(self._ids),
            generation=self._generation,
            restarted=self._restarted,
            published=MappingProxyType(dict(self._published)),
            signals=tuple(self._signals),
        )

    def call(self, call_id: str) -> StreamedCall | None:
        """One tool call; None when it is unknown or superseded."""
        found = self._calls.get(call_id)
        return None if found is None else _call(call_id, found)

    def is_open(self, message_id: str) -> bool:
        """Whether a text or reasoning message has begun and not ended."""
        message = self._messages.get(message_id)
        return message is not None and message.open

    def unused(self, wanted: str) -> str:
        """`wanted`, or the like of it that no message or tool call of this log has."""
        if wanted not in self._ids:
            return wanted
        number = 2
        while f"{wanted}_{number}" in self._ids:
            number += 1
        return f"{wanted}_{number}"

    def reserve(self, ids: Iterable[str]) -> None:
        """Keeps new ids apart from these too (those of earlier turns of a conversation)."""
        self._ids.update(ids)

    def expect(self, call_ids: Iterable[str]) -> None:
        """A recorded step stands for calls of these ids, which are still to come."""
        self._expected.update(call_ids)

    def settle(self) -> None:
        """A recorded step now stands for everything streamed so far."""
        self._mark_settled(True)

    def observe(self, event: BaseEvent) -> None:
        """Takes in an event that is on its way into the log."""
        if event.type not in _CONTENT:
            self.add(event.model_dump_json(by_alias=True))

    def add(self, line: str | bytes) -> None:
        """Takes in one event of the log, as JSON text."""
        self._apply(self._decoder.decode(line))

    def _apply(self, line: _Line) -> None:
        handler = _HANDLERS.get(line.type) if isinstance(line.type, str) else None
        if handler is not None:
            handler(self, line)

    # --- messages ----------------------------------------------------------------------------------------------------

    def _text_start(self, line: _Line) -> None:
        self._start_message(line, "text")

    def _reasoning_start(self, line: _Line) -> None:
        self._start_message(line, "reasoning")

    def _start_message(self, line: _Line, kind: Literal["text", "reasoning"]) -> None:
        if isinstance(line.messageId, str):
            self._ids.add(line.messageId)
            self._messages[line.messageId] = _Message(kind)

    def _end_message(self, line: _Line) -> None:
        message = self._messages.get(line.messageId) if isinstance(line.messageId, str) else None
        if message is not None:
            message.open = False

    def _stage_started(self, line: _Line) -> None:
        if isinstance(line.stepName, str):
            self._stages[line.stepName] = None

    def _stage_finished(self, line: _Line) -> None:
        if isinstance(line.stepName, str):
            self._stages.pop(line.stepName, None)

    def _span_started(self, line: _Line) -> None:
        if isinstance(line.messageId, str):
            self._ids.add(line.messageId)
            self._spans[line.messageId] = None

    def _span_ended(self, line: _Line) -> None:
        if isinstance(line.messageId, str):
            self._spans.pop(line.messageId, None)

    # --- tool calls --------------------------------------------------------------------------------------------------

    def _start_call(self, line: _Line) -> None:
        if not isinstance(line.toolCallId, str):
            return
        parent = line.parentMessageId if isinstance(line.parentMessageId, str) else line.toolCallId
        name = line.toolCallName if isinstance(line.toolCallName, str) else ""
        self._ids.update((line.toolCallId, parent))
        self._calls[line.toolCallId] = _Call(name, parent, settled=line.toolCallId in self._expected)

    def _end_call(self, line: _Line) -> None:
        call = self._calls.get(line.toolCallId) if isinstance(line.toolCallId, str) else None
        if call is not None:
            call.open = False

    def _result(self, line: _Line) -> None:
        if not isinstance(line.toolCallId, str):
            return
        call_id, message_id = line.toolCallId, line.messageId
        if isinstance(message_id, str):
            self._ids.add(message_id)
        call = self._calls.get(call_id)
        if call is not None:
            call.result = message_id if isinstance(message_id, str) else call_id
        if call_id in self._waiting and line.cancelled is not True:
            self._waiting.discard(call_id)
            self._answers[call_id] = Answer(call_id, "result", line.content, line.isError is True)

    # --- what the server writes --------------------------------------------------------------------------------------

    def _custom(self, line: _Line) -> None:
        handler = _CUSTOM.get(line.name) if isinstance(line.name, str) else None
        if handler is None:
            return
        value = msgspec.json.decode(line.value)
        if isinstance(value, dict):
            handler(self, value)

    def _superseded(self, value: Mapping[str, object]) -> None:
        message_id, call_ids = value.get("messageId"), value.get("toolCallIds")
        if isinstance(message_id, str):
            self._messages.pop(message_id, None)
            for call in self._calls.values():
                if call.result == message_id:
                    call.result = None
        for call_id in call_ids if isinstance(call_ids, list) else ():
            if isinstance(call_id, str):
                self._calls.pop(call_id, None)

    def _run_waiting(self, value: Mapping[str, object]) -> None:
        calls = value.get("calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("toolCallId"), str):
                self._waiting.add(call["toolCallId"])

    def _approval(self, value: Mapping[str, object]) -> None:
        call_id = value.get("toolCallId")
        if isinstance(call_id, str):
            self._waiting.discard(call_id)
            self._answers[call_id] = Answer(call_id, "approval", value.get("value"))

    def _publish(self, value: Mapping[str, object]) -> None:
        name = value.get("name")
        if isinstance(name, str):
            self._published[name] = value.get("value")

    def _signal(self, value: Mapping[str, object]) -> None:
        name = value.get("name")
        if isinstance(name, str):
            self._signals.append((name, value.get("payload")))

    def _attempt(self, value: Mapping[str, object]) -> None:
        self._restarted = False

    def _restart(self, value: Mapping[str, object]) -> None:
        """A restart tries again what failed; a fresh one forgets all steps and takes back what they stood for."""
        self._restarted = True
        self._waiting.clear()
        if value.get("fresh") is True:
            self._steps.clear()
            self._answers.clear()
            self._signals.clear()
            self._generation += 1
            self._mark_settled(False)
        else:
            self._steps = {key: step for key, step in self._steps.items() if not key.startswith(ERROR_STEP)}

    def _turn_started(self, value: Mapping[str, object]) -> None:
        """A turn is a piece of work of its own: it repeats no step of the one before, and takes back nothing of it."""
        self._steps.clear()
        self._answers.clear()
        self._waiting.clear()
        self._generation += 1
        self._mark_settled(True)

    def _turn_ended(self, value: Mapping[str, object]) -> None:
        self._mark_settled(True)

    def _step(self, line: _Line) -> None:
        if not isinstance(line.key, str):
            return
        if isinstance(line.text, str):
            self._parts.append(line.text)
            if line.more is True:
                return
            recorded, self._parts = "".join(self._parts).encode(), []
        else:
            recorded = bytes(line.value)
        self._steps[line.key] = recorded
        if line.key.startswith(MODEL_STEP):
            self.settle()
        elif line.key == INITIAL_STEP:
            self.expect(msgspec.json.decode(recorded, type=list[str]))

    def _mark_settled(self, settled: bool) -> None:
        for message in self._messages.values():
            message.settled = settled
        for call in self._calls.values():
            call.settled = settled


def _call(call_id: str, call: _Call) -> StreamedCall:
    return StreamedCall(call_id, call.name, call.parent, call.open, call.settled, call.result)


_HANDLERS: Final[Mapping[str, Callable[[LogFold, _Line], None]]] = MappingProxyType(
    {
        "TEXT_MESSAGE_START": LogFold._text_start,
        "TEXT_MESSAGE_END": LogFold._end_message,
        "REASONING_MESSAGE_START": LogFold._reasoning_start,
        "REASONING_MESSAGE_END": LogFold._end_message,
        "REASONING_START": LogFold._span_started,
        "REASONING_END": LogFold._span_ended,
        "STEP_STARTED": LogFold._stage_started,
        "STEP_FINISHED": LogFold._stage_finished,
        "TOOL_CALL_START": LogFold._start_call,
        "TOOL_CALL_END": LogFold._end_call,
        "TOOL_CALL_RESULT": LogFold._result,
        "CUSTOM": LogFold._custom,
        STEP_RECORD: LogFold._step,
    }
)

_CUSTOM: Final[Mapping[str, Callable[[LogFold, Mapping[str, object]], None]]] = MappingProxyType(
    {
        SUPERSEDED: LogFold._superseded,
        "perdure.run.waiting": LogFold._run_waiting,
        "perdure.run.approval": LogFold._approval,
        "perdure.run.attempt": LogFold._attempt,
        "perdure.signal": LogFold._signal,
        "perdure.run.restarted": LogFold._restart,
        PUBLISHED: LogFold._publish,
        TURN_STARTED: LogFold._turn_started,
        TURN_ENDED: LogFold._turn_ended,
    }
)
