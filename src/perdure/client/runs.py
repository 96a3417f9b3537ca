"""Start, read, follow and steer runs."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, Unpack
from uuid import uuid4

from perdure.client.conversations import FENCE_HEADER
from perdure.client.models import (
    Accepted,
    CancelledRun,
    CancelledTree,
    CompletedRun,
    CreatedRun,
    Event,
    EventsPage,
    Page,
    RestartedRun,
    Run,
    RunStatus,
    RunTree,
)
from perdure.client.projects import Projects
from perdure.client.scheduling import Scheduling, iso, query_of
from perdure.client.stream import LogStream, OnInterruption
from perdure.client.transport import Call, Query, Transport, url_of

ConversationPolicy = Literal["allow", "reject", "enqueue", "interrupt", "rollback"]


class Said(Scheduling, total=False):
    """What a call that starts a run may say beside it.

    `idempotency_key`: the same key with the same request makes one run. `conversation_policy`: what becomes of it while
    another run of the conversation is live.
    """

    idempotency_key: str | None
    conversation_policy: ConversationPolicy | None


Message = Mapping[str, Any]
"""`{role, content}`, `{role, parts: [{type, text, …}]}`, or a message of AG-UI."""

_INPUTS: Final = MappingProxyType({"workflow": "input", "task": "config", "eval": "config"})
"""The member of a request that holds what a kind takes."""


class Runs:
    """`client.runs`."""

    def __init__(self, transport: Transport, projects: Projects) -> None:
        self._transport = transport
        self._projects = projects

    async def _project(self, project_id: str | None) -> str:
        return project_id if project_id is not None else (await self._projects.own()).id

    async def create(
        self,
        agent_id: str,
        messages: str | Sequence[Message],
        *,
        project_id: str | None = None,
        conversation: str | None = None,
        public_id: str | None = None,
        parent_run_id: str | None = None,
        initial_status: Literal["pending", "running"] | None = None,
        input: Mapping[str, Any] | None = None,
        **said: Unpack[Said],
    ) -> CreatedRun:
        """Start an agent. `messages`: the conversation, or as a text what the user says.

        `conversation` is `"new"` or the id of one that exists; `public_id` becomes the run's id; `initial_status`
        `"running"` says that the caller executes the run itself; `input` holds further members of the request's input
        (`model`, `tools`, `runtime_overrides` …). `project_id` None: the caller's own project. What else can be said is
        as in `submit`.
        """
        project = await self._project(project_id)
        spoken = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        request: dict[str, Any] = {"mode": "agent", "agent_id": agent_id}
        if initial_status is not None:
            request["initial_status"] = initial_status
        request["input"] = {
            "messages": spoken,
            "context": {"project_id": project, "branch_id": None},
            **(input or {}),
        }
        body = _body("agent", project, request, public_id=public_id, parent_run_id=parent_run_id)
        if conversation is not None:
            new = conversation == "new"
            body |= {"conversation_mode": "create_new"} if new else _existing(conversation)
        return await self.submit(body, **said)

    async def start(
        self,
        target: str,
        given: Mapping[str, Any] | None = None,
        *,
        project_id: str | None = None,
        public_id: str | None = None,
        parent_run_id: str | None = None,
        idempotency_key: str | None = None,
        priority: int | None = None,
        run_after: datetime | None = None,
        deadline: datetime | None = None,
        **more: Any,
    ) -> CreatedRun:
        """Start `workflow:<name>`, `task:<name>` or `eval:<name>`; for agents there is `create`.

        `given` is a workflow's input, a task's or an eval's config. `more` are further members of the request, for a
        task `name`, `batch_id`, `timeout_seconds` and `backoff_limit`. `priority`, `run_after` and `deadline` are as
        in `submit`. Raises ValueError for another sort of target,
        ApiError `target_not_found` for what nobody serves, and `invalid_request` for an input that does not fit.
        """
        kind, _, name = target.partition(":")
        if kind not in _INPUTS or not name:
            raise ValueError(f"{target!r} is no target: write workflow:<name>, task:<name> or eval:<name>.")
        project = await self._project(project_id)
        request = {"target": target, _INPUTS[kind]: dict(given or {}), **more}
        if kind == "workflow":
            request["workflow_id"] = name
        body = _body(kind, project, request, public_id=public_id, parent_run_id=parent_run_id)
        return await self.submit(
            body, idempotency_key=idempotency_key, priority=priority, run_after=run_after, deadline=deadline
        )

    async def submit(self, body: Mapping[str, Any], **said: Unpack[Said]) -> CreatedRun:
        """Create a run of any kind. `body` is that of POST /runs; `said` are `idempotency_key`, `conversation_policy`,
        `priority`, `run_after` and `deadline`, all optional (`Said`).

        Safe to repeat: it carries an Idempotency-Key, one made up for this call where none is given.
        """
        headers = {"idempotency-key": said.get("idempotency_key") or uuid4().hex}
        query: Query = {"conversation_policy": said.get("conversation_policy"), **query_of(said)}
        call = Call("POST", url_of("runs"), repeatable=True, query=query, body=body, headers=headers)
        return await self._transport.call(call, CreatedRun)

    async def list(
        self,
        *,
        project: str | None = None,
        kind: str | None = None,
        statuses: Sequence[RunStatus | str] = (),
        agent_id: str | None = None,
        target: str | None = None,
        tag: str | None = None,
        parent_run_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Run]:
        """A page of runs, newest first, without their input and output. `cursor` is `Page.next` of the page before.

        `project` is an id or slug; None means the caller's own project.
        """
        query: Query = {
            "kind": kind,
            "status": ",".join(statuses) or None,
            "agent_id": agent_id,
            "target": target,
            "tag": tag,
            "parent": parent_run_id,
            "since": iso(since),
            "until": iso(until),
            "limit": limit,
            "cursor": cursor,
        }
        url = url_of("runs") if project is None else url_of("projects", project, "runs")
        return await self._transport.call(Call("GET", url, repeatable=True, query=query), Page[Run])

    async def get(self, run_id: str) -> Run:
        """One run. ApiError `run_not_found` where there is none, or it is somebody else's."""
        return await self._transport.call(Call("GET", url_of("runs", run_id), repeatable=True), Run)

    async def events(self, run_id: str, *, after: int = 0, limit: int | None = None) -> builtins.list[Event]:
        """At most `limit` events after event id `after`, as the log stands now; an empty list at its end."""
        query: Query = {"after_event_id": after, "limit": limit}
        call = Call("GET", url_of("runs", run_id, "events"), repeatable=True, query=query)
        page = await self._transport.call(call, EventsPage)
        return [Event(event_id=item.event_id, payload=item.payload, created_at=item.created_at) for item in page.data]

    def stream(
        self,
        run_id: str,
        *,
        after: int = 0,
        give_up_after: float | None = 300.0,
        on_interruption: OnInterruption | None = None,
    ) -> AsyncGenerator[Event, None]:
        """The events after event id `after`, past and to come, each once and in order, until the run has ended.

        It reconnects by itself and goes on where it was; `on_interruption` is told. After `give_up_after` seconds
        without contact it raises Unreachable (None: never). A run that waits keeps the stream open.
        """
        log = LogStream(self._transport, run_id, after, give_up_after=give_up_after, on_interruption=on_interruption)
        return log.events()

    async def cancel(self, run_id: str, *, reason: str | None = None) -> CancelledRun:
        """Cancel a run and its children. A run that has ended stays as it is."""
        body = None if reason is None else {"reason": reason}
        call = Call("POST", url_of("runs", run_id, "cancel"), repeatable=True, body=body)
        return await self._transport.call(call, CancelledRun)

    async def tree(self, run_id: str, *, root: bool = False) -> RunTree:
        """A run with everything below it, at most 1,000 runs. `root`: the whole tree that it belongs to."""
        query: Query = {"root": "true" if root else None}
        return await self._transport.call(
            Call("GET", url_of("runs", run_id, "tree"), repeatable=True, query=query), RunTree
        )

    async def cancel_tree(self, run_id: str, *, reason: str | None = None) -> CancelledTree:
        """Cancel everything below a run, and the run unless it has ended; waits for no worker."""
        body = None if reason is None else {"reason": reason}
        call = Call("POST", url_of("runs", run_id, "tree", "cancel"), repeatable=True, body=body)
        return await self._transport.call(call, CancelledTree)

    async def complete(
        self,
        run_id: str,
        status: Literal["completed", "failed", "cancelled"],
        *,
        metadata: Mapping[str, Any] | None = None,
        error_code: str | None = None,
        error_message: str | None = None,
        fence: int | None = None,
    ) -> CompletedRun:
        """End a run that the caller executes. The first end counts; another one changes nothing.

        `fence` is that of an external worker's claim: nothing happens once another worker has the run.
        """
        body = {
            "status": status,
            "metadata": metadata,
            "terminal_error_code": error_code,
            "terminal_error_message": error_message,
        }
        headers = {} if fence is None else {FENCE_HEADER: str(fence)}
        call = Call("POST", url_of("runs", run_id, "complete"), repeatable=True, body=body, headers=headers)
        return await self._transport.call(call, CompletedRun)

    async def resume(self, run_id: str, tool_call_id: str, result: Any, *, is_error: bool = False) -> Accepted:
        """Give a waiting run the result of a tool call: any JSON value of at most 64 KB."""
        body = {"type": "tool_result", "tool_call_id": tool_call_id, "result": result, "is_error": is_error}
        return await self._transport.call(_resume(run_id, body), Accepted)

    async def approve(
        self, run_id: str, tool_call_id: str, *, approved: bool = True, message: str | None = None
    ) -> Accepted:
        """Let a tool call run, or (`approved=False`) not; `message` is what the model is told then."""
        body = {"type": "approval", "tool_call_id": tool_call_id, "approved": approved, "message": message}
        return await self._transport.call(_resume(run_id, body), Accepted)

    async def restart(self, run_id: str, *, fresh: bool | None = None) -> RestartedRun:
        """Start an ended run again. `fresh` forgets its recorded steps (None: only when it had completed)."""
        body = None if fresh is None else {"fresh": fresh}
        call = Call("POST", url_of("runs", run_id, "restart"), repeatable=False, body=body)
        return await self._transport.call(call, RestartedRun)

    async def signal(self, run_id: str, name: str, payload: Any = None) -> Accepted:
        """Write a signal into a run's log; a run that waits for one goes on."""
        call = Call("POST", url_of("runs", run_id, "signals", name), repeatable=False, body=payload)
        return await self._transport.call(call, Accepted)


def _body(kind: str, project_id: str, request: Mapping[str, Any], **named: str | None) -> dict[str, Any]:
    """The body of POST /runs; `named`: members that are left out where they are None."""
    body = {"kind": kind, "owner": {"kind": "project", "id": project_id}, "request": request}
    return {**body, **{name: value for name, value in named.items() if value is not None}}


def _existing(conversation_id: str) -> dict[str, str]:
    return {"conversation_mode": "existing", "conversation_id": conversation_id}


def _resume(run_id: str, body: Mapping[str, Any]) -> Call:
    return Call("POST", url_of("runs", run_id, "resume"), repeatable=True, body=body)
