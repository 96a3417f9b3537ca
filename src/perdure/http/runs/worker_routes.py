"""External workers (veryfront.md 1.7): register, heartbeat, claim, renew, session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import WorkerNotFound
from perdure.domain.external_worker import ExternalWorker
from perdure.domain.ids import WorkerId
from perdure.domain.principal import Scope
from perdure.http.context import core_of
from perdure.http.deps import presented_by, principal_of
from perdure.http.json_schema import JsonSchema, members, text, uuid
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import read_as, read_body, run_id_of
from perdure.http.runs.worker_mapping import claimed_view, json_or_none, registration, session_view, worker_view
from perdure.http.runs.worker_schemas import (
    CLAIM,
    LEASE,
    REGISTER,
    SESSION,
    LeaseBody,
    RegisterBody,
    SessionBody,
    claim_schema,
    claimed_run_schema,
    lease_schema,
    register_schema,
    session_schema,
    worker_schema,
    worker_session_schema,
)
from perdure.services import external_workers, scoping
from perdure.services.queue_watch import QueueWatch

_TAG: Final = "workers"
_WHO: Final = "The worker's own token is accepted, and keys of its project that hold the scope."


async def register_worker(request: Request) -> Response:
    """POST /agent-workers/projects/{ref}/workers."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    project = await scoping.project_by_ref(core, principal, request.path_params["ref"])
    body = read_as(await read_body(request), RegisterBody, REGISTER)
    made = await external_workers.register(core, project.id, registration(body))
    return json_answer({"worker": worker_view(made.worker), "token": made.token}, 201)


async def worker_heartbeat(request: Request) -> Response:
    """POST /agent-workers/workers/{worker_id}/heartbeat."""
    worker = await external_workers.heartbeat(core_of(request), await _worker_of(request))
    return json_answer({"worker": worker_view(worker)})


async def claim_run(request: Request) -> Response:
    """POST /agent-workers/workers/{worker_id}/claim."""
    worker = await _worker_of(request)
    body = await read_body(request)
    wanted = read_as(body, LeaseBody, CLAIM) if body.strip() else LeaseBody()
    watch: QueueWatch = request.app.state.queue_watch
    async with _until_gone(request) as gone:
        claimed = await external_workers.claim(
            core_of(request),
            watch,
            worker,
            lease_seconds=wanted.lease_duration_seconds,
            wait_seconds=wanted.wait_seconds,
            gone=gone,
        )
    return json_answer({"run": claimed_view(claimed)})


async def renew_lease(request: Request) -> Response:
    """POST /agent-workers/workers/{worker_id}/runs/{run_id}/lease."""
    worker = await _worker_of(request)
    body = await read_body(request)
    wanted = read_as(body, LeaseBody, LEASE) if body.strip() else LeaseBody()
    run_id = run_id_of(request)
    held = await external_workers.renew(core_of(request), worker, run_id, wanted.lease_duration_seconds)
    return json_answer({"run": claimed_view(held)})


async def record_session(request: Request) -> Response:
    """PUT /agent-workers/workers/{worker_id}/runs/{run_id}/session."""
    worker = await _worker_of(request)
    body = read_as(await read_body(request), SessionBody, SESSION)
    session = await external_workers.record_session(
        core_of(request),
        worker,
        run_id_of(request),
        session_key=body.session_key,
        status=body.status,
        metadata=json_or_none(body.metadata),
    )
    return json_answer({"session": session_view(session)})


async def _worker_of(request: Request) -> ExternalWorker:
    """The worker that the path names, for itself (its token) or for its project's keys.

    Raises NotAuthenticated, NotAllowed and WorkerNotFound.
    """
    core = core_of(request)
    credential, bearer = presented_by(request)
    worker_id = _worker_id(request.path_params["worker_id"])
    if bearer and worker_id is not None:
        worker = await external_workers.recognise(core, worker_id, credential)
        if worker is not None:
            return worker
    principal = await principal_of(request, Scope.RUNS_WRITE)
    if worker_id is None:
        raise WorkerNotFound("A worker's id is a UUID.")
    return await external_workers.get(core, principal, worker_id)


def _worker_id(segment: str) -> WorkerId | None:
    try:
        return WorkerId(UUID(segment))
    except ValueError:
        return None


@asynccontextmanager
async def _until_gone(request: Request) -> AsyncIterator[asyncio.Event]:
    """An event that is set when the client of a request, whose body was read, has gone away."""
    gone = asyncio.Event()

    async def listen() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    listening = asyncio.create_task(listen(), name="until-gone")
    try:
        yield gone
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _has(**known: JsonSchema) -> JsonSchema:
    return members(known, required=tuple(known), closed=False)


REGISTER_WORKER: Final = Operation(
    method="POST",
    path="/agent-workers/projects/{ref}/workers",
    handler=register_worker,
    tag=_TAG,
    summary="Register an external worker",
    description=(
        "Each registration is a worker of its own, also with the same `worker_key`. It takes the runs of its project "
        "that name its `implementation_kind`, but not those that name another `worker_key`."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1)},
    body=Body(register_schema()),
    answers={
        201: Answer(
            "The worker, and its token, which is told this once.",
            _has(worker=worker_schema(), token=text(1)),
        )
    },
    problems=(404, 413),
)

WORKER_HEARTBEAT: Final = Operation(
    method="POST",
    path="/agent-workers/workers/{worker_id}/heartbeat",
    handler=worker_heartbeat,
    tag=_TAG,
    summary="Say that a worker is alive",
    description=f"A worker that is silent for a week is forgotten. {_WHO}",
    scope=Scope.RUNS_WRITE,
    path_schemas={"worker_id": uuid()},
    answers={200: Answer("The worker.", _has(worker=worker_schema()))},
    problems=(404,),
)

CLAIM_RUN: Final = Operation(
    method="POST",
    path="/agent-workers/workers/{worker_id}/claim",
    handler=claim_run,
    tag=_TAG,
    summary="Take a run for a worker",
    description=(
        "The run is leased to the worker: it renews the lease before it expires, or loses the run to another worker. "
        f"With `wait_seconds` the answer waits for work, so that nobody has to poll. {_WHO}"
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"worker_id": uuid()},
    body=Body(claim_schema(), required=False),
    answers={200: Answer("The run, or null where there is none.", _has(run=claimed_run_schema()))},
    problems=(404, 413),
)

RENEW_LEASE: Final = Operation(
    method="POST",
    path="/agent-workers/workers/{worker_id}/runs/{run_id}/lease",
    handler=renew_lease,
    tag=_TAG,
    summary="Renew a worker's lease",
    description=(
        "Null: the worker does not hold the run any more, because the lease expired, or the run has ended or is to be "
        f"cancelled. It must stop working on it. {_WHO}"
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"worker_id": uuid()},
    body=Body(lease_schema(), required=False),
    answers={200: Answer("The run, or null where the lease is lost.", _has(run=claimed_run_schema()))},
    problems=(404, 413),
)

RECORD_SESSION: Final = Operation(
    method="PUT",
    path="/agent-workers/workers/{worker_id}/runs/{run_id}/session",
    handler=record_session,
    tag=_TAG,
    summary="Record a worker's session for a run",
    description=f"A worker that takes the run over is told it as `worker_session`. {_WHO}",
    scope=Scope.RUNS_WRITE,
    path_schemas={"worker_id": uuid()},
    body=Body(session_schema()),
    answers={200: Answer("The session.", _has(session=worker_session_schema()))},
    problems=(404, 409, 413),
)

WORKER_OPERATIONS: Final = (CLAIM_RUN, RENEW_LEASE, WORKER_HEARTBEAT, RECORD_SESSION, REGISTER_WORKER)
