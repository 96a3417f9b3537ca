"""From a run's log to its messages (vertesia.md section 3): a pure function, event by event.

A message has the time of its event, so the same log always gives the same messages with the same times, and no two
share one. Where an event stands for several messages, the lifecycle has left the milliseconds after it free
(`Transition.room_ms`). Chunks of a text that is being written are live only; its final message takes their place.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec

from perdure.domain.agent_state import INPUT_REQUEST_EVENT
from perdure.domain.event import StoredEvents
from perdure.domain.fold import SUPERSEDED, TURN_ENDED
from perdure.domain.run import USER_INPUT
from perdure.domain.transitions import INTERRUPTED
from perdure.http.agents.message import CompactMessage, Frame, MessageType
from perdure.http.agents.message_details import (
    arguments_said,
    asked_for_input,
    file_details,
    open_call,
    said_by_user,
    token_usage,
    tool_details,
)

MAX_OBSERVATION: Final = 4_000
"""Characters of a tool's result that its message repeats; the log has all of it."""


class _Event(msgspec.Struct):
    """The members that count here; a caller's events may be of any shape."""

    type: object = None
    messageId: object = None
    toolCallId: object = None
    toolCallName: object = None
    parentMessageId: object = None
    delta: object = None
    content: object = None
    isError: object = None
    code: object = None
    message: object = None
    role: object = None
    metadata: object = None
    name: object = None
    value: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(slots=True)
class _Text:
    type: MessageType
    deltas: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Tool:
    name: str
    group: str
    began: int
    deltas: list[str] = field(default_factory=list)
    told: bool = False


class Messages:
    """The running state: feed it the rows of a log from the first on.

    `taken_back` names the texts and tool calls that the last row took back: they were said for nothing.
    """

    def __init__(self) -> None:
        self.taken_back: set[str] = set()
        self._decoder = msgspec.json.Decoder(_Event)
        self._texts: dict[str, _Text] = {}
        self._tools: dict[str, _Tool] = {}
        self._files: dict[str, dict[str, Any]] = {}
        self._chunked: str | None = None
        self._idle = False
        self._reason = ""
        self._stop: Mapping[str, Any] | None = None
        self._frames: list[Frame] = []
        self._outside = False
        self._event_id = 0
        self._ts = 0

    def add(self, row: StoredEvents) -> list[Frame]:
        """The messages of a row, in order. Private events say nothing."""
        self._frames, self.taken_back = [], set()
        if not row.public:
            return []
        self._outside = row.first_external_sequence is not None
        for offset, (kind, line) in enumerate(zip(row.types, row.lines(), strict=True)):
            self._event_id, self._ts = row.first_event_id + offset, row.first_ts + offset
            handler = _HANDLERS.get(kind)
            if handler is not None:
                event = self._decoder.decode(line)
                if self._chunked is not None and event.messageId != self._chunked:
                    self._end_chunked()
                handler(self, event)
        return self._frames

    # --- what is said ------------------------------------------------------------------------------------------------

    def _say(
        self,
        kind: int,
        text: str = "",
        details: dict[str, Any] | None = None,
        *,
        after_ms: int = 0,
        subjects: tuple[str, ...] = (),
    ) -> None:
        message = CompactMessage(t=int(kind), m=text, d=details or None, ts=self._ts + after_ms)
        self._frames.append(Frame(self._event_id, message, subjects))

    def _text_start(self, event: _Event) -> None:
        if isinstance(event.messageId, str) and event.role != "user":
            self._texts[event.messageId] = _Text(MessageType.ANSWER)

    def _reasoning_start(self, event: _Event) -> None:
        if isinstance(event.messageId, str):
            self._texts[event.messageId] = _Text(MessageType.THOUGHT)

    def _content(self, event: _Event) -> None:
        text = self._texts.get(_word(event.messageId))
        if text is not None and isinstance(event.delta, str):
            text.deltas.append(event.delta)
            self._chunk(_word(event.messageId), text, event.delta)

    def _chunk(self, name: str, text: _Text, delta: str) -> None:
        """Its time is before that of its text's message: for one without an end see `_end_chunked`."""
        ts = self._ts - (name == self._chunked)
        message = CompactMessage(
            t=int(MessageType.STREAMING_CHUNK), m=delta, d=_streamed(name, text.type), ts=ts, i=name
        )
        self._frames.append(Frame(self._event_id, message, (name,)))

    def _text_chunk(self, event: _Event) -> None:
        """A text without a start and an end of its own: it ends when something else is said."""
        self._without_frame(event, MessageType.ANSWER)

    def _reasoning_chunk(self, event: _Event) -> None:
        self._without_frame(event, MessageType.THOUGHT)

    def _without_frame(self, event: _Event, kind: MessageType) -> None:
        name = _word(event.messageId) or self._chunked
        if name:
            self._texts.setdefault(name, _Text(kind))
            self._chunked = name
            self._content(_Event(messageId=name, delta=event.delta))

    def _end_chunked(self) -> None:
        """Its message has the time just before the event that ends it, which is its last chunk's or later."""
        name, self._chunked = self._chunked, None
        if name is not None:
            self._end_text(name, before_ms=1)

    def _text_end(self, event: _Event) -> None:
        self._end_text(_word(event.messageId))

    def _end_text(self, name: str, *, before_ms: int = 0) -> None:
        text = self._texts.pop(name, None)
        if text is None or not text.deltas:
            return
        message = CompactMessage(
            t=int(text.type), m="".join(text.deltas), d=_streamed(name, text.type), ts=self._ts - before_ms, i=name
        )
        self._frames.append(Frame(self._event_id, message, (name,)))

    # --- tools -------------------------------------------------------------------------------------------------------

    def _call_start(self, event: _Event) -> None:
        call_id = _word(event.toolCallId)
        if call_id:
            group = _word(event.parentMessageId) or call_id
            self._tools[call_id] = _Tool(_word(event.toolCallName), group, self._ts)

    def _call_args(self, event: _Event) -> None:
        tool = self._tools.get(_word(event.toolCallId))
        if tool is not None and isinstance(event.delta, str):
            tool.deltas.append(event.delta)

    def _call_end(self, event: _Event) -> None:
        call_id = _word(event.toolCallId)
        tool = self._tools.get(call_id)
        if tool is not None and not tool.told:
            tool.told = True
            details = tool_details(call_id, tool.name, tool.group, "started", "running")
            self._say(
                MessageType.THOUGHT, tool.name, {**details, "input": arguments_said(tool.deltas)}, subjects=(call_id,)
            )

    def _result(self, event: _Event) -> None:
        call_id = _word(event.toolCallId)
        tool = self._tools.pop(call_id, None)
        if not call_id:
            return
        failed = event.isError is True
        name, group = (tool.name, tool.group) if tool else ("", call_id)
        details = tool_details(
            call_id, name, group, "failed" if failed else "completed", "error" if failed else "completed"
        )
        observation = event.content if isinstance(event.content, str) else ""
        more: dict[str, Any] = {"observation": observation[:MAX_OBSERVATION]} if observation else {}
        if tool is not None:
            more["duration_ms"] = self._ts - tool.began
        self._say(MessageType.THOUGHT, name, {**details, **more}, subjects=(call_id, _word(event.messageId)))

    # --- the run -----------------------------------------------------------------------------------------------------

    def _finished(self, event: _Event) -> None:
        details = {"token_usage": usage} if (usage := token_usage(event.metadata)) else None
        self._idle = False
        self._say(MessageType.COMPLETE, "The run is completed.", details)

    def _failed(self, event: _Event) -> None:
        text = event.message if isinstance(event.message, str) else "The run failed."
        self._idle = False
        if event.code == "CANCELLED":
            self._say(MessageType.TERMINATED, self._reason or text)
            return
        self._say(MessageType.ERROR, text, {"code": event.code} if isinstance(event.code, str) else None)
        self._say(MessageType.TERMINATED, text, after_ms=1)

    def _custom(self, event: _Event) -> None:
        handler = _CUSTOM.get(event.name) if isinstance(event.name, str) else None
        if handler is not None and not (self._outside and event.name in _SERVER_ONLY):
            value = msgspec.json.decode(event.value)
            handler(self, value if isinstance(value, dict) else {})

    def _superseded(self, value: dict[str, Any]) -> None:
        call_ids = value.get("toolCallIds")
        names = (value.get("messageId"), *(call_ids if isinstance(call_ids, list) else ()))
        gone = {name for name in names if isinstance(name, str)}
        self.taken_back |= gone
        self._frames = [frame for frame in self._frames if gone.isdisjoint(frame.subjects)]
        self._texts = {name: text for name, text in self._texts.items() if name not in gone}
        self._tools = {name: tool for name, tool in self._tools.items() if name not in gone}

    def _signal(self, value: dict[str, Any]) -> None:
        payload = value.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        name = value.get("name")
        if name == USER_INPUT:
            self._idle = False
            self._say(MessageType.QUESTION, *said_by_user(payload))
        elif name in ("FileUploaded", "FileRemoved", "FileBatchClosed"):
            self._say(MessageType.SYSTEM, *file_details(self._files, str(name), payload, self._ts))

    def _interrupted(self, value: dict[str, Any]) -> None:
        payload = value.get("payload")
        self._stop = payload if isinstance(payload, dict) else {}
        if self._idle:
            self._wait_for_user()

    def _turn_ended(self, value: dict[str, Any]) -> None:
        if value.get("status") != "stopped":
            self._stop = None

    def _waiting(self, value: dict[str, Any]) -> None:
        if value.get("reason") == "input":
            self._idle = True
            self._wait_for_user()
            return
        calls = value.get("calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            self._say(MessageType.REQUEST_INPUT, *open_call(call), after_ms=place)

    def _wait_for_user(self) -> None:
        stop, self._stop = self._stop, None
        if stop is None:
            self._say(MessageType.IDLE)
            return
        ack = stop.get("client_message_id")
        details = {"status_reason": "user_stopped", "display_role": "user_stopped", **({"ack": ack} if ack else {})}
        said = stop.get("message")
        self._say(MessageType.IDLE, f"Stopped. {said}" if isinstance(said, str) and said else "Stopped.", details)

    def _cancelling(self, value: dict[str, Any]) -> None:
        """A worker that ends the run does not know why."""
        reason = value.get("reason")
        self._reason = reason if isinstance(reason, str) else ""

    def _goes_on(self, value: dict[str, Any]) -> None:
        self._idle = False
        self._reason = ""
        self._stop = None
        self._say(MessageType.RESTARTING, "The run goes on.")

    def _asked(self, value: dict[str, Any]) -> None:
        asked = value.get("inputRequest")
        if value.get("action") == "created" and isinstance(asked, dict):
            self._say(MessageType.REQUEST_INPUT, *asked_for_input(asked))

    def _told(self, value: dict[str, Any]) -> None:
        """A message that the agent or a client has written itself."""
        kind, text, details = value.get("type"), value.get("message"), value.get("details")
        stream = value.get("workstreamId")
        message = CompactMessage(
            t=kind if isinstance(kind, int) and 0 <= kind <= max(MessageType) else int(MessageType.UPDATE),
            m=text if isinstance(text, str) else "",
            w=stream if isinstance(stream, str) and stream != "main" else None,
            d=details if isinstance(details, dict) and details else None,
            ts=self._ts,
        )
        self._frames.append(Frame(self._event_id, message))

    def _published(self, value: dict[str, Any]) -> None:
        plan = value.get("value")
        if value.get("name") == "AgentPlan" and isinstance(plan, dict):
            comment = plan.get("comment")
            self._say(MessageType.PLAN, comment if isinstance(comment, str) else "", plan)

    def _progress(self, value: dict[str, Any]) -> None:
        text = value.get("text")
        details = {name: value[name] for name in ("done", "total") if value.get(name) is not None}
        self._say(MessageType.UPDATE, text if isinstance(text, str) else "", {"event_class": "progress", **details})

    def _artifact(self, value: dict[str, Any]) -> None:
        path = _word(value.get("path"))
        self._say(MessageType.UPDATE, path, {"event_class": "artifact_updated", **value})


async def messages_of(rows: AsyncIterable[StoredEvents]) -> list[CompactMessage]:
    """The messages of a whole log that last, oldest first, without what was taken back."""
    state = Messages()
    frames: list[Frame] = []
    async for row in rows:
        new = state.add(row)
        if state.taken_back:
            frames = [frame for frame in frames if state.taken_back.isdisjoint(frame.subjects)]
        frames += [frame for frame in new if not frame.live_only]
    return [frame.message for frame in frames]


def _streamed(name: str, kind: MessageType) -> dict[str, Any]:
    role = {"display_role": "thinking"} if kind is MessageType.THOUGHT else {}
    return {"streamed": True, "activity_id": name, "streaming_id": name, "streaming_id_scope": "workflow_run", **role}


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


_HANDLERS: Final[Mapping[str, Callable[[Messages, _Event], None]]] = MappingProxyType(
    {
        "TEXT_MESSAGE_START": Messages._text_start,
        "TEXT_MESSAGE_CONTENT": Messages._content,
        "TEXT_MESSAGE_CHUNK": Messages._text_chunk,
        "TEXT_MESSAGE_END": Messages._text_end,
        "REASONING_MESSAGE_START": Messages._reasoning_start,
        "REASONING_MESSAGE_CONTENT": Messages._content,
        "REASONING_MESSAGE_CHUNK": Messages._reasoning_chunk,
        "REASONING_MESSAGE_END": Messages._text_end,
        "TOOL_CALL_START": Messages._call_start,
        "TOOL_CALL_ARGS": Messages._call_args,
        "TOOL_CALL_END": Messages._call_end,
        "TOOL_CALL_RESULT": Messages._result,
        "RUN_FINISHED": Messages._finished,
        "RUN_ERROR": Messages._failed,
        "CUSTOM": Messages._custom,
    }
)

_CUSTOM: Final[Mapping[str, Callable[[Messages, dict[str, Any]], None]]] = MappingProxyType(
    {
        SUPERSEDED: Messages._superseded,
        INTERRUPTED: Messages._interrupted,
        TURN_ENDED: Messages._turn_ended,
        INPUT_REQUEST_EVENT: Messages._asked,
        "perdure.signal": Messages._signal,
        "perdure.run.waiting": Messages._waiting,
        "perdure.run.cancelling": Messages._cancelling,
        "perdure.run.restarted": Messages._goes_on,
        "perdure.run.forked": Messages._goes_on,
        "perdure.message": Messages._told,
        "perdure.published": Messages._published,
        "perdure.progress": Messages._progress,
        "perdure.artifact": Messages._artifact,
    }
)

_SERVER_ONLY: Final = frozenset(
    {INTERRUPTED, TURN_ENDED, INPUT_REQUEST_EVENT, "perdure.signal", "perdure.run.waiting", "perdure.run.cancelling",
     "perdure.run.restarted", "perdure.run.forked"}
)  # fmt: skip
"""What counts only where the server itself has written it: outside writers may use any name."""
