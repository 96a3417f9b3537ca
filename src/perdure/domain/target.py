"""What a schedule or a webhook starts (veryfront.md 1.10 and 6)."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

import msgspec

from perdure.domain.errors import InvalidRequest
from perdure.domain.run import Kind


class TargetMode(StrEnum):
    """Which conversation an agent's run writes to."""

    CREATE_NEW = "create_new"
    EXISTING = "existing"
    NONE = "none"


class RunTarget(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is started, and for an agent in which conversation (a new one, where that is not said)."""

    kind: Kind
    id: str
    conversation_mode: TargetMode | None = None
    conversation_id: UUID | None = None


def check_target(target: RunTarget, pointer: str) -> None:
    """Refuse a target that cannot be; `pointer` is where it stands in the body. Raises InvalidRequest."""
    if target.kind is not Kind.AGENT and (target.conversation_mode or target.conversation_id):
        raise InvalidRequest(f"Only an agent has a conversation: leave it out of `{pointer}`.", pointer=pointer)
    if (target.conversation_mode is TargetMode.EXISTING) != (target.conversation_id is not None):
        raise InvalidRequest(
            f'A `{pointer}/conversation_id` goes with conversation_mode "existing", and only with it.',
            pointer=f"{pointer}/conversation_id",
        )
