"""What a schedule and a webhook start, as it is sent and answered (veryfront.md 1.10)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from perdure.domain.run import Kind
from perdure.domain.target import RunTarget, TargetMode
from perdure.http.json_schema import JsonSchema, choice, integer, members, text, uuid

_LARGEST: Final = 2**31 - 1


class TargetView(msgspec.Struct, frozen=True):
    """What is started."""

    kind: Kind
    id: str
    conversation_mode: TargetMode | UnsetType = UNSET
    conversation_id: UUID | UnsetType = UNSET


def target_view(target: RunTarget) -> TargetView:
    """A target as it is answered."""
    return TargetView(
        target.kind,
        target.id,
        UNSET if target.conversation_mode is None else target.conversation_mode,
        UNSET if target.conversation_id is None else target.conversation_id,
    )


def target_schema(*kinds: Kind, closed: bool) -> JsonSchema:
    """A target of one of these kinds."""
    return members(
        {
            "kind": choice(*kinds),
            "id": text(1, 200),
            "conversation_mode": choice(*TargetMode),
            "conversation_id": uuid(),
        },
        required=("kind", "id"),
        closed=closed,
    )


def limit_schema(description: str | None = None) -> JsonSchema:
    """A number from 1 up that the store takes."""
    return {**integer(1, description=description), "maximum": _LARGEST}
