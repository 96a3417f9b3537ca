"""A run as it is stored and read: identity, what creation said, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from perdure.domain.ids import ConversationId, MessageId, ProjectId, RunId, RunKey
from perdure.domain.remote_agent import ROUTE as REMOTE_ROUTE
from perdure.domain.run import Executor, Kind, RunError, RunNames, RunState, Status, Waiting, WaitingReason
from perdure.domain.scheduling import UNSCHEDULED, Scheduling


class Targets(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a run's code comes from and where it runs (veryfront.md 1.2); stored and answered, not interpreted."""

    source_kind: str | None = None
    source_environment_id: str | None = None
    source_branch_id: str | None = None
    source_release_version: str | None = None
    runtime_kind: str | None = None
    runtime_environment_id: str | None = None
    runtime_branch_id: str | None = None


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """What made a run: its trigger, and the place in a parent's conversation that it was spawned from."""

    trigger_kind: str | None = None
    trigger_id: str | None = None
    schedule_id: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    tool_call_id: str | None = None


class RunSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """What creation said and nothing changes later. Stored as JSON in `runs.spec`.

    An `interactive` agent run waits for the user's next message when a turn has ended, instead of ending itself.
    A `remote` one's agent is stored with its URL, and any worker serves it.
    `agent_run` is what POST /api/v1/agents said beside that: answered back, and kept for whoever executes the run.
    """

    name: str | None = None
    workflow_id: str | None = None
    implementation_kind: str | None = None
    worker_key: str | None = None
    start_mode: str | None = None
    timeout_seconds: int | None = None
    backoff_limit: int | None = None
    config: dict[str, object] | None = None
    interactive: bool = False
    remote: bool = False
    agent_run: dict[str, object] | None = None
    targets: Targets = Targets()
    origin: Origin = Origin()


class Visibility(StrEnum):
    """Who may see a run: everybody in its project, or only who started it and those who see all."""

    PROJECT = "project"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class About:
    """What is said about a run for those who look for it (vertesia.md 2.2).

    `visibility` and `forked_from` stay as they were at creation. `profile` is a JSON object of what is only read back
    (properties, lessons learned, archive state).
    """

    visibility: Visibility = Visibility.PROJECT
    name: str | None = None
    title: str | None = None
    topic: str | None = None
    categories: tuple[str, ...] = ()
    content_type_name: str | None = None
    forked_from: RunId | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at runs: private ones are there for who started them, and for one who sees all."""

    subject: str
    sees_all: bool = False


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be created. `route` names the queue that a worker takes it from (None: no engine executes it)."""

    key: RunKey
    kind: Kind
    owner_kind: str
    owner_id: UUID
    status: Status
    executor: Executor
    spec: RunSpec
    request_hash: bytes
    created_at: datetime
    agent_id: str | None = None
    target: str | None = None
    parent_run_id: RunId | None = None
    conversation_id: ConversationId | None = None
    new_conversation: bool = False
    message_id: MessageId | None = None
    batch_id: UUID | None = None
    tags: tuple[str, ...] = ()
    input: bytes | None = None
    metadata: bytes | None = None
    created_by: str | None = None
    idempotency_key: str | None = None
    route: str | None = None
    about: About = field(default_factory=About)
    scheduling: Scheduling = UNSCHEDULED


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run, whole. `input`, `output` and `metadata` are JSON text as it was stored."""

    project_id: ProjectId
    run_id: RunId
    kind: Kind
    owner_kind: str
    owner_id: UUID
    agent_id: str | None
    target: str | None
    parent_run_id: RunId | None
    root_run_id: RunId
    conversation_id: ConversationId | None
    message_id: MessageId | None
    batch_id: UUID | None
    tags: tuple[str, ...]
    spec: RunSpec
    input: str | None
    output: str | None
    error: RunError | None
    metadata: str | None
    created_by: str | None
    request_hash: bytes
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    status: Status
    executor: Executor
    revision: int
    attempt: int
    fence: int
    cancelling: bool
    waiting: Waiting | None
    latest_event_id: int
    latest_external_sequence: int
    latest_signal_id: int
    last_ts: int
    about: About
    scheduling: Scheduling

    @property
    def key(self) -> RunKey:
        """What names it."""
        return RunKey(self.project_id, self.run_id)

    @property
    def state(self) -> RunState:
        """The part that the transition table looks at."""
        return RunState(
            self.status, self.executor, self.attempt, self.fence, self.waiting, self.cancelling, self.latest_signal_id
        )

    @property
    def names(self) -> RunNames:
        """The names that the lifecycle's events carry."""
        return RunNames(self.run_id, str(self.conversation_id or self.run_id))

    @property
    def spawned_from(self) -> Origin | None:
        """The place in its parent's conversation that a child was spawned from; None for a run without a parent."""
        return None if self.parent_run_id is None else self.spec.origin

    @property
    def route(self) -> str:
        """The queue that a worker takes it from."""
        return route_of(self.kind, self.agent_id, self.target, self.spec)

    @property
    def served_name(self) -> str:
        """The name of the agent, workflow, task or eval that it runs."""
        return served_name(self.kind, self.agent_id, self.target)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; None or empty means any. `viewer` None: whoever asks may see all."""

    viewer: Viewer | None = None
    statuses: tuple[Status, ...] = ()
    kind: Kind | None = None
    agent_id: str | None = None
    target: str | None = None
    tag: str | None = None
    parent_run_id: str | None = None
    waiting_reasons: tuple[WaitingReason, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentRunFilter:
    """Which agent runs a list of the Agent Runs API shows (vertesia.md 1.7); None or empty means any.

    `only_recorded` tells pending runs apart: those that nobody was asked to execute (True) or all others (False).
    `started_by` are the subjects that are meant, `triggers` the kinds of triggers.
    """

    viewer: Viewer
    run_id: str | None = None
    statuses: tuple[Status, ...] = ()
    only_recorded: bool | None = None
    agent_ids: tuple[str, ...] = ()
    started_by: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    schedule_id: str | None = None
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentRunOrder:
    """By creation or by the last change, newest first or oldest first."""

    by_change: bool = False
    ascending: bool = False

    def time_of(self, run: Run) -> datetime:
        """The time that the order looks at."""
        return run.updated_at if self.by_change else run.created_at


def route_of(kind: Kind, agent_id: str | None, target: str | None, spec: RunSpec) -> str:
    """The queue of a run: `agent:<name>`, `task:<name>` …; an external worker's is `external_route`'s."""
    if spec.implementation_kind is not None:
        return external_route(spec.implementation_kind, spec.worker_key)
    if spec.remote:
        return REMOTE_ROUTE
    return f"{kind}:{served_name(kind, agent_id, target)}"


def served_name(kind: Kind, agent_id: str | None, target: str | None) -> str:
    """What the workers of an engine know a run's code by; a target may have its kind in front (`task:<name>`)."""
    return agent_id or "" if kind is Kind.AGENT else (target or "").removeprefix(f"{kind}:")


def external_route(implementation_kind: str, worker_key: str | None) -> str:
    """The queue of external workers: `external:<kind>`, or `external:<kind>:<key>` for a run that names a worker_key.

    A kind holds no colon (seed 002), so the two never meet.
    """
    return f"external:{implementation_kind}" + (f":{worker_key}" if worker_key is not None else "")
