"""Agents that are reached by a URL, for whoever runs a project: list, put, delete."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.principal import Scope
from perdure.domain.remote_agent import StoredAgent
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, members, nullable, text
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import read_body, read_checked
from perdure.http.schema_check import SchemaCheck
from perdure.services import remote_agents, scoping
from perdure.services.remote_agents import Wanted

_TAG: Final = "ag-ui"
_ALL: Final = "/projects/{ref}/remote-agents"
_ONE: Final = "/projects/{ref}/remote-agents/{agent}"
_MAX_HEADERS: Final = 32


async def list_remote_agents(request: Request) -> Response:
    """GET /projects/{ref}/remote-agents."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_READ)
    project = await scoping.project_by_ref(core, principal, request.path_params["ref"])
    return json_answer({"agents": [_view(agent) for agent in await remote_agents.list_all(core, project.id)]})


async def put_remote_agent(request: Request) -> Response:
    """PUT /projects/{ref}/remote-agents/{agent}."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    project = await scoping.project_by_ref(core, principal, request.path_params["ref"])
    body: Any = read_checked(await read_body(request), _PUT)
    wanted = Wanted(request.path_params["agent"], body["url"], body.get("headers") or {}, body.get("description"))
    return json_answer(_view(await remote_agents.put(core, project.id, wanted, principal.subject)))


async def delete_remote_agent(request: Request) -> Response:
    """DELETE /projects/{ref}/remote-agents/{agent}."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    project = await scoping.project_by_ref(core, principal, request.path_params["ref"])
    await remote_agents.delete(core, project.id, request.path_params["agent"])
    return Response(status_code=204)


def _view(agent: StoredAgent) -> dict[str, object]:
    return {
        "name": agent.name,
        "url": agent.url,
        "header_names": sorted(agent.headers),
        "description": agent.description,
        "created_at": agent.created_at,
        "updated_at": agent.updated_at,
    }


def _put_schema() -> JsonSchema:
    return members(
        {
            "url": text(1, 2048, description="The AG-UI endpoint."),
            "headers": {
                "type": "object",
                "additionalProperties": text(max_length=4096),
                "maxProperties": _MAX_HEADERS,
                "description": "Sent with each request, and never shown.",
            },
            "description": nullable(text(max_length=1024)),
        },
        required=("url",),
    )


def _agent_schema() -> JsonSchema:
    time: JsonSchema = {"type": "string", "format": "date-time"}
    properties = {
        "name": text(1),
        "url": text(1),
        "header_names": array(text()),
        "description": nullable(text()),
        "created_at": time,
        "updated_at": time,
    }
    return members(properties, required=tuple(properties))


_PUT: Final = SchemaCheck(_put_schema())

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_ALL,
        handler=list_remote_agents,
        tag=_TAG,
        summary="List the agents that are reached by a URL",
        scope=Scope.RUNS_READ,
        path_schemas={"ref": text(1)},
        answers={
            200: Answer("The agents, by name.", members({"agents": array(_agent_schema())}, required=("agents",)))
        },
    ),
    Operation(
        method="PUT",
        path=_ONE,
        handler=put_remote_agent,
        tag=_TAG,
        summary="Add or replace an agent that is reached by a URL",
        description="An AG-UI endpoint, which any worker then serves under this name.",
        scope=Scope.RUNS_WRITE,
        path_schemas={"ref": text(1), "agent": text(1, 128)},
        body=Body(_put_schema()),
        answers={200: Answer("The agent.", _agent_schema())},
        problems=(404, 413),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        handler=delete_remote_agent,
        tag=_TAG,
        summary="Forget an agent that is reached by a URL",
        scope=Scope.RUNS_WRITE,
        path_schemas={"ref": text(1), "agent": text(1, 128)},
        answers={204: Answer("It is forgotten.")},
    ),
)
