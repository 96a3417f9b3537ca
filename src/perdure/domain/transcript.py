"""From a run's public events to what its message says: the parts of veryfront.md 1.5.

Text, reasoning, tool calls and results, files, sources and data, in the order in which they began. What CUSTOM
`perdure.message.superseded` takes back is left out. Events of callers may be of any shape: what cannot be read as
a part says nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, assert_never

import msgspec

from perdure.domain.custom_parts import custom_part, state_of
from perdure.domain.errors import InvalidRequest
from perdure.domain.fold import SUPERSEDED
from perdure.domain.json_text import decode
from perdure.domain.message import arguments_of
from perdure.domain.part import Part, ToolCallState


class _Line(msgspec.Struct):
    """The members of an event that count here."""

    type: object = None
    messageId: object = None
    contentId: object = None
    toolCallId: object = None
    toolCallName: object = None
    delta: object = None
    content: object = None
    result: object = None
    isError: object = None
    name: object = None
    value: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(slots=True, eq=False)
class _Said:
    kind: Literal["text", "reasoning"]
    message_id: str
    deltas: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Called:
    id: str
    name: str
    deltas: list[str] = field(default_factory=list)
    ended: bool = False


@dataclass(slots=True, eq=False)
class _Returned:
    call_id: str
    message_id: str
    output: object
    is_error: bool


@dataclass(slots=True, eq=False)
class _Shown:
    part: Part
    state: tuple[str, str] | None


_Entry = _Said | _Called | _Returned | _Shown


def parts_of(lines: Iterable[str]) -> tuple[Part, ...]:
    """What a log says, given the JSON texts of its public events from the first on."""
    transcript = Transcript()
    for line in lines:
        transcript.add(line)
    return transcript.parts()


class Transcript:
    """The running state of `parts_of`."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Line)
        self._entries: list[_Entry] = []
        self._said: dict[tuple[str, str, str], _Said] = {}
        self._last: dict[str, _Said] = {}
        self._calls: dict[str, _Called] = {}
        self._last_call: _Called | None = None
        self._results: dict[str, _Returned] = {}
        self._states: dict[tuple[str, str], _Shown] = {}

    def add(self, line: str) -> None:
        """Take in the next event, as JSON text."""
        event = self._decoder.decode(line)
        handler = _HANDLERS.get(event.type) if isinstance(event.type, str) else None
        if handler is not None:
            handler(self, event)

    def parts(self) -> tuple[Part, ...]:
        """What has been said so far; a text or reasoning without a word is none."""
        made = (self._part(entry) for entry in self._entries)
        return tuple(part for part in made if part.get("text") != "")

    def _part(self, entry: _Entry) -> Part:
        match entry:
            case _Said():
                return {"type": entry.kind, "text": "".join(entry.deltas)}
            case _Called():
                given = arguments_of("".join(entry.deltas))
                return {"type": "tool_call", "id": entry.id, "name": entry.name, **given, "state": self._state(entry)}
            case _Returned():
                return {
                    "type": "tool_result",
                    "tool_call_id": entry.call_id,
                    "output": entry.output,
                    "is_error": entry.is_error,
                }
            case _Shown():
                return entry.part
            case _:
                assert_never(entry)

    def _state(self, call: _Called) -> str:
        result = self._results.get(call.id)
        if result is not None:
            return ToolCallState.ERROR if result.is_error else ToolCallState.COMPLETED
        return ToolCallState.PENDING if call.ended else ToolCallState.STREAMING

    # --- text and reasoning ------------------------------------------------------------------------------------------

    def _text_start(self, event: _Line) -> None:
        self._begin("text", event)

    def _text_content(self, event: _Line) -> None:
        self._say("text", event)

    def _reasoning_start(self, event: _Line) -> None:
        self._begin("reasoning", event)

    def _reasoning_content(self, event: _Line) -> None:
        self._say("reasoning", event)

    def _begin(self, kind: Literal["text", "reasoning"], event: _Line) -> _Said:
        said = _Said(kind, _text(event.messageId))
        self._entries.append(said)
        self._said[_name(kind, event)] = self._last[kind] = said
        return said

    def _say(self, kind: Literal["text", "reasoning"], event: _Line) -> None:
        """A chunk may leave out whose it is: then it goes on with the last one. One without a START begins."""
        said = self._last.get(kind) if event.messageId is None else self._said.get(_name(kind, event))
        if isinstance(event.delta, str):
            (said or self._begin(kind, event)).deltas.append(event.delta)

    # --- tools -------------------------------------------------------------------------------------------------------

    def _call_start(self, event: _Line) -> None:
        if isinstance(event.toolCallId, str):
            call = _Called(event.toolCallId, _text(event.toolCallName))
            earlier = self._calls.get(call.id)
            if earlier is None:
                self._entries.append(call)
            else:
                self._entries[self._entries.index(earlier)] = call
            self._calls[call.id] = self._last_call = call

    def _call_args(self, event: _Line) -> None:
        call = self._last_call if event.toolCallId is None else self._calls.get(_text(event.toolCallId))
        if call is not None and isinstance(event.delta, str):
            call.deltas.append(event.delta)

    def _call_chunk(self, event: _Line) -> None:
        if isinstance(event.toolCallId, str) and event.toolCallId not in self._calls:
            self._call_start(event)
        self._call_args(event)

    def _call_end(self, event: _Line) -> None:
        call = self._calls.get(_text(event.toolCallId))
        if call is not None:
            call.ended = True

    def _result(self, event: _Line) -> None:
        if not isinstance(event.toolCallId, str):
            return
        output = event.result if event.content is None else event.content
        result = _Returned(event.toolCallId, _text(event.messageId), _output(output), event.isError is True)
        earlier = self._results.get(result.call_id)
        if earlier is None:
            self._entries.append(result)
        else:
            self._entries[self._entries.index(earlier)] = result
        self._results[result.call_id] = result

    # --- CUSTOM: what is shown, and what is taken back ----------------------------------------------------------------

    def _custom(self, event: _Line) -> None:
        if not isinstance(event.name, str):
            return
        try:
            value = decode(bytes(event.value))
        except InvalidRequest:
            return
        if event.name != SUPERSEDED:
            self._show(event.name, value)
        elif isinstance(value, dict):
            call_ids = value.get("toolCallIds")
            self._take_back(value.get("messageId"), call_ids if isinstance(call_ids, list) else [])

    def _show(self, name: str, value: object) -> None:
        part, state = custom_part(name, value), state_of(name, value)
        if part is None:
            return
        earlier = None if state is None else self._states.get(state)
        if earlier is not None:
            earlier.part = part
            return
        shown = _Shown(part, state)
        self._entries.append(shown)
        if state is not None:
            self._states[state] = shown

    def _take_back(self, message_id: object, call_ids: list[object]) -> None:
        self._entries = [entry for entry in self._entries if not _belongs(entry, message_id, call_ids)]
        self._said = {name: said for name, said in self._said.items() if said.message_id != message_id}
        self._last = {kind: said for kind, said in self._last.items() if said.message_id != message_id}
        self._calls = {key: call for key, call in self._calls.items() if key not in call_ids}
        self._results = {
            key: result for key, result in self._results.items() if not _belongs(result, message_id, call_ids)
        }
        self._states = {key: shown for key, shown in self._states.items() if key[1] not in call_ids}


def _belongs(entry: _Entry, message_id: object, call_ids: list[object]) -> bool:
    match entry:
        case _Said():
            return entry.message_id == message_id
        case _Called():
            return entry.id in call_ids
        case _Returned():
            return entry.call_id in call_ids or entry.message_id == message_id
        case _Shown():
            return entry.state is not None and entry.state[1] in call_ids
        case _:
            assert_never(entry)


def _name(kind: str, event: _Line) -> tuple[str, str, str]:
    """A message may say several texts, told apart by their `contentId`."""
    return kind, _text(event.messageId), _text(event.contentId)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _output(content: object) -> object:
    """What a tool returned. An event carries it as text; an object or array in it is meant as such."""
    if not isinstance(content, str) or not content.lstrip().startswith(("{", "[")):
        return content
    try:
        return decode(content)
    except InvalidRequest:
        return content


_HANDLERS: Final[Mapping[str, Callable[[Transcript, _Line], None]]] = MappingProxyType(
    {
        "TEXT_MESSAGE_START": Transcript._text_start,
        "TEXT_MESSAGE_CONTENT": Transcript._text_content,
        "TEXT_MESSAGE_CHUNK": Transcript._text_content,
        "REASONING_MESSAGE_START": Transcript._reasoning_start,
        "REASONING_MESSAGE_CONTENT": Transcript._reasoning_content,
        "REASONING_MESSAGE_CHUNK": Transcript._reasoning_content,
        "TOOL_CALL_START": Transcript._call_start,
        "TOOL_CALL_ARGS": Transcript._call_args,
        "TOOL_CALL_CHUNK": Transcript._call_chunk,
        "TOOL_CALL_END": Transcript._call_end,
        "TOOL_CALL_RESULT": Transcript._result,
        "CUSTOM": Transcript._custom,
    }
)
