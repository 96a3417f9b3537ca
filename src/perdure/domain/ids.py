"""Identifiers, as types that cannot be mixed up."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, NewType
from uuid import UUID

ProjectId = NewType("ProjectId", UUID)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)
KeyId = NewType("KeyId", UUID)
WorkerId = NewType("WorkerId", UUID)
PushServiceId = NewType("PushServiceId", UUID)
RunId = NewType("RunId", str)

Clock = Callable[[], int]
"""Answers the time now as integer milliseconds since 1970."""


class RunKey(NamedTuple):
    """What names a run: a run id is unique within its project only (design section 3)."""

    project_id: ProjectId
    run_id: RunId


def new_run_id(now_ms: int, random: Callable[[int], bytes] = os.urandom) -> RunId:
    """A run id of our own: 24 lower-case hex digits, ordered by time (48 bits of ms, 48 random bits).

    The form satisfies both wire protocols (design section 3).
    """
    return RunId(f"{now_ms:012x}{random(6).hex()}")


def new_uuid(now_ms: int, random: Callable[[int], bytes] = os.urandom) -> UUID:
    """A time-ordered UUID (version 7, RFC 9562) for projects, conversations, messages and keys."""
    noise = int.from_bytes(random(10))
    value = (
        (now_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    )
    return UUID(int=value)
