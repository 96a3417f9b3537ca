"""Push services (veryfront.md 1.8): register and heartbeat for runtimes, the rest for operators."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import PushServiceNotFound
from perdure.domain.ids import PushServiceId
from perdure.domain.principal import Scope
from perdure.domain.project import parse_uuid
from perdure.domain.push_service import SILENT_SECONDS, PushService
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, members, uuid
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import read_as, read_body
from perdure.http.runs.push_service_schemas import (
    REGISTER,
    STATUS,
    RegisterBody,
    StatusBody,
    push_service_schema,
    push_service_view,
    register_schema,
    registration,
    status_schema,
)
from perdure.services import push_services

_TAG: Final = "push services"
_ALL: Final = "/agent-runtimes/push-services"
_ONE: Final = "/agent-runtimes/push-services/{service_id}"
_WHO: Final = "A service of global scope is an administrator's."


async def register_push_service(request: Request) -> Response:
    """POST /agent-runtimes/push-services."""
    principal = await principal_of(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request), RegisterBody, REGISTER)
    return _answer(await push_services.register(core_of(request), principal, registration(body)))


async def push_service_heartbeat(request: Request) -> Response:
    """POST /agent-runtimes/push-services/{service_id}/heartbeat."""
    return _answer(await push_services.heartbeat(core_of(request), await _own(request)))


async def list_push_services(request: Request) -> Response:
    """GET /agent-runtimes/push-services."""
    principal = await principal_of(request, Scope.RUNS_READ)
    found = await push_services.list_all(core_of(request), principal)
    return json_answer({"services": [push_service_view(one) for one in found]})


async def get_push_service(request: Request) -> Response:
    """GET /agent-runtimes/push-services/{service_id}."""
    principal = await principal_of(request, Scope.RUNS_READ)
    return _answer(await push_services.get(core_of(request), principal, _id(request)))


async def change_push_service(request: Request) -> Response:
    """PATCH /agent-runtimes/push-services/{service_id}."""
    service = await _own(request)
    body = read_as(await read_body(request), StatusBody, STATUS)
    return _answer(await push_services.set_status(core_of(request), service, body.status))


async def delete_push_service(request: Request) -> Response:
    """DELETE /agent-runtimes/push-services/{service_id}."""
    await push_services.delete(core_of(request), await _own(request))
    return Response(status_code=204)


async def _own(request: Request) -> PushService:
    principal = await principal_of(request, Scope.RUNS_WRITE)
    return await push_services.own(core_of(request), principal, _id(request))


def _id(request: Request) -> PushServiceId:
    found = parse_uuid(request.path_params["service_id"])
    if found is None:
        raise PushServiceNotFound("A push service's id is a UUID.")
    return PushServiceId(found)


def _answer(service: PushService) -> Response:
    return json_answer({"service": push_service_view(service)})


def _service() -> JsonSchema:
    return members({"service": push_service_schema()}, required=("service",), closed=False)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{_ONE}/heartbeat",
        handler=push_service_heartbeat,
        tag=_TAG,
        summary="Say that a push service is alive",
        description=(
            "It keeps the leases of the runs that the service holds. One that is silent for "
            f"{SILENT_SECONDS} seconds gets no more work, and loses what it holds. {_WHO}"
        ),
        scope=Scope.RUNS_WRITE,
        path_schemas={"service_id": uuid()},
        answers={200: Answer("The service.", _service())},
    ),
    Operation(
        method="POST",
        path=_ALL,
        handler=register_push_service,
        tag=_TAG,
        summary="Register a push service",
        description=(
            "A runtime that runs are sent to. The same `service_key` in the same scope is the same service, which "
            "keeps its id. The server calls only addresses that everybody can reach, and those that "
            f"`PERDURE_EGRESS_ALLOW` opens. {_WHO}"
        ),
        scope=Scope.RUNS_WRITE,
        body=Body(register_schema()),
        answers={200: Answer("The service.", _service())},
        problems=(404, 413),
    ),
    Operation(
        method="GET",
        path=_ALL,
        handler=list_push_services,
        tag=_TAG,
        summary="List the push services of the key's project and the global ones",
        description="An administrator sees those of all projects.",
        scope=Scope.RUNS_READ,
        answers={
            200: Answer(
                "The services, oldest first.",
                members({"services": array(push_service_schema())}, required=("services",), closed=False),
            )
        },
        problems=(),
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler=get_push_service,
        tag=_TAG,
        summary="Read a push service",
        scope=Scope.RUNS_READ,
        path_schemas={"service_id": uuid()},
        answers={200: Answer("The service.", _service())},
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        handler=change_push_service,
        tag=_TAG,
        summary="Disable or enable a push service",
        description=f"A disabled one gets no more work, also when it registers again, and keeps what it holds. {_WHO}",
        scope=Scope.RUNS_WRITE,
        path_schemas={"service_id": uuid()},
        body=Body(status_schema()),
        answers={200: Answer("The service.", _service())},
        problems=(404, 413),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        handler=delete_push_service,
        tag=_TAG,
        summary="Forget a push service",
        description=f"What it holds goes back to the queue when the leases run out. {_WHO}",
        scope=Scope.RUNS_WRITE,
        path_schemas={"service_id": uuid()},
        answers={204: Answer("It is forgotten.")},
    ),
)
