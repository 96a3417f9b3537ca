"""What the server answers, as immutable values. Members that this version does not know are ignored.

Times are aware datetimes; ids are text, UUIDs included.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import msgspec

T = TypeVar("T")


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether it is final (but for a restart)."""
        return self in _ENDED


_ENDED: Final = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is answered."""


class Owner(Answer, frozen=True):
    """What a run belongs to: a `project` or a `conversation`."""

    kind: str
    id: str


class RunError(Answer, frozen=True):
    """Why a run failed or was cancelled."""

    message: str
    code: str | None = None


class OpenCall(Answer, frozen=True):
    """A tool call that a run waits for. `reason` is `tool` (its result) or `approval` (leave to run it)."""

    tool_call_id: str
    tool_name: str
    reason: str


class Waiting(Answer, frozen=True):
    """What a waiting run waits for: `tool`, `approval`, `event` or `input`, and the calls that are still open."""

    reason: str
    calls: tuple[OpenCall, ...] = ()


class Run(Answer, frozen=True):
    """A run. `duration_ms` is in milliseconds, `timeout_seconds` in seconds; `held_by`: the run it waits for in its
    conversation."""

    run_id: str
    kind: str
    status: RunStatus
    owner: Owner
    root_run_id: str
    created_at: datetime
    updated_at: datetime
    project_id: str | None = None
    parent_run_id: str | None = None
    attempt: int = 0
    cancelling: bool = False
    latest_event_id: int = 0
    held_by: str | None = None
    priority: int = 0
    run_after: datetime | None = None
    deadline: datetime | None = None
    waiting: Waiting | None = None
    target: str | None = None
    agent_id: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    tags: tuple[str, ...] = ()
    workflow_id: str | None = None
    batch_id: str | None = None
    error: RunError | None = None
    logs: str | None = None
    artifacts: tuple[Any, ...] = ()
    duration_ms: int | None = None
    exit_code: int | None = None
    start_mode: str | None = None
    timeout_seconds: int | None = None
    backoff_limit: int | None = None
    trigger_kind: str | None = None
    trigger_id: str | None = None
    created_by: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    metadata: Any = None
    input: Any = None
    config: Any = None
    output: Any = None


class CreatedRun(Answer, frozen=True):
    """A run that was accepted. `duplicate`: the same request had made it before."""

    accepted: bool
    run: Run
    duplicate: bool = False
    conversation_id: str | None = None
    message_id: str | None = None


class CancelledRun(Answer, frozen=True):
    """The answer to a cancel. `cancelled` is False when the run had ended before."""

    cancelled: bool
    run: Run


class CompletedRun(Answer, frozen=True):
    """The answer to a completion. `completed` is False when the run had ended in another way before."""

    completed: bool
    run: Run


class TreeNode(Answer, frozen=True):
    """A run in its tree. `depth` counts from the tree's first run, which has 0."""

    run_id: str
    depth: int
    kind: str
    status: RunStatus
    created_at: datetime
    parent_run_id: str | None = None
    agent_id: str | None = None
    target: str | None = None
    name: str | None = None
    cancelling: bool = False
    waiting_reason: str | None = None
    attempt: int = 0
    error: RunError | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


class RunTree(Answer, frozen=True):
    """A run with what is below it; each run comes right before what is below it. `truncated`: there are more."""

    data: tuple[TreeNode, ...]
    truncated: bool


class CancelledTree(Answer, frozen=True):
    """The answer to the cancel of a tree: how many runs have ended by it or were told to end."""

    cancelled: int


class RestartedRun(Answer, frozen=True):
    """The answer to a restart."""

    accepted: bool
    run: Run


class Accepted(Answer, frozen=True):
    """Something was taken into a run's log. `duplicate`: it was there already."""

    accepted: bool
    duplicate: bool = False


class ConversationRun(Answer, frozen=True):
    """A run as its conversation sees it. Its `status` says `waiting_for_tool` where a run's says `waiting`."""

    run_id: str
    conversation_id: str
    message_id: str
    status: str
    latest_event_id: int
    latest_external_event_sequence: int
    waiting_tool_call_id: str | None = None
    waiting_tool_name: str | None = None
    project_id: str | None = None
    agent_id: str | None = None
    parent_run_id: str | None = None
    terminal_error_code: str | None = None
    terminal_error_message: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    metadata: Any = None


class Appended(Answer, frozen=True):
    """The answer to an append: the log's counters after it, and how many of the events were new."""

    run: ConversationRun
    latest_event_id: int
    latest_external_event_sequence: int
    appended_count: int


class Event(Answer, frozen=True):
    """One event of a run's log. `payload` is AG-UI; `created_at` is None on a live stream."""

    event_id: int
    payload: dict[str, Any]
    created_at: datetime | None = None

    @property
    def type(self) -> str:
        """Such as `TEXT_MESSAGE_CONTENT`."""
        return str(self.payload.get("type", ""))

    @property
    def terminal(self) -> bool:
        """Whether it is one that ends a run (or ended it, before a restart)."""
        return self.type in ("RUN_FINISHED", "RUN_ERROR")


class ListedEvent(Answer, frozen=True):
    """An event as a page holds it."""

    event_id: int
    payload: dict[str, Any]
    created_at: datetime


class Project(Answer, frozen=True):
    """A project. `max_running`: how many of its runs are executed at once; None: any number."""

    id: str
    slug: str
    name: str
    created_at: datetime
    max_running: int | None = None


class Key(Answer, frozen=True):
    """An API key without its secret, which is told once, when it is made (`NewKey.key`)."""

    id: str
    project_id: str
    prefix: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(Key, frozen=True):
    """A key that was just made or imported. `key` is the whole key."""

    key: str


class PageInfo(Answer, frozen=True):
    """Where a page stands."""

    next: str | None = None


class Page(Answer, Generic[T], frozen=True):
    """A page of a list. `next` is the cursor of the page after it, None at the end."""

    data: tuple[T, ...]
    page_info: PageInfo

    @property
    def next(self) -> str | None:
        """The cursor of the page after this one."""
        return self.page_info.next


EventsPage = Page[ListedEvent]
