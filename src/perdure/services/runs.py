"""Create, read and list runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import msgspec

from perdure.domain.conversation import RunPolicy
from perdure.domain.errors import (
    AgentNotFound,
    IdempotencyKeyReused,
    InvalidRequest,
    ProjectNotFound,
    RunExists,
    RunNotFound,
    Unavailable,
)
from perdure.domain.ids import ConversationId, MessageId, ProjectId, RunId, RunKey, new_run_id, new_uuid
from perdure.domain.run import Enqueue, Executor, Kind, Status
from perdure.domain.scheduling import UNSCHEDULED, Scheduling
from perdure.domain.stored_run import About, NewRun, Run, RunFilter, RunSpec, Visibility, route_of, served_name
from perdure.services import catalog, conversation_line, lifecycle
from perdure.services.core import Core
from perdure.services.lifecycle import Extra
from perdure.store import push_services, remote_agents, runs
from perdure.telemetry import LogLine, get_logger

MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks for, whatever the dialect.

    `initial_status` is None where the caller left it open; `input` is the request's input as JSON bytes;
    `fingerprint` is a hash of the whole request, to tell a repeated Idempotency-Key from a reused one;
    `conversation_policy` None leaves it to the conversation.
    """

    kind: Kind
    owner_kind: str
    owner_id: UUID
    fingerprint: bytes
    agent_id: str | None = None
    target: str | None = None
    public_id: str | None = None
    idempotency_key: str | None = None
    parent_run_id: str | None = None
    initial_status: Status | None = None
    conversation_id: UUID | None = None
    new_conversation: bool = False
    batch_id: UUID | None = None
    spec: RunSpec = field(default_factory=RunSpec)
    input: bytes | None = None
    metadata: bytes | None = None
    tags: tuple[str, ...] = ()
    created_by: str | None = None
    about: About = field(default_factory=About)
    conversation_policy: RunPolicy | None = None
    scheduling: Scheduling = UNSCHEDULED


@dataclass(frozen=True, slots=True)
class Created:
    """The run that a request made or found (`duplicate`); `held_by`: the one it waits for in its conversation."""

    run: Run
    duplicate: bool
    held_by: RunId | None = None


async def create(core: Core, project_id: ProjectId, request: RunRequest) -> Created:
    """Create a run, or answer the one that the same request made before.

    Raises AgentNotFound, TargetNotFound, ConversationNotFound, ConversationBusy, ProjectNotFound, RunExists,
    IdempotencyKeyReused, and InvalidRequest for an input that does not fit, for times that cannot be kept, and for a
    private run in a conversation, which everybody in the project may read.
    """
    if request.about.visibility is Visibility.PRIVATE and (request.new_conversation or request.conversation_id):
        raise InvalidRequest("A private run has no conversation: everybody in the project could read it there.")
    if request.owner_kind == "project" and request.owner_id != project_id:
        raise ProjectNotFound(f"There is no project {request.owner_id}.")
    request = await _with_remote_agent(core, project_id, request)
    new = new_run(core, project_id, request)
    await _check_times(core, new)
    if new.route is not None and new.executor is Executor.ENGINE and not request.spec.remote:
        await _check_served(core, project_id, request)
    made = await conversation_line.create(core, new, request.conversation_policy)
    if made is None:
        return await _existing(core, new, request)
    run, held_by = made
    lifecycle.announce_moved(core, (run.key,))
    if new.route is not None:
        lifecycle.announce_queued(core, new.route)
    get_logger().debug(LogLine.RUN_CREATED, run_id=new.key.run_id, kind=new.kind, target=new.agent_id or new.target)
    return Created(run, duplicate=False, held_by=held_by)


async def start(core: Core, run: Run, input: bytes) -> Created:
    """Start a run that was recorded before without its input, which is JSON (seed 000).

    One that was started before, by this or any other way, stays as it is (`duplicate`). Raises AgentNotFound, and
    ConversationBusy by the policy of its conversation.
    """
    recorded = run.input is None and run.status is Status.PENDING
    started = recorded and await _start_recorded(core, run, Extra(input=input.decode()), None)
    return Created(await get(core, run.key), duplicate=not started)


async def children_of_conversation(
    core: Core,
    project_id: ProjectId,
    conversation_id: ConversationId,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[Run]:
    """The runs in conversations that the runs of a conversation started, newest first; one more than `limit` when there
    are more."""
    wanted = min(limit, MAX_PAGE) + 1
    return await runs.list_children_of_conversation(
        core.database, project_id, conversation_id, before=before, limit=wanted
    )


async def get(core: Core, key: RunKey) -> Run:
    """One run. Raises RunNotFound."""
    run = await runs.get(core.database, key)
    if run is None:
        raise RunNotFound(f"There is no run {key.run_id}.")
    return run


async def get_many(core: Core, keys: Sequence[RunKey]) -> dict[RunKey, Run]:
    """Many runs by key, in one look; those that are gone are left out."""
    return await runs.get_many(core.database, keys)


async def output_of(core: Core, project_id: ProjectId, run_id: str) -> str | None:
    """What a completed run answered, as JSON; None where there is no such run, or it has no output."""
    run = await runs.get(core.database, RunKey(project_id, RunId(run_id)))
    return None if run is None or run.status is not Status.COMPLETED else run.output


async def get_in_conversation(core: Core, key: RunKey, conversation_id: ConversationId) -> Run:
    """One run of a conversation. Raises RunNotFound."""
    run = await runs.get_in_conversation(core.database, key, conversation_id)
    if run is None:
        raise RunNotFound(f"There is no run {key.run_id} in conversation {conversation_id}.")
    return run


async def list_page(
    core: Core, project_id: ProjectId, wanted: RunFilter, *, before: tuple[datetime, str] | None, limit: int
) -> list[Run]:
    """A page of runs, newest first; one more than `limit` when there are more."""
    return await runs.list_page(core.database, project_id, wanted, before=before, limit=min(limit, MAX_PAGE) + 1)


async def _with_remote_agent(core: Core, project_id: ProjectId, request: RunRequest) -> RunRequest:
    """The request, marked if its agent is one that is stored with a URL; one of a worker's code goes before it."""
    name = request.agent_id
    if request.kind is not Kind.AGENT or not name or await catalog.has_agent(core, name):
        return request
    if await remote_agents.get(core.database, project_id, name) is None:
        return request
    return replace(request, spec=msgspec.structs.replace(request.spec, remote=True))


async def _check_times(core: Core, new: NewRun) -> None:
    """Raises InvalidRequest for times that cannot be kept, unless the request was taken before, when they could."""
    try:
        new.scheduling.check(new.created_at)
    except InvalidRequest:
        key = new.idempotency_key
        earlier = None if key is None else await runs.get_by_idempotency_key(core.database, new.key.project_id, key)
        if earlier is None and await runs.get(core.database, new.key) is None:
            raise


async def _check_agent(core: Core, project_id: ProjectId, agent_id: str) -> None:
    if not (
        await catalog.has_agent(core, agent_id) or await push_services.serves_agent(core.database, project_id, agent_id)
    ):
        known = await catalog.agents(core)
        names = ", ".join(sorted(known)) or "none: start a worker that serves one"
        raise AgentNotFound(f"No worker serves an agent {agent_id!r}. Known agents: {names}.")


async def _check_served(core: Core, project_id: ProjectId, request: RunRequest) -> None:
    """Raises AgentNotFound or TargetNotFound for what nobody serves, InvalidRequest for an input it does not take."""
    if request.kind is Kind.AGENT:
        await _check_agent(core, project_id, request.agent_id or "")
    else:
        await _check_target(core, request)


async def _check_target(core: Core, request: RunRequest) -> None:
    """Raises TargetNotFound for what nobody serves, and InvalidRequest for an input that it does not take."""
    name = served_name(request.kind, request.agent_id, request.target)
    given = {} if request.input is None else msgspec.json.decode(request.input)
    if request.kind is Kind.WORKFLOW:
        await catalog.check(core, request.kind, name, given, "/request/input")
        return
    known = await catalog.check(core, request.kind, name, request.spec.config or {}, "/request/config")
    if known and given and request.kind is Kind.EVAL:
        place = "/request/input"
        raise InvalidRequest(f"`{place}` must be empty: what an eval takes is `config`.", pointer=place)


def new_run(core: Core, project_id: ProjectId, request: RunRequest) -> NewRun:
    """The run that a request asks for, before it is stored."""
    now = core.clock()
    key = RunKey(project_id, RunId(request.public_id) if request.public_id else new_run_id(now))
    executor, status, queued = _placement(request)
    if executor is Executor.CALLER and request.scheduling.run_after is not None:
        raise InvalidRequest("The query parameter `run_after` is not for runs that the caller executes.")
    conversation_id = _conversation(request, now)
    return NewRun(
        key=key,
        kind=request.kind,
        owner_kind=request.owner_kind,
        owner_id=request.owner_id,
        status=status,
        executor=executor,
        spec=request.spec,
        request_hash=request.fingerprint,
        created_at=runs.at(now),
        agent_id=request.agent_id,
        target=request.target,
        parent_run_id=RunId(request.parent_run_id) if request.parent_run_id else None,
        conversation_id=conversation_id,
        new_conversation=request.new_conversation,
        message_id=MessageId(new_uuid(now)) if conversation_id else None,
        batch_id=request.batch_id,
        tags=request.tags,
        input=request.input,
        metadata=request.metadata,
        created_by=request.created_by,
        idempotency_key=request.idempotency_key,
        route=route_of(request.kind, request.agent_id, request.target, request.spec) if queued else None,
        about=request.about,
        scheduling=request.scheduling,
    )


def _conversation(request: RunRequest, now: int) -> ConversationId | None:
    if request.new_conversation:
        return ConversationId(request.conversation_id or new_uuid(now))
    if request.conversation_id is not None:
        return ConversationId(request.conversation_id)
    return ConversationId(request.owner_id) if request.owner_kind == "conversation" else None


def _placement(request: RunRequest) -> tuple[Executor, Status, bool]:
    """Who executes the run, how it starts, and whether it is queued at once (veryfront.md 1.2)."""
    if request.initial_status is Status.RUNNING:
        return Executor.CALLER, Status.RUNNING, False
    if request.spec.implementation_kind is not None:
        return Executor.EXTERNAL, Status.PENDING, True
    if request.kind is Kind.AGENT and request.initial_status is Status.PENDING and request.input is None:
        return Executor.CALLER, Status.PENDING, False
    return Executor.ENGINE, Status.PENDING, True


async def _existing(core: Core, new: NewRun, request: RunRequest) -> Created:
    """The run that stood in the way: the same request's, or somebody else's."""
    if request.idempotency_key is not None:
        earlier = await runs.get_by_idempotency_key(core.database, new.key.project_id, request.idempotency_key)
        if earlier is not None:
            if earlier.request_hash != request.fingerprint:
                raise IdempotencyKeyReused
            return Created(earlier, True, await conversation_line.held_by(core, earlier))
    run = await runs.get(core.database, new.key)
    if run is None:
        raise Unavailable("The run was deleted meanwhile. Try again.")
    if (run.kind, run.owner_kind, run.owner_id, run.agent_id, run.target) != (
        new.kind, new.owner_kind, new.owner_id, new.agent_id, new.target,
    ):  # fmt: skip
        raise RunExists(f"Run {run.run_id} exists and is of another kind, owner or target: choose another public_id.")
    if request.input is not None and run.input is None and run.status is Status.PENDING:
        scheduling = request.scheduling.over(run.scheduling)
        scheduling.check(new.created_at)
        extra = Extra(input=request.input.decode(), scheduling=scheduling)
        await _start_recorded(core, run, extra, request.conversation_policy)
        run = await get(core, run.key)
    return Created(run, True, await conversation_line.held_by(core, run))


async def _start_recorded(core: Core, run: Run, extra: Extra, policy: RunPolicy | None) -> bool:
    """The second phase of a two-phase start: the run was recorded before, now comes its input (veryfront.md 1.2), and
    perhaps when it is to be executed.

    Answers whether this is what started it.
    """
    if run.kind is not Kind.AGENT or run.executor is not Executor.CALLER:
        return False
    if not run.spec.remote:
        await _check_agent(core, run.project_id, run.agent_id or "")
    applied = await conversation_line.apply(core, run, Enqueue(), extra, wanted=policy)
    return applied.transition is not None
