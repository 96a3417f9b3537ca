"""What a log says when an attempt begins, or when a run is ended from outside (`fold.py` makes it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

MODEL_STEP: Final = "model:"
"""Prefix of the keys of recorded model responses. Recording one settles every message that was streamed before it."""

INITIAL_STEP: Final = "initial:calls"
"""Key of the record of the ids under which the calls are made that a run's creation asked for. It settles them."""

ERROR_STEP: Final = "error:"
"""Prefix of the keys of recorded failures. A restart forgets them, so that what failed is tried again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came from outside for a tool call: its result, or the decision whether it may run.

    For an approval `value` is whatever the caller sent (`kinds/approval.py` reads it).
    """

    tool_call_id: str
    kind: Literal["result", "approval"]
    value: object
    is_error: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True)
class StreamedMessage:
    """A text or reasoning message in the log that nothing has superseded.

    `open`: its END event is missing. `settled`: a recorded step stands for it, so no attempt produces it again.
    """

    id: str
    kind: Literal["text", "reasoning"]
    open: bool
    settled: bool


@dataclass(frozen=True, slots=True)
class StreamedCall:
    """A tool call in the log that nothing has superseded.

    `parent` is the message that it belongs to (the call's own id where the log names none), `open` says that its END
    event is missing, `result` is the message id of its result.
    """

    id: str
    name: str
    parent: str
    open: bool
    settled: bool
    result: str | None


@dataclass(frozen=True, slots=True)
class Past:
    """What the log says when an attempt begins (`fold.py` makes it).

    `open_stages` are the names of AG-UI steps (STEP_STARTED), `open_spans` the ids of REASONING_STARTs without an end.
    `ids` are all message and tool call ids ever used, so that a new one collides with none of them; `generation` counts
    the restarts that forgot the recorded steps; `restarted` says that a restart came after the last attempt;
    `published` holds the newest value of each name that the agent has published; `signals` name and payload of those
    that came, since the last restart that forgot the steps.
    """

    steps: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    answers: Mapping[str, Answer] = field(default_factory=lambda: MappingProxyType({}))
    messages: tuple[StreamedMessage, ...] = ()
    calls: tuple[StreamedCall, ...] = ()
    open_stages: tuple[str, ...] = ()
    open_spans: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()
    generation: int = 0
    restarted: bool = False
    published: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    signals: tuple[tuple[str, object], ...] = ()

    @property
    def open_messages(self) -> tuple[StreamedMessage, ...]:
        """The messages whose END event is missing."""
        return tuple(message for message in self.messages if message.open)

    @property
    def open_tool_calls(self) -> tuple[StreamedCall, ...]:
        """The tool calls whose END event or result is missing."""
        return tuple(call for call in self.calls if call.open or call.result is None)
