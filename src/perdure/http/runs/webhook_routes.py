"""Webhooks (veryfront.md 1.10): list, create, read, change, delete, their runs, and the address of their deliveries."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import Unavailable
from perdure.domain.principal import Principal, Scope
from perdure.domain.project import Project, parse_uuid
from perdure.domain.webhook import MAX_PAYLOAD, Webhook, WebhookId, WebhookNotFound
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import array, free_object, integer, members, text, uuid
from perdure.http.operations import Answer, Body, Operation, header, json_answer, query
from perdure.http.requests import integer_query, read_as, read_body
from perdure.http.runs.webhook_mapping import changed, delivery_view, run_view, wanted, webhook_view
from perdure.http.runs.webhook_schemas import (
    CHANGE,
    CREATE,
    ChangeBody,
    CreateBody,
    change_schema,
    create_schema,
    delivery_schema,
    runs_schema,
    webhook_schema,
)
from perdure.services import scoping, webhooks

_TAG: Final = "webhooks"
_ALL: Final = "/projects/{ref}/webhooks"
_ONE: Final = "/projects/{ref}/webhooks/{webhook_id}"
_MAX_BODY: Final = 256 * 1024
_TRIES: Final = 5
_DEFAULT_PAGE: Final = 50


async def list_webhooks(request: Request) -> Response:
    """GET /projects/{ref}/webhooks."""
    _, project = await _place(request, Scope.RUNS_READ)
    found = await webhooks.list_all(core_of(request), project.id)
    return json_answer({"webhooks": [webhook_view(one) for one in found]})


async def create_webhook(request: Request) -> Response:
    """POST /projects/{ref}/webhooks."""
    principal, project = await _place(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request, _MAX_BODY), CreateBody, CREATE)
    made = await webhooks.create(
        core_of(request), project.id, body.signature, wanted(body), created_by=principal.subject
    )
    return _with_secret(made, 201)


async def get_webhook(request: Request) -> Response:
    """GET /projects/{ref}/webhooks/{webhook_id}."""
    _, project = await _place(request, Scope.RUNS_READ)
    return json_answer(webhook_view(await webhooks.get(core_of(request), project.id, _id(request))))


async def change_webhook(request: Request) -> Response:
    """PATCH /projects/{ref}/webhooks/{webhook_id}."""
    core = core_of(request)
    _, project = await _place(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request, _MAX_BODY), ChangeBody, CHANGE)
    for _ in range(_TRIES):
        known = await webhooks.get(core, project.id, _id(request))
        stored = await webhooks.change(core, known, changed(known, body))
        if stored is not None:
            return json_answer(webhook_view(stored)) if stored.secret == known.secret else _with_secret(stored, 200)
    raise Unavailable("The webhook changes all the time. Try again.")


async def delete_webhook(request: Request) -> Response:
    """DELETE /projects/{ref}/webhooks/{webhook_id}."""
    _, project = await _place(request, Scope.RUNS_WRITE)
    await webhooks.delete(core_of(request), project.id, _id(request))
    return Response(status_code=204)


async def list_webhook_runs(request: Request) -> Response:
    """GET /projects/{ref}/webhooks/{webhook_id}/runs."""
    core = core_of(request)
    _, project = await _place(request, Scope.RUNS_READ)
    limit = integer_query(request, "limit", _DEFAULT_PAGE, 1, webhooks.MAX_PAGE)
    webhook = await webhooks.get(core, project.id, _id(request))
    return json_answer({"runs": [run_view(one) for one in await webhooks.runs(core, webhook, limit)]})


async def deliver(request: Request) -> Response:
    """POST /webhooks/{webhook_id}."""
    found = parse_uuid(request.path_params["webhook_id"])
    body = await read_body(request, MAX_PAYLOAD)
    delivered = await webhooks.deliver(
        core_of(request), None if found is None else WebhookId(found), request.headers, body
    )
    return json_answer(delivery_view(delivered), 202)


async def _place(request: Request, scope: Scope) -> tuple[Principal, Project]:
    principal = await principal_of(request, scope)
    return principal, await scoping.project_by_ref(core_of(request), principal, request.path_params["ref"])


def _id(request: Request) -> WebhookId:
    found = parse_uuid(request.path_params["webhook_id"])
    if found is None:
        raise WebhookNotFound("A webhook's id is a UUID.")
    return WebhookId(found)


def _with_secret(webhook: Webhook, status: int) -> Response:
    answer = json_answer(webhook_view(webhook, with_secret=True), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


LIST: Final = Operation(
    method="GET",
    path=_ALL,
    handler=list_webhooks,
    tag=_TAG,
    summary="List the webhooks of a project",
    description="All of them, oldest first.",
    scope=Scope.RUNS_READ,
    path_schemas={"ref": text(1)},
    answers={200: Answer("The webhooks.", members({"webhooks": array(webhook_schema())}, required=("webhooks",)))},
)

MAKE: Final = Operation(
    method="POST",
    path=_ALL,
    handler=create_webhook,
    tag=_TAG,
    summary="Create a webhook",
    description=(
        "Deliveries to its `path` that are signed with its `secret` and pass its `filter` start a run of its "
        "`template`. The answer tells the secret, which nobody can read again."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1)},
    body=Body(create_schema()),
    answers={201: Answer("The webhook, with its secret.", webhook_schema())},
    problems=(404, 413),
)

GET: Final = Operation(
    method="GET",
    path=_ONE,
    handler=get_webhook,
    tag=_TAG,
    summary="Read a webhook",
    scope=Scope.RUNS_READ,
    path_schemas={"ref": text(1), "webhook_id": uuid()},
    answers={200: Answer("The webhook.", webhook_schema())},
)

PATCH: Final = Operation(
    method="PATCH",
    path=_ONE,
    handler=change_webhook,
    tag=_TAG,
    summary="Change, pause or resume a webhook, or give it another secret",
    description=(
        "What is absent stays. `rotate_secret` makes a new secret, which the answer tells; `secret` takes one of the "
        "sender's. The former is good for nothing from then on."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1), "webhook_id": uuid()},
    body=Body(change_schema()),
    answers={200: Answer("The webhook, with its secret where that is new.", webhook_schema())},
    problems=(404, 413),
)

DELETE: Final = Operation(
    method="DELETE",
    path=_ONE,
    handler=delete_webhook,
    tag=_TAG,
    summary="Delete a webhook",
    description="Its runs stay.",
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1), "webhook_id": uuid()},
    answers={204: Answer("It is gone.")},
)

RUNS: Final = Operation(
    method="GET",
    path=f"{_ONE}/runs",
    handler=list_webhook_runs,
    tag=_TAG,
    summary="List the runs of a webhook",
    description="The newest deliveries that started a run, newest first.",
    scope=Scope.RUNS_READ,
    parameters=(query("limit", {**integer(1), "maximum": webhooks.MAX_PAGE}, "How many; 50 unless it is said."),),
    path_schemas={"ref": text(1), "webhook_id": uuid()},
    answers={200: Answer("The runs.", runs_schema())},
)

DELIVER: Final = Operation(
    method="POST",
    path="/webhooks/{webhook_id}",
    handler=deliver,
    tag=_TAG,
    summary="Deliver to a webhook",
    description=(
        "For the sender: the signature says who it is, and no key is needed. A delivery that comes again, by its "
        "`webhook-id` or `X-GitHub-Delivery` or else by its body, has one run. A missing, wrong or old signature is "
        "answered like a webhook that does not exist."
    ),
    scope=None,
    parameters=(
        header("webhook-id", text(), "Of the delivery (standard)."),
        header("webhook-timestamp", text(), "Seconds since 1970, at most five minutes from now (standard)."),
        header("webhook-signature", text(), "`v1,<base64>`, or several with spaces between them (standard)."),
        header("X-Hub-Signature-256", text(), "`sha256=<hex>` (github)."),
        header("X-GitHub-Delivery", text(), "Of the delivery (github)."),
        header("X-GitHub-Event", text(), "The name of the event (github)."),
    ),
    path_schemas={"webhook_id": text(1)},
    body=Body(free_object("The payload, at most 64 KB.")),
    answers={202: Answer("What became of it.", delivery_schema())},
    problems=(401, 413),
)

WEBHOOK_OPERATIONS: Final = (DELIVER, LIST, MAKE, GET, PATCH, DELETE, RUNS)
