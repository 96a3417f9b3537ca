"""Conversations, their messages and input requests as the server answers them: immutable, unknown members ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from perdure.client.models import Answer


class Conversation(Answer, frozen=True):
    """A conversation. `type` is `chat`, `agent_task`, `support`, `channel` or `project_agent`."""

    id: str
    project_id: str
    type: str
    created_at: datetime
    updated_at: datetime
    title: str | None = None
    metadata: Any = None
    run_policy: str = "allow"


class ConversationMessage(Answer, frozen=True):
    """A message. That of a run is `streaming` without parts until the run has ended."""

    id: str
    conversation_id: str
    role: str
    status: str
    parts: tuple[dict[str, Any], ...]
    created_at: datetime
    parent_id: str | None = None
    run_id: str | None = None
    metadata: Any = None

    @property
    def text(self) -> str:
        """What it says, without tool calls, reasoning and files."""
        return "\n".join(str(part.get("text", "")) for part in self.parts if part.get("type") == "text")


class SnapshotEvent(Answer, frozen=True):
    """An event of a snapshot; `event_id` is None for one that stands in no log."""

    event_id: int | None
    event: dict[str, Any]


class Snapshot(Answer, frozen=True):
    """A run as it stands. Follow its stream after `after_event_id`."""

    after_event_id: int
    events: tuple[SnapshotEvent, ...]


class InputResponse(Answer, frozen=True):
    """What somebody answered to an input request."""

    id: str
    actor_type: str
    actor_id: str
    values: dict[str, Any]
    created_at: datetime


class InputRequest(Answer, frozen=True):
    """A form that a run has put before somebody. `status` is `open`, `submitted`, `cancelled` or `expired`."""

    id: str
    conversation_id: str
    run_id: str
    tool_call_id: str
    status: str
    title: str
    fields: tuple[dict[str, Any], ...]
    created_at: datetime
    description: str | None = None
    expires_at: datetime | None = None
    metadata: Any = None
    latest_response: InputResponse | None = None
