"""From Pydantic AI's stream of a model response to AG-UI events, and the events that close or take back what is open.

One response has one message id. Its first text is that message; further texts, and each stretch of reasoning, are messages
of their own whose ids begin with it. Everything that starts is ended before something else of its sort starts, and nothing
is left open at the end, which is more than AG-UI 1.0 asks for.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import msgspec
from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
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

from perdure.execution.fold import SUPERSEDED
from perdure.execution.log import Past, StreamedCall, StreamedMessage

MAX_DELTA: Final = 32_768
"""Characters of a delta in one event: even if each is escaped, the event stays below 256 KB."""

MAX_RESULT_BYTES: Final = 200_000
"""Bytes of a tool result's text in its event. The model gets all of it; the event has a size limit."""

MAX_FILE_BYTES: Final = 120_000
"""Bytes of a file that are sent along in its event. Of a larger one the event says type and size."""

FILE: Final = "perdure.message.file"


class TextStart(TextMessageStartEvent):
    """TEXT_MESSAGE_START with the `contentId` that some clients need beside the message id (veryfront.md 2.5)."""

    content_id: str


class TextContent(TextMessageContentEvent):
    """TEXT_MESSAGE_CONTENT with `contentId`."""

    content_id: str


class TextEnd(TextMessageEndEvent):
    """TEXT_MESSAGE_END with `contentId`."""

    content_id: str


class ToolResult(ToolCallResultEvent):
    """TOOL_CALL_RESULT that can say that the call failed, or that it was cancelled and has no result."""

    is_error: bool | None = None
    cancelled: bool | None = None


def content_id(message_id: str) -> str:
    """The `contentId` of a text message."""
    return f"{message_id}:text"


def result_message_id(parent: str, call_id: str) -> str:
    """The message id of a tool call's result (veryfront.md 2.4)."""
    return f"{parent}:tool:{call_id}"


def tool_result(message_id: str, part: ToolReturnPart | NativeToolReturnPart, call_id: str | None = None) -> ToolResult:
    """The event for what a tool returned, or for why it did not."""
    return ToolResult(
        message_id=message_id,
        tool_call_id=call_id or part.tool_call_id,
        content=clip(part.model_response_str(wrap_if_error=False)),
        role="tool",
        is_error=None if part.outcome == "success" else True,
    )


def clip(text: str) -> str:
    """`text`, or as much of its beginning as an event has room for and a note of how long it is."""
    if len(text) * 6 <= MAX_RESULT_BYTES:
        return text
    kept = len(text)
    while (size := len(msgspec.json.encode(text[:kept]))) > MAX_RESULT_BYTES:
        kept = min(kept - 1, kept * MAX_RESULT_BYTES // size)
    return text if kept == len(text) else f"{text[:kept]}\n… ({len(text)} characters)"


def pieces(delta: str) -> Iterator[str]:
    """A delta in pieces that fit into an event each; nothing for an empty one."""
    return (delta[start : start + MAX_DELTA] for start in range(0, len(delta), MAX_DELTA))


# --- what a crash, a retry or a cancel leaves open -------------------------------------------------------------------


def end_events(messages: Iterable[StreamedMessage], calls: Iterable[StreamedCall]) -> list[BaseEvent]:
    """The END events that are missing."""
    events: list[BaseEvent] = []
    for message in messages:
        if message.open and message.kind == "text":
            events.append(TextEnd(message_id=message.id, content_id=content_id(message.id)))
        elif message.open:
            events.append(ReasoningMessageEndEvent(message_id=message.id))
    events += [ToolCallEndEvent(tool_call_id=call.id) for call in calls if call.open]
    return events


def closing_events(past: Past, reason: str = "cancelled") -> list[BaseEvent]:
    """The events that close what a run leaves open when it ends early, so that its conversation stays usable.

    Open messages and tool calls are ended; a call without a result gets one that says `reason`.
    """
    return [*end_events(past.messages, past.calls), *_no_results(past.calls, reason)]


def supersede_events(
    messages: Iterable[StreamedMessage], calls: Iterable[StreamedCall], reason: str
) -> list[BaseEvent]:
    """The events that take back what a lost attempt streamed: it is closed, then named in CUSTOM events.

    One for each message, which also names the tool calls that belong to it. Settled messages and calls are left alone.
    """
    gone = [message for message in messages if not message.settled]
    lost = [call for call in calls if not call.settled]
    children: dict[str, list[str]] = {message.id: [] for message in gone}
    for call in lost:
        children.setdefault(call.parent, []).append(call.id)
    events = [*end_events(gone, lost), *_no_results(lost, reason)]
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


# --- a model response ------------------------------------------------------------------------------------------------


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
                name = result_message_id(self._message_id, call.call_id)
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
