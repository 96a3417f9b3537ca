"""One run's projections, event by event: its text for the search, its calls for analytics.

Pure: a state and events in, a state and changes out. The state is small, bounded and can be written down as JSON, so
that whoever goes on needs nothing but it and the next event; in which portions the log came makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

import msgspec

from perdure.domain.event import STEP_RECORD, StoredEvents
from perdure.domain.fold import SUPERSEDED
from perdure.domain.past import ERROR_STEP, MODEL_STEP
from perdure.domain.run_calls import Calls, Changes, Finished, Meter, Response
from perdure.domain.run_text import Texts

_TOOL_STEP: Final = "tool:"
_NO_ERROR: Final = frozenset({"return", "external", "question", "approval"})


class State(msgspec.Struct):
    """Everything that the next event needs to be understood. `parts`: a recorded step that is not whole yet."""

    texts: Texts = msgspec.field(default_factory=Texts)
    calls: Calls = msgspec.field(default_factory=Calls)
    first_response_ts: int | None = None
    parts: list[str] = []


class _Line(msgspec.Struct):
    """The members of an event that count here. Everything is `object`: a caller's events may be of any shape."""

    messageId: object = None
    toolCallId: object = None
    toolCallName: object = None
    delta: object = None
    content: object = None
    result: object = None
    isError: object = None
    cancelled: object = None
    name: object = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    key: object = None
    text: object = None
    more: object = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")


class _ToolStep(msgspec.Struct):
    kind: object = None
    type: object = None


_LINE: Final = msgspec.json.Decoder(_Line)


class Projector:
    """Reads one run's log on from a state. Before `since` (ms) it is another run's, which it forked."""

    def __init__(self, state: State, since: int) -> None:
        self.state = state
        self.changes = Changes()
        self._since = since

    def add(self, row: StoredEvents) -> None:
        """Take in the next row of the log."""
        if _HANDLED.isdisjoint(row.types):
            return
        for place, (kind, line) in enumerate(zip(row.types, row.lines(), strict=True)):
            handler = _HANDLERS.get(kind)
            if handler is not None:
                # A caller's event may hold what no reader takes (a number too large, say): it says nothing here.
                with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
                    handler(self, _LINE.decode(line), row.first_ts + place, row.first_event_id + place)

    def calls(self) -> tuple[dict[str, object], ...]:
        """The calls that were made or are known better than before, ready to be written."""
        made = (call for call in self.changes.made.values() if call.at >= self._since)
        return tuple(msgspec.structs.asdict(call) for call in made)

    # --- text ---------------------------------------------------------------------------------------------------------

    def _said(self, line: _Line, ts: int, event_id: int) -> None:
        if isinstance(line.delta, str) and line.delta:
            if self.state.first_response_ts is None and ts >= self._since:
                self.state.first_response_ts = ts
            self.state.texts.say(_name(line.messageId), line.delta)

    # --- tool calls ---------------------------------------------------------------------------------------------------

    def _call_started(self, line: _Line, ts: int, event_id: int) -> None:
        if isinstance(line.toolCallId, str):
            self.state.calls.started(line.toolCallId, _name(line.toolCallName) or "", ts, event_id)

    def _call_argument(self, line: _Line, ts: int, event_id: int) -> None:
        if isinstance(line.delta, str):
            self.state.calls.argument(_name(line.toolCallId), line.delta)

    def _call_chunk(self, line: _Line, ts: int, event_id: int) -> None:
        if isinstance(line.toolCallId, str) and line.toolCallId not in self.state.calls.open:
            self._call_started(line, ts, event_id)
        self._call_argument(line, ts, event_id)

    def _call_whole(self, line: _Line, ts: int, event_id: int) -> None:
        self.state.calls.goes(_name(line.toolCallId) or "", ts)

    def _call_result(self, line: _Line, ts: int, event_id: int) -> None:
        if not isinstance(line.toolCallId, str):
            return
        output = line.result if line.content is None else line.content
        text = output if isinstance(output, str) else msgspec.json.encode(output).decode()
        message_id = _name(line.messageId) or ""
        self.state.texts.returned(message_id, line.toolCallId, text)
        error = "cancelled" if line.cancelled is True else "tool_error" if line.isError is True else None
        self.state.calls.returned(line.toolCallId, message_id, ts, text, error, self.changes)

    # --- what the server writes ---------------------------------------------------------------------------------------

    def _custom(self, line: _Line, ts: int, event_id: int) -> None:
        handler = _CUSTOM.get(line.name) if isinstance(line.name, str) else None
        if handler is None:
            return
        value = msgspec.json.decode(line.value)
        if isinstance(value, dict):
            handler(self, value, ts)

    def _superseded(self, value: Mapping[str, object], ts: int) -> None:
        named = value.get("toolCallIds")
        call_ids = [call_id for call_id in named if isinstance(call_id, str)] if isinstance(named, list) else []
        message_id = _name(value.get("messageId"))
        self.state.texts.take_back(message_id, call_ids)
        self.state.calls.take_back(message_id, call_ids, self.changes)

    def _approved(self, value: Mapping[str, object], ts: int) -> None:
        self.state.calls.goes(_name(value.get("toolCallId")) or "", ts)

    def _signal(self, value: Mapping[str, object], ts: int) -> None:
        payload = value.get("payload")
        message = payload.get("message") if isinstance(payload, dict) else None
        if isinstance(message, str):
            self.state.texts.tell(message)
            self.state.calls.asked()

    def _step(self, line: _Line, ts: int, event_id: int) -> None:
        if not isinstance(line.key, str):
            return
        if isinstance(line.text, str):
            self.state.parts.append(line.text)
            if line.more is True:
                return
            recorded, self.state.parts = "".join(self.state.parts).encode(), []
        else:
            recorded = bytes(line.value)
        key = line.key.removeprefix(ERROR_STEP)
        if key.startswith(MODEL_STEP):
            self._model_step(recorded, ts, event_id)
        elif key.startswith(_TOOL_STEP):
            self._tool_step(key.removeprefix(_TOOL_STEP), recorded)

    def _model_step(self, recorded: bytes, ts: int, event_id: int) -> None:
        """`[response]` as it was once recorded, `[response, meter]`, or `[null, meter]` where no request succeeded."""
        try:
            first, *rest = msgspec.json.decode(recorded, type=list[msgspec.Raw])
            response = msgspec.json.decode(first, type=Response | None)
            meter = msgspec.json.decode(rest[0], type=Meter) if rest else Meter()
        except (msgspec.DecodeError, ValueError):
            return  # not a response of ours
        if response is None:
            self.state.calls.gave_up(meter, event_id, self.changes)
        else:
            self.state.calls.responded(response, meter, ts, event_id, self.changes)

    def _tool_step(self, call_id: str, recorded: bytes) -> None:
        try:
            step = msgspec.json.decode(recorded, type=_ToolStep)
        except (msgspec.DecodeError, ValueError):
            return
        if step.kind not in _NO_ERROR:
            self.state.calls.explained(call_id, _name(step.type) or _name(step.kind) or "", self.changes)

    def _finished(self, line: _Line, ts: int, event_id: int) -> None:
        try:
            said = msgspec.json.decode(line.metadata, type=Finished | None)
        except msgspec.ValidationError:
            said = None
        self.state.calls.finished(said, ts, event_id, self.changes)


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


_HANDLERS: Final[Mapping[str, Callable[[Projector, _Line, int, int], None]]] = MappingProxyType(
    {
        "TEXT_MESSAGE_CONTENT": Projector._said,
        "TEXT_MESSAGE_CHUNK": Projector._said,
        "TOOL_CALL_START": Projector._call_started,
        "TOOL_CALL_ARGS": Projector._call_argument,
        "TOOL_CALL_CHUNK": Projector._call_chunk,
        "TOOL_CALL_END": Projector._call_whole,
        "TOOL_CALL_RESULT": Projector._call_result,
        "CUSTOM": Projector._custom,
        "RUN_FINISHED": Projector._finished,
        "RUN_ERROR": Projector._finished,
        STEP_RECORD: Projector._step,
    }
)
_HANDLED: Final = frozenset(_HANDLERS)
_CUSTOM: Final[Mapping[str, Callable[[Projector, Mapping[str, object], int], None]]] = MappingProxyType(
    {
        SUPERSEDED: Projector._superseded,
        "perdure.run.approval": Projector._approved,
        "perdure.signal": Projector._signal,
    }
)
