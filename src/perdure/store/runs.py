"""Runs: created, read, listed, moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import msgspec

from perdure.domain.errors import ConversationNotFound
from perdure.domain.event import Segment
from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.domain.run import Executor, Kind, RunError, RunState, Status, Waiting
from perdure.domain.scheduling import Scheduling
from perdure.domain.stored_run import About, NewRun, Run, RunFilter, RunSpec, Viewer, Visibility
from perdure.domain.transitions import Transition
from perdure.store.database import Database, Rows
from perdure.store.queries import load
from perdure.store.run_events import segment_columns

_SQL = load("runs")


@dataclass(frozen=True, slots=True)
class Moved:
    """A run's counters after a transition. `limited`: it may have made room under a limit."""

    revision: int
    latest_event_id: int
    latest_external_sequence: int
    limited: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A transition to be written, if the run's revision is still the expected one.

    The same goes for its latest event id, where one is given.
    """

    key: RunKey
    expected_revision: int
    transition: Transition
    segments: tuple[Segment, ...]
    route: str
    expected_event_id: int | None = None
    output: str | None = None
    metadata: str | None = None
    input: str | None = None
    scheduling: Scheduling | None = None

    @property
    def state(self) -> RunState:
        """The state it leads to."""
        return self.transition.state


async def create(database: Rows, run: NewRun, *, unless_policy: bool = False) -> Run | None:
    """Create a run; None when one of that id or Idempotency-Key exists. Raises ConversationNotFound.

    `unless_policy`: None also where the run's conversation does not let every run begin.
    """
    try:
        created = await database.fetchrow(
            _SQL["create_run"],
            run.key.project_id, run.key.run_id, run.kind, run.owner_kind, run.owner_id, run.agent_id, run.target,
            run.parent_run_id, run.conversation_id, run.message_id, run.batch_id, list(run.tags),
            msgspec.json.encode(run.spec).decode(), run.input.decode() if run.input is not None else None,
            run.status, run.metadata.decode() if run.metadata is not None else None, run.created_by,
            run.idempotency_key, run.request_hash, run.created_at, run.new_conversation, run.executor,
            run.route, run.scheduling.priority, *_about_columns(run.about),
            run.scheduling.run_after, run.scheduling.deadline, unless_policy,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError as error:
        raise ConversationNotFound(f"There is no conversation {run.conversation_id}.") from error
    return None if created is None else _as_created(run, created["parent_run_id"], RunId(created["root_run_id"]))


async def get(database: Database, key: RunKey) -> Run | None:
    """One run, None where there is none in that project."""
    return _run_or_none(await database.fetchrow(_SQL["get_run"], key.project_id, key.run_id))


async def get_owner(database: Database, key: RunKey) -> tuple[Visibility, str | None] | None:
    """Who may see a run: its visibility, and who started it; None where there is no such run."""
    row = await database.fetchrow(_SQL["get_run_owner"], key.project_id, key.run_id)
    return None if row is None else (Visibility(row["visibility"]), row["created_by"])


async def get_by_idempotency_key(database: Database, project_id: ProjectId, value: str) -> Run | None:
    """The run that an earlier request with this Idempotency-Key made."""
    return _run_or_none(await database.fetchrow(_SQL["get_run_by_idempotency_key"], project_id, value))


async def get_in_conversation(database: Database, key: RunKey, conversation_id: ConversationId) -> Run | None:
    """One run of a conversation."""
    row = await database.fetchrow(_SQL["get_conversation_run"], key.project_id, key.run_id, conversation_id)
    return _run_or_none(row)


async def get_many(database: Database, keys: Sequence[RunKey]) -> dict[RunKey, Run]:
    """Many runs by key; those that are gone are left out."""
    rows = await database.fetch(_SQL["get_runs"], [key.project_id for key in keys], [key.run_id for key in keys])
    runs = map(run_of, rows)
    return {run.key: run for run in runs}


async def list_page(
    database: Database,
    project_id: ProjectId,
    wanted: RunFilter,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[Run]:
    """At most `limit` runs, newest first, after the keyset cursor `before` (created_at, run_id)."""
    created_at, run_id = before if before is not None else (None, None)
    statuses = list(wanted.statuses)
    rows = await database.fetch_planned_anew(
        _SQL["list_runs"],
        [
            project_id, statuses[0] if len(statuses) == 1 else None, wanted.kind, wanted.agent_id, wanted.target,
            wanted.tag, wanted.parent_run_id, wanted.since, wanted.until, created_at, run_id, limit,
            statuses if len(statuses) > 1 else None, private_to(wanted.viewer), list(wanted.waiting_reasons) or None,
        ],
    )  # fmt: skip
    return [run_of(row) for row in rows]


async def list_children_of_conversation(
    database: Database,
    project_id: ProjectId,
    conversation_id: ConversationId,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[Run]:
    """At most `limit` runs in conversations that runs of a conversation started, newest first, after the cursor."""
    created_at, run_id = before if before is not None else (None, None)
    rows = await database.fetch(
        _SQL["list_children_of_conversation"], project_id, conversation_id, created_at, run_id, limit
    )
    return [run_of(row) for row in rows]


async def count_live(database: Database) -> dict[str, int]:
    """Live runs by status, over all projects."""
    return {row["status"]: row["runs"] for row in await database.fetch(_SQL["count_live_runs"])}


async def move(database: Rows, wanted: Move, now_ms: int) -> Moved | None:
    """Write a transition; None when the run has moved on meanwhile (read it again and decide again)."""
    state, error = wanted.state, wanted.transition.error
    now = at(now_ms)
    when = wanted.scheduling
    row = await database.fetchrow(
        _SQL["transition_run"],
        wanted.key.project_id, wanted.key.run_id, wanted.expected_revision,
        state.status, state.executor, state.attempt, state.fence, state.cancelling,
        None if state.waiting is None else msgspec.json.encode(state.waiting).decode(),
        now_ms,
        sum(len(segment.lines) for segment in wanted.segments),
        sum(len(segment.lines) for segment in wanted.segments if segment.external),
        wanted.expected_event_id,
        *segment_columns(wanted.segments),
        wanted.transition.started, now,
        error.code if error else None, error.message if error else None,
        wanted.output, wanted.metadata,
        wanted.transition.queue, wanted.route, _due(wanted.transition, now_ms), wanted.input,
        wanted.transition.signals, wanted.transition.room_ms,
        *((None, None, None) if when is None else (when.priority, when.run_after, when.deadline)),
    )  # fmt: skip
    return None if row is None else Moved(*row)


def _due(transition: Transition, now_ms: int) -> datetime:
    return at(now_ms + transition.delay_ms if transition.wake_at is None else transition.wake_at)


def at(ms: int) -> datetime:
    """Integer milliseconds as the datetime that the store takes."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def _as_created(new: NewRun, parent_run_id: RunId | None, root_run_id: RunId) -> Run:
    """The run as it has just been written."""
    running = new.status is Status.RUNNING
    return Run(
        project_id=new.key.project_id,
        run_id=new.key.run_id,
        kind=new.kind,
        owner_kind=new.owner_kind,
        owner_id=new.owner_id,
        agent_id=new.agent_id,
        target=new.target,
        parent_run_id=parent_run_id,
        root_run_id=root_run_id,
        conversation_id=new.conversation_id,
        message_id=new.message_id,
        batch_id=new.batch_id,
        tags=new.tags,
        spec=new.spec,
        input=None if new.input is None else new.input.decode(),
        output=None,
        error=None,
        metadata=None if new.metadata is None else new.metadata.decode(),
        created_by=new.created_by,
        request_hash=new.request_hash,
        created_at=new.created_at,
        started_at=new.created_at if running else None,
        completed_at=None,
        updated_at=new.created_at,
        status=new.status,
        executor=new.executor,
        revision=0,
        attempt=1 if running else 0,
        fence=0,
        cancelling=False,
        waiting=None,
        latest_event_id=0,
        latest_external_sequence=0,
        latest_signal_id=0,
        last_ts=0,
        about=new.about,
        scheduling=new.scheduling,
    )


def _run_or_none(row: asyncpg.Record | None) -> Run | None:
    return None if row is None else run_of(row)


def run_of(row: asyncpg.Record) -> Run:
    """A row of the view `runs_whole`."""
    message = row["error_message"]
    return Run(
        project_id=row["project_id"],
        run_id=RunId(row["run_id"]),
        kind=Kind(row["kind"]),
        owner_kind=row["owner_kind"],
        owner_id=row["owner_id"],
        agent_id=row["agent_id"],
        target=row["target"],
        parent_run_id=row["parent_run_id"],
        root_run_id=RunId(row["root_run_id"]),
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        batch_id=row["batch_id"],
        tags=tuple(row["tags"]),
        spec=msgspec.json.decode(row["spec"], type=RunSpec),
        input=row["input"],
        output=row["output"],
        error=None if message is None else RunError(message, row["error_code"]),
        metadata=row["metadata"],
        created_by=row["created_by"],
        request_hash=row["request_hash"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        updated_at=row["updated_at"],
        status=Status(row["status"]),
        executor=Executor(row["executor"]),
        revision=row["revision"],
        attempt=row["attempt"],
        fence=row["fence"],
        cancelling=row["cancelling"],
        waiting=None if row["waiting"] is None else msgspec.json.decode(row["waiting"], type=Waiting),
        latest_event_id=row["latest_event_id"],
        latest_external_sequence=row["latest_external_sequence"],
        latest_signal_id=row["latest_signal_id"],
        last_ts=row["last_ts"],
        about=_about(row),
        scheduling=Scheduling(row["priority"], row["run_after"], row["deadline"]),
    )


def _about(row: asyncpg.Record) -> About:
    return About(
        visibility=Visibility(row["visibility"]),
        name=row["name"],
        title=row["title"],
        topic=row["topic"],
        categories=tuple(row["categories"]),
        content_type_name=row["content_type_name"],
        forked_from=row["forked_from"],
        profile=row["profile"],
    )


def _about_columns(about: About) -> tuple[object, ...]:
    return (
        about.visibility, about.name, about.title, about.topic, list(about.categories), about.content_type_name,
        about.forked_from, about.profile,
    )  # fmt: skip


def private_to(viewer: Viewer | None) -> str | None:
    """Whose private runs a list shows; None: everybody's."""
    return None if viewer is None or viewer.sees_all else viewer.subject
