"""From Pydantic AI's stream of a model response to AG-UI events.

One response has one message id. Its first text is that message; further texts, and each stretch of reasoning, are
messages of their own whose ids begin with it. Everything that starts is ended before something else of its sort starts,
and nothing is left open at the end, which is more than AG-UI 1.0 asks for.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import msgspec
from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallStartEvent,
)
from pydantic_ai.messages import (
    FilePart,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    NativeToolReturnPart,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
    ToolReturnPart,
)

from perdure.domain.agui import (
    TextContent,
    TextEnd,
    TextStart,
    ToolResult,
    clip,
    content_id,
    pieces,
    result_message_id,
)

MAX_FILE_BYTES: Final = 120_000
"""Bytes of a file that are sent along in its event. Of a larger one the event says type and size."""

FILE: Final = "perdure.message.file"


def tool_result(message_id: str, part: ToolReturnPart | NativeToolReturnPart, call_id: str | None = None) -> ToolResult:
    """The event for what a tool returned, or for why it did not."""
    return ToolResult(
        message_id=message_id,
        tool_call_id=call_id or part.tool_call_id,
        content=clip(part.model_response_str(wrap_if_error=False)),
        role="tool",
        is_error=None if part.outcome == "success" else True,
    )


@dataclass(slots=True)
class _Block:
    kind: Literal["text", "reasoning"]
    index: int
    message_id: str


@dataclass(slots=True)
class _Call:
    call_id: str
    original_id: str
    open: bool = True
    sent: list[str] = field(default_factory=list)


class ResponseTranslator:
    """Translates the stream of one model response.

    `message_id` must be new in the log; `unused` makes a tool call id new (some providers count them per response, and
    answers are matched to calls by id), which `renamed` then writes into the response as well.
    """

    def __init__(self, message_id: str, unused: Callable[[str], str]) -> None:
        self._message_id = message_id
        self._unused = unused
        self._block: _Block | None = None
        self._calls: dict[int, _Call] = {}
        self._blocks = 0

    def translate(self, event: ModelResponseStreamEvent) -> list[BaseEvent]:
        """The events for one event of the stream; most often one, sometimes none."""
        match event:
            case PartDeltaEvent(index=index, delta=TextPartDelta(content_delta=delta)):
                return self._text(index, delta)
            case PartDeltaEvent(index=index, delta=ThinkingPartDelta(content_delta=delta)):
                return self._reasoning(index, delta or "")
            case PartDeltaEvent(index=index, delta=ToolCallPartDelta(args_delta=delta)):
                return self._arguments(index, _arguments_text(delta))
            case PartStartEvent(index=index, part=part):
                return self._start(index, part)
            case PartEndEvent(index=index, part=ToolCallPart() | NativeToolCallPart() as part):
                return self._end_call(index, part)
            case PartEndEvent():
                return self._close_block()
            case _:
                return []

    def finish(self) -> list[BaseEvent]:
        """The events that end what is still open when the stream is over."""
        events = self._close_block()
        for call in self._calls.values():
            if call.open:
                call.open = False
                events.append(ToolCallEndEvent(tool_call_id=call.call_id))
        return events

    def renamed(self, response: ModelResponse) -> ModelResponse:
        """`response` with the tool call ids that the events have."""
        new_ids: dict[str, list[str]] = {}
        for call in self._calls.values():
            new_ids.setdefault(call.original_id, []).append(call.call_id)
        if all(ids == [original] for original, ids in new_ids.items()):
            return response
        last = {original: ids[-1] for original, ids in new_ids.items()}
        parts: list[ModelResponsePart] = []
        for part in response.parts:
            if isinstance(part, ToolCallPart | NativeToolCallPart) and (ids := new_ids.get(part.tool_call_id)):
                parts.append(replace(part, tool_call_id=ids.pop(0)))
            elif isinstance(part, NativeToolReturnPart):
                parts.append(replace(part, tool_call_id=last.get(part.tool_call_id, part.tool_call_id)))
            else:
                parts.append(part)
        return replace(response, parts=parts)

    def _start(self, index: int, part: ModelResponsePart) -> list[BaseEvent]:
        match part:
            case TextPart(content=text):
                return self._text(index, text)
            case ThinkingPart(content=text):
                return self._reasoning(index, text)
            case ToolCallPart() | NativeToolCallPart():
                return self._start_call(index, part)
            case NativeToolReturnPart():
                return [*self._close_block(), *self._native_result(part)]
            case FilePart():
                return [*self._close_block(), _file(self._message_id, part)]
            case _:
                return self._close_block()

    # --- text and reasoning ------------------------------------------------------------------------------------------

    def _text(self, index: int, delta: str) -> list[BaseEvent]:
        if not delta:
            return []
        events = self._open_block("text", index)
        assert self._block is not None
        name = self._block.message_id
        return [
            *events,
            *(TextContent(message_id=name, delta=piece, content_id=content_id(name)) for piece in pieces(delta)),
        ]

    def _reasoning(self, index: int, delta: str) -> list[BaseEvent]:
        if not delta:
            return []
        events = self._open_block("reasoning", index)
        assert self._block is not None
        name = self._block.message_id
        return [*events, *(ReasoningMessageContentEvent(message_id=name, delta=piece) for piece in pieces(delta))]

    def _open_block(self, kind: Literal["text", "reasoning"], index: int) -> list[BaseEvent]:
        if self._block is not None and (self._block.kind, self._block.index) == (kind, index):
            return []
        events = self._close_block()
        name = self._message_id if kind == "text" and self._blocks == 0 and not self._calls else self._next_name(kind)
        self._blocks += kind == "text"
        self._block = _Block(kind, index, name)
        if kind == "text":
            return [*events, TextStart(message_id=name, role="assistant", content_id=content_id(name))]
        return [*events, ReasoningMessageStartEvent(message_id=name, role="reasoning")]

    def _next_name(self, kind: str) -> str:
        return self._unused(f"{self._message_id}.{kind}")

    def _close_block(self) -> list[BaseEvent]:
        block, self._block = self._block, None
        if block is None:
            return []
        if block.kind == "text":
            return [TextEnd(message_id=block.message_id, content_id=content_id(block.message_id))]
        return [ReasoningMessageEndEvent(message_id=block.message_id)]

    # --- tool calls --------------------------------------------------------------------------------------------------

    def _start_call(self, index: int, part: ToolCallPart | NativeToolCallPart) -> list[BaseEvent]:
        arguments = _arguments_text(part.args)
        if index in self._calls:
            return self._rest_of_arguments(index, arguments)
        call_id = self._unused(part.tool_call_id)
        self._calls[index] = _Call(call_id, part.tool_call_id)
        start = ToolCallStartEvent(
            tool_call_id=call_id, tool_call_name=part.tool_name, parent_message_id=self._message_id
        )
        return [*self._close_block(), start, *self._arguments(index, arguments)]

    def _arguments(self, index: int, delta: str) -> list[BaseEvent]:
        call = self._calls.get(index)
        if call is None or not call.open:
            return []
        call.sent.append(delta)
        return [ToolCallArgsEvent(tool_call_id=call.call_id, delta=piece) for piece in pieces(delta)]

    def _rest_of_arguments(self, index: int, arguments: str) -> list[BaseEvent]:
        """What is missing of `arguments`, where a provider sends a call again as a whole."""
        sent = "".join(self._calls[index].sent)
        return self._arguments(index, arguments.removeprefix(sent)) if arguments.startswith(sent) else []

    def _end_call(self, index: int, part: ToolCallPart | NativeToolCallPart) -> list[BaseEvent]:
        """Ends a call whose arguments are complete. Where calls are streamed side by side, the end comes too early."""
        call = self._calls.get(index)
        if call is None or not call.open:
            return []
        events = self._rest_of_arguments(index, _arguments_text(part.args))
        if not _is_json("".join(call.sent)):
            return events
        call.open = False
        return [*events, ToolCallEndEvent(tool_call_id=call.call_id)]

    def _native_result(self, part: NativeToolReturnPart) -> list[BaseEvent]:
        for call in reversed(self._calls.values()):
            if call.original_id == part.tool_call_id:
                end: list[BaseEvent] = [ToolCallEndEvent(tool_call_id=call.call_id)] if call.open else []
                call.open = False
                name = self._unused(result_message_id(self._message_id, call.call_id))
                return [*end, tool_result(name, part, call.call_id)]
        return []


def response_events(response: ModelResponse) -> Iterator[ModelResponseStreamEvent]:
    """The stream of a response that came as a whole, from a model that does not stream."""
    return (PartStartEvent(index=index, part=part) for index, part in enumerate(response.parts))


def _arguments_text(arguments: object) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return msgspec.json.encode(arguments).decode()


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def _file(message_id: str, part: FilePart) -> BaseEvent:
    content = part.content
    value: dict[str, object] = {
        "messageId": message_id,
        "mediaType": content.media_type,
        "size": len(content.data),
    }
    if len(content.data) <= MAX_FILE_BYTES:
        value["data"] = base64.b64encode(content.data).decode()
    return CustomEvent(name=FILE, value=value)
