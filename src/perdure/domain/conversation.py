"""Conversations and the messages that they keep (veryfront.md 1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from perdure.domain.ids import ConversationId, MessageId, ProjectId, RunId
from perdure.domain.message import Role
from perdure.domain.run import Status


class ConversationType(StrEnum):
    """What a conversation is for; stored and answered, not interpreted."""

    CHAT = "chat"
    AGENT_TASK = "agent_task"
    SUPPORT = "support"
    CHANNEL = "channel"
    PROJECT_AGENT = "project_agent"


class RunPolicy(StrEnum):
    """What becomes of a new run while another one of its conversation is live."""

    ALLOW = "allow"
    REJECT = "reject"
    ENQUEUE = "enqueue"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"


class MessageStatus(StrEnum):
    """How far a message is."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETED = "completed"
    ERROR = "error"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. `metadata` is JSON text as it was stored."""

    project_id: ProjectId
    id: ConversationId
    type: ConversationType
    title: str | None
    metadata: str | None
    run_policy: RunPolicy
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ConversationChange:
    """What a change replaces, by column. A column that is not in it stays as it is."""

    type: ConversationType | None = None
    title: str | None = None
    metadata: str | None = None
    run_policy: RunPolicy | None = None
    changes_title: bool = False
    changes_metadata: bool = False


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of a conversation. `parts` (an array) and `metadata` are JSON text as it was stored.

    `position` orders the messages of a conversation. `folded_to` is the event at which the log ended that a run's
    message was made from; None while it was made from none.
    """

    project_id: ProjectId
    conversation_id: ConversationId
    id: MessageId
    position: int
    parent_id: UUID | None
    run_id: RunId | None
    role: Role
    status: MessageStatus
    parts: str
    metadata: str | None
    folded_to: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that a caller adds. What it says is complete."""

    project_id: ProjectId
    conversation_id: ConversationId
    id: MessageId
    role: Role
    parts: str
    created_at: datetime
    parent_id: UUID | None = None
    metadata: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the log of a message's run ends, and the run's status there."""

    status: Status
    event_id: int


def message_status(status: Status) -> MessageStatus:
    """The status of the message that a run writes: it is streaming until the run has ended."""
    match status:
        case Status.COMPLETED:
            return MessageStatus.COMPLETED
        case Status.FAILED:
            return MessageStatus.FAILED
        case Status.CANCELLED:
            return MessageStatus.CANCELLED
        case Status.PENDING | Status.RUNNING | Status.WAITING:
            return MessageStatus.STREAMING
