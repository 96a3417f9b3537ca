"""Messages of the Agent Runs API: their sorts, and their compact form (vertesia.md 3.2, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec


class MessageType(IntEnum):
    """The sorts of messages (vertesia.md 3.2)."""

    SYSTEM = 0
    THOUGHT = 1
    PLAN = 2
    UPDATE = 3
    COMPLETE = 4
    WARNING = 5
    ERROR = 6
    ANSWER = 7
    QUESTION = 8
    REQUEST_INPUT = 9
    IDLE = 10
    TERMINATED = 11
    STREAMING_CHUNK = 12
    BATCH_PROGRESS = 13
    RESTARTING = 14


class CompactMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message on the wire (vertesia.md 3.3).

    Chunks have a `ts`, too, though they are not kept: where one has none, a client takes the time of its own clock as
    its place in the stream, and when it comes back misses what came until then, or hears it again (3.5).
    """

    t: int
    m: str = ""
    w: str | None = None
    d: dict[str, Any] | None = None
    f: int = 0
    ts: int | None = None
    i: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A message and the event that it comes from. `subjects` names the text, or the tool call and its result, that it
    tells of."""

    event_id: int
    message: CompactMessage
    subjects: tuple[str, ...] = ()

    @property
    def live_only(self) -> bool:
        """Whether it is told to those who follow just then, and to nobody later."""
        return self.message.t == MessageType.STREAMING_CHUNK

    @property
    def ends_run(self) -> bool:
        """Whether a client stops following here (vertesia.md 3.5)."""
        return self.message.t == MessageType.TERMINATED or (
            self.message.t == MessageType.COMPLETE and self.message.w is None
        )
