"""Batches of tasks: up to 10,000 task runs in one request, their progress, their cancel."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.batch import MAX_REQUESTS, Batch, BatchId, BatchNotFound
from perdure.domain.ids import ProjectId, new_uuid
from perdure.domain.principal import Principal, Scope
from perdure.domain.project import parse_uuid
from perdure.domain.run import Status
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, boolean, choice, integer, members, nullable, text, uuid
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import read_body, read_checked
from perdure.http.runs.create_body import BODY_BYTES, task_body
from perdure.http.runs.create_schema import project_owner_schema, task_request_schema
from perdure.http.runs.mapping import fingerprint_of, iso, run_request
from perdure.http.runs.scheduling import PARAMETERS as SCHEDULING
from perdure.http.runs.scheduling import scheduling_of
from perdure.http.schema_check import SchemaCheck
from perdure.services import batches, scoping

_TAG: Final = "batches"
_STATUSES: Final = ("pending", "running", "cancelling", "completed", "failed", "cancelled")


def create_batch_schema() -> JsonSchema:
    """The body of POST /batches."""
    return members(
        {
            "batch_id": uuid("The batch's id, chosen by the caller. Makes a repeated request safe."),
            "owner": project_owner_schema(),
            "requests": {
                **array(task_request_schema(in_batch=True), max_items=MAX_REQUESTS),
                "minItems": 1,
                "description": "One task run each: what `request` of POST /runs says.",
            },
        },
        required=("requests",),
    )


def batch_schema() -> JsonSchema:
    """A batch."""
    counts = members({status: integer(0) for status in Status}, required=tuple(Status))
    return members(
        {
            "batch_id": uuid(),
            "status": choice(*_STATUSES),
            "total": integer(0, description="All of its runs."),
            "ended": integer(0, description="Those that have ended, however."),
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "counts": counts,
            "created_at": text(),
            "cancelled_at": nullable(text()),
        },
        required=("batch_id", "status", "total", "ended", "progress", "counts", "created_at", "cancelled_at"),
    )


_CREATE: Final = SchemaCheck(create_batch_schema())


async def create_batch(request: Request) -> Response:
    """POST /batches."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    body = await read_body(request, BODY_BYTES)
    document: Any = read_checked(body, _CREATE)
    owner = UUID(document["owner"]["id"]) if "owner" in document else principal.project_id
    project_id = await scoping.project_for_owner(core, principal, "project", owner)
    named, scheduling = document.get("batch_id"), scheduling_of(request)
    created = await batches.create(
        core,
        project_id,
        BatchId(UUID(named) if named is not None else new_uuid(core.clock())),
        [
            run_request(
                task_body(owner, one), idempotency_key=None, created_by=principal.subject, scheduling=scheduling
            )
            for one in document["requests"]
        ],
        fingerprint=fingerprint_of(document, scheduling),
        created_by=principal.subject,
    )
    answer = {
        "accepted": True,
        "duplicate": created.duplicate,
        "batch": _view(created.batch),
        "run_ids": created.run_ids,
    }
    return json_answer(answer, 202)


async def get_batch(request: Request) -> Response:
    """GET /batches/{batch_id}."""
    _, project_id, batch_id = await _place(request, Scope.RUNS_READ)
    return json_answer(_view(await batches.get(core_of(request), project_id, batch_id)))


async def cancel_batch(request: Request) -> Response:
    """POST /batches/{batch_id}/cancel."""
    principal, project_id, batch_id = await _place(request, Scope.RUNS_WRITE)
    batch = await batches.cancel(core_of(request), project_id, batch_id, principal.subject)
    return json_answer({"cancelled": batch.cancelled_at is not None, "batch": _view(batch)})


async def _place(request: Request, scope: Scope) -> tuple[Principal, ProjectId, BatchId]:
    principal = await principal_of(request, scope)
    batch_id = _id(request)
    return principal, await scoping.project_of_batch(core_of(request), principal, batch_id), batch_id


def _id(request: Request) -> BatchId:
    found = parse_uuid(request.path_params["batch_id"])
    if found is None:
        raise BatchNotFound("A batch's id is a UUID.")
    return BatchId(found)


def _view(batch: Batch) -> dict[str, object]:
    return {
        "batch_id": str(batch.id),
        "status": batch.status,
        "total": batch.total,
        "ended": batch.ended,
        "progress": batch.ended / batch.total if batch.total else 1.0,
        "counts": {str(status): batch.counts.get(status, 0) for status in Status},
        "created_at": iso(batch.created_at),
        "cancelled_at": None if batch.cancelled_at is None else iso(batch.cancelled_at),
    }


CREATE: Final = Operation(
    method="POST",
    path="/batches",
    handler=create_batch,
    tag=_TAG,
    summary="Start many task runs",
    description="All of them or none. The same `batch_id` with the same requests makes them once.",
    scope=Scope.RUNS_WRITE,
    parameters=SCHEDULING,
    body=Body(create_batch_schema()),
    answers={
        202: Answer(
            "The batch is accepted, or it was before (`duplicate`).",
            members(
                {
                    "accepted": boolean(),
                    "duplicate": boolean(),
                    "batch": batch_schema(),
                    "run_ids": array(text(), description="In the order of the requests."),
                },
                required=("accepted", "duplicate", "batch", "run_ids"),
            ),
        )
    },
    problems=(404, 409, 413),
)

GET: Final = Operation(
    method="GET",
    path="/batches/{batch_id}",
    handler=get_batch,
    tag=_TAG,
    summary="Read how far a batch is",
    description="The runs of a batch are those sent with it, and task runs that name its `batch_id`.",
    scope=Scope.RUNS_READ,
    path_schemas={"batch_id": uuid()},
    answers={200: Answer("The batch.", batch_schema())},
)

CANCEL: Final = Operation(
    method="POST",
    path="/batches/{batch_id}/cancel",
    handler=cancel_batch,
    tag=_TAG,
    summary="Cancel a batch",
    description="All of its live runs are cancelled; of a large batch, many of them after the answer.",
    scope=Scope.RUNS_WRITE,
    path_schemas={"batch_id": uuid()},
    answers={
        200: Answer(
            "The batch; `cancelled` is false where nothing was left to cancel.",
            members({"cancelled": boolean(), "batch": batch_schema()}, required=("cancelled", "batch")),
        )
    },
)

OPERATIONS: Final[tuple[Operation, ...]] = (CREATE, GET, CANCEL)
