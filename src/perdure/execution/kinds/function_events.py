"""What a function agent yields, made fit for the log: checked, with ids that are new in it, nothing left open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    Event,
    ReasoningEndEvent,
    ReasoningMessageChunkEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    ReasoningStartEvent,
    StepFinishedEvent,
    StepStartedEvent,
    TextMessageChunkEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallChunkEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)
from pydantic import TypeAdapter, ValidationError

from perdure.domain.agui import RESERVED, TextContent, TextEnd, TextStart, content_id, pieces
from perdure.domain.fold import LogFold
from perdure.execution.log import RunFailed

INVALID_EVENT: Final = "INVALID_EVENT"

_EVENT: Final[TypeAdapter[BaseEvent]] = TypeAdapter(Event)

_Chunk = TextMessageChunkEvent | ReasoningMessageChunkEvent | ToolCallChunkEvent


def parse_event(item: object) -> BaseEvent:
    """An AG-UI event from what a function yielded: an object of `ag_ui.core`, or a JSON object. Raises RunFailed."""
    if isinstance(item, BaseEvent):
        return item
    if not isinstance(item, Mapping):
        raise RunFailed(f"The agent yielded {type(item).__name__}, which is no AG-UI event.", INVALID_EVENT)
    try:
        return _EVENT.validate_python(item)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in problem["loc"])
        raise RunFailed(f"The agent yielded no AG-UI event: {problem['msg']} ({place}).", INVALID_EVENT) from error


class FunctionEvents:
    """Checks the events of one attempt, in the order in which they are yielded.

    An id that the log has already (of a superseded message, say) is replaced wherever the function uses it.
    """

    def __init__(self, fold: LogFold) -> None:
        self._fold = fold
        self._names: dict[str, str] = {}
        self._promised: set[str] = set()
        self._chunk: tuple[type[BaseEvent], str] | None = None

    @property
    def names(self) -> Mapping[str, str]:
        """What the log calls the messages and calls, by the ids that were yielded."""
        return self._names

    def accept(self, event: BaseEvent) -> Iterator[BaseEvent]:
        """The events for the log. Each must have reached the fold before the next one is taken. Raises RunFailed."""
        if isinstance(event, _Chunk):
            yield from self._expand(event)
            return
        yield from self.end_chunk()
        yield from self._checked(event)

    def end_chunk(self) -> Iterator[BaseEvent]:
        """Ends the message or tool call that was begun by a chunk."""
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        kind, name = chunk
        if kind is ToolCallChunkEvent:
            yield from self._checked(ToolCallEndEvent(tool_call_id=name))
        elif kind is TextMessageChunkEvent:
            yield from self._checked(TextMessageEndEvent(message_id=name))
        else:
            yield from self._checked(ReasoningMessageEndEvent(message_id=name))

    def _checked(self, event: BaseEvent) -> Iterator[BaseEvent]:
        match event:
            case TextMessageStartEvent():
                return self._start_text(event)
            case TextMessageContentEvent():
                return self._text(event)
            case TextMessageEndEvent():
                return self._end_text(event)
            case ReasoningMessageStartEvent():
                return self._start_reasoning(event)
            case ReasoningMessageContentEvent():
                return self._reasoning(event)
            case ReasoningMessageEndEvent():
                return self._end_reasoning(event)
            case ToolCallArgsEvent():
                return self._arguments(event)
            case _:
                return self._checked_rest(event)

    def _checked_rest(self, event: BaseEvent) -> Iterator[BaseEvent]:
        match event:
            case ToolCallStartEvent():
                return self._start_call(event)
            case ToolCallEndEvent():
                return self._end_call(event)
            case ToolCallResultEvent():
                return self._result(event)
            case ReasoningStartEvent():
                return self._start_span(event)
            case ReasoningEndEvent():
                return self._end_span(event)
            case StepStartedEvent():
                return self._start_stage(event)
            case StepFinishedEvent():
                return self._end_stage(event)
            case CustomEvent():
                return self._custom(event)
            case _:
                return iter((event,))

    # --- ids ---------------------------------------------------------------------------------------------------------

    def _begin(self, wanted: str) -> str:
        if wanted in self._promised:
            self._promised.discard(wanted)
        else:
            self._names[wanted] = self._fold.unused(wanted)
        return self._names[wanted]

    def _promise(self, wanted: str) -> str:
        """The name of a message that a tool call belongs to, and that may begin later."""
        if wanted not in self._names:
            self._names[wanted] = self._fold.unused(wanted)
            self._promised.add(wanted)
        return self._names[wanted]

    def _name(self, wanted: str) -> str:
        return self._names.get(wanted, wanted)

    def _open_message(self, event: BaseEvent, wanted: str) -> str:
        name = self._name(wanted)
        if not self._fold.is_open(name):
            raise _invalid(event, f"no message {wanted!r} is open")
        return name

    def _open_call(self, event: BaseEvent, wanted: str) -> str:
        name = self._name(wanted)
        call = self._fold.call(name)
        if call is None or not call.open:
            raise _invalid(event, f"no tool call {wanted!r} is open")
        return name

    # --- messages ----------------------------------------------------------------------------------------------------

    def _start_text(self, event: TextMessageStartEvent) -> Iterator[BaseEvent]:
        name = self._new_message(event, event.message_id)
        yield TextStart(message_id=name, role=event.role or "assistant", name=event.name, content_id=content_id(name))

    def _text(self, event: TextMessageContentEvent) -> Iterator[BaseEvent]:
        name = self._open_message(event, event.message_id)
        for piece in pieces(event.delta):
            yield TextContent(message_id=name, delta=piece, content_id=content_id(name))

    def _end_text(self, event: TextMessageEndEvent) -> Iterator[BaseEvent]:
        name = self._open_message(event, event.message_id)
        yield TextEnd(message_id=name, content_id=content_id(name))

    def _start_reasoning(self, event: ReasoningMessageStartEvent) -> Iterator[BaseEvent]:
        yield event.model_copy(update={"message_id": self._new_message(event, event.message_id)})

    def _reasoning(self, event: ReasoningMessageContentEvent) -> Iterator[BaseEvent]:
        name = self._open_message(event, event.message_id)
        for piece in pieces(event.delta):
            yield ReasoningMessageContentEvent(message_id=name, delta=piece)

    def _end_reasoning(self, event: ReasoningMessageEndEvent) -> Iterator[BaseEvent]:
        yield event.model_copy(update={"message_id": self._open_message(event, event.message_id)})

    def _new_message(self, event: BaseEvent, wanted: str) -> str:
        if self._fold.is_open(self._name(wanted)):
            raise _invalid(event, f"message {wanted!r} is open already")
        return self._begin(wanted)

    def _start_span(self, event: ReasoningStartEvent) -> Iterator[BaseEvent]:
        yield event.model_copy(update={"message_id": self._promise(event.message_id)})

    def _end_span(self, event: ReasoningEndEvent) -> Iterator[BaseEvent]:
        name = self._name(event.message_id)
        if name not in self._fold.past().open_spans:
            raise _invalid(event, f"no reasoning {event.message_id!r} is open")
        yield event.model_copy(update={"message_id": name})

    # --- tool calls and steps ----------------------------------------------------------------------------------------

    def _start_call(self, event: ToolCallStartEvent) -> Iterator[BaseEvent]:
        known = self._fold.call(self._name(event.tool_call_id))
        if known is not None and known.open and event.tool_call_id in self._names:
            raise _invalid(event, f"tool call {event.tool_call_id!r} is open already")
        parent = None if event.parent_message_id is None else self._promise(event.parent_message_id)
        yield event.model_copy(update={"tool_call_id": self._begin(event.tool_call_id), "parent_message_id": parent})

    def _arguments(self, event: ToolCallArgsEvent) -> Iterator[BaseEvent]:
        name = self._open_call(event, event.tool_call_id)
        for piece in pieces(event.delta):
            yield ToolCallArgsEvent(tool_call_id=name, delta=piece)

    def _end_call(self, event: ToolCallEndEvent) -> Iterator[BaseEvent]:
        yield event.model_copy(update={"tool_call_id": self._open_call(event, event.tool_call_id)})

    def _result(self, event: ToolCallResultEvent) -> Iterator[BaseEvent]:
        name = self._name(event.tool_call_id)
        if self._fold.call(name) is None:
            raise _invalid(event, f"there is no tool call {event.tool_call_id!r}")
        yield event.model_copy(
            update={"tool_call_id": name, "message_id": self._fold.unused(event.message_id), "role": "tool"}
        )

    def _start_stage(self, event: StepStartedEvent) -> Iterator[BaseEvent]:
        if event.step_name in self._fold.past().open_stages:
            raise _invalid(event, f"step {event.step_name!r} is open already")
        yield event

    def _end_stage(self, event: StepFinishedEvent) -> Iterator[BaseEvent]:
        if event.step_name not in self._fold.past().open_stages:
            raise _invalid(event, f"no step {event.step_name!r} is open")
        yield event

    def _custom(self, event: CustomEvent) -> Iterator[BaseEvent]:
        if event.name.startswith(RESERVED):
            raise _invalid(event, f"names that begin with {RESERVED} are the server's")
        yield event

    # --- chunks ------------------------------------------------------------------------------------------------------

    def _expand(self, event: _Chunk) -> Iterator[BaseEvent]:
        """What a chunk stands for: its message or call begins with the first, and ends when something else comes."""
        wanted = event.tool_call_id if isinstance(event, ToolCallChunkEvent) else event.message_id
        if self._chunk is None or self._chunk[0] is not type(event) or wanted not in (None, self._chunk[1]):
            yield from self.end_chunk()
            if wanted is None:
                raise _invalid(event, "the first chunk needs an id")
            yield from self._checked(_chunk_start(event, wanted))
            self._chunk = (type(event), wanted)
        if event.delta:
            yield from self._checked(_chunk_content(event, self._chunk[1], event.delta))


def _chunk_start(event: _Chunk, name: str) -> BaseEvent:
    match event:
        case TextMessageChunkEvent():
            return TextMessageStartEvent(message_id=name, role=event.role, name=event.name)
        case ReasoningMessageChunkEvent():
            return ReasoningMessageStartEvent(message_id=name, role="reasoning")
        case ToolCallChunkEvent(tool_call_name=None):
            raise _invalid(event, "the first chunk of a tool call needs a name")
        case ToolCallChunkEvent(tool_call_name=str(call_name)):
            return ToolCallStartEvent(
                tool_call_id=name, tool_call_name=call_name, parent_message_id=event.parent_message_id
            )
        case _:
            raise _invalid(event, "it is of no known sort")


def _chunk_content(event: _Chunk, name: str, delta: str) -> BaseEvent:
    match event:
        case TextMessageChunkEvent():
            return TextMessageContentEvent(message_id=name, delta=delta)
        case ReasoningMessageChunkEvent():
            return ReasoningMessageContentEvent(message_id=name, delta=delta)
        case ToolCallChunkEvent():
            return ToolCallArgsEvent(tool_call_id=name, delta=delta)


def _invalid(event: BaseEvent, problem: str) -> RunFailed:
    return RunFailed(f"The agent yielded {event.type.value}, but {problem}.", INVALID_EVENT)
