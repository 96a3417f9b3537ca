"""Routes without the framework's per-field work: a handler takes the Request and answers bytes, and describes itself.

What a handler does is said beside it as an `Operation`; `routes_of` serves the operations, `paths_of` publishes them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from perdure.domain.principal import Scope
from perdure.http.errors import AGENTS_PREFIXES, PROBLEM_JSON, TOKENS_PREFIX
from perdure.http.json_schema import JsonSchema, text, uuid

Handler = Callable[[Request], Awaitable[ASGIApp]]

JSON: Final = "application/json"
PROBLEM_REF: Final = "#/components/schemas/Problem"
AGENT_ERROR_REF: Final = "#/components/schemas/AgentError"
TOKEN_ERROR_REF: Final = "#/components/schemas/TokenError"
SECURITY: Final = ("bearerAuth", "apiKeyAuth")

_PARAMETER: Final = re.compile(r"{(\w+)}")
_CONVERTED: Final = re.compile(r"{(\w+):\w+}")
_PROBLEMS: Final = MappingProxyType(
    {
        400: "The request is not valid; `pointer` names the place.",
        401: "There is no valid API key or token.",
        403: "The key or token does not hold the scope.",
        404: "There is no such thing, or it belongs to somebody else.",
        409: "The request contradicts what is stored.",
        410: "The run has ended.",
        412: "It is not as the request expects it to be.",
        413: "The body is too large.",
        416: "The file has no such bytes.",
        501: "This part of the protocol is not built.",
        503: "The server cannot do this just now; try again.",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: what it means, its schema, and its media type."""

    description: str
    schema: JsonSchema | None = None
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Body:
    """A request's JSON body."""

    schema: JsonSchema
    required: bool = True
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `scope` is what the principal must hold, None where nobody is asked who calls; `problems` are the statuses of
    problems beyond 400 and 503, and 401 and 403 where there is a scope.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    scope: Scope | None
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: Sequence[JsonSchema] = ()
    body: Body | None = None
    problems: tuple[int, ...] = (404,)
    path_schemas: Mapping[str, JsonSchema] = field(default_factory=dict)
    name: str | None = None

    @property
    def published_path(self) -> str:
        """The path as OpenAPI writes it: without saying which parameter may hold slashes."""
        return _CONVERTED.sub(r"{\1}", self.path)


def json_answer(value: object, status: int = 200) -> Response:
    """A value of ours (structs, dicts) as a JSON answer."""
    return Response(msgspec.json.encode(value), status, media_type=JSON)


def raw_answer(body: bytes, status: int = 200) -> Response:
    """JSON text as an answer."""
    return Response(body, status, media_type=JSON)


def query(name: str, schema: JsonSchema, description: str) -> JsonSchema:
    """A query parameter, for the published description."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def header(name: str, schema: JsonSchema, description: str) -> JsonSchema:
    """A request header, for the published description."""
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


class Endpoint:
    """An ASGI application: the handlers of one path, by method."""

    def __init__(self, path: str, handlers: Mapping[str, Handler]) -> None:
        self.path = path
        self._handlers = handlers

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request; errors go up to the application's handlers."""
        method = scope["method"]
        answer = await self._handlers["GET" if method == "HEAD" else method](Request(scope, receive, send))
        await answer(scope, receive, send)


def routes_of(operations: Sequence[Operation]) -> list[Route]:
    """One route for each path, in the order of the operations (the first that matches is taken: hot ones go first)."""
    handlers: dict[str, dict[str, Handler]] = {}
    for operation in operations:
        handlers.setdefault(operation.path, {})[operation.method] = operation.handler
    return [
        Route(path, Endpoint(path, MappingProxyType(methods)), methods=list(methods), include_in_schema=False)
        for path, methods in handlers.items()
    ]


def paths_of(operations: Sequence[Operation]) -> dict[str, dict[str, Any]]:
    """The operations as `paths` of an OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.published_path, {})[operation.method.lower()] = _described(operation)
    return paths


def problem_answer(status: int, path: str = "/") -> dict[str, Any]:
    """The OpenAPI description of a problem, in the words of the path's dialect."""
    media_type, reference = PROBLEM_JSON, PROBLEM_REF
    if path.startswith(AGENTS_PREFIXES):
        media_type, reference = JSON, TOKEN_ERROR_REF if path.startswith(TOKENS_PREFIX) else AGENT_ERROR_REF
    return {"description": _PROBLEMS[status], "content": {media_type: {"schema": {"$ref": reference}}}}


def _described(operation: Operation) -> dict[str, Any]:
    problems = {400, 503, *operation.problems, *(() if operation.scope is None else (401, 403))}
    needs = "" if operation.scope is None else f"Scope: `{operation.scope}`."
    described: dict[str, Any] = {
        "operationId": operation.name or getattr(operation.handler, "__name__", operation.path),
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description}\n\n{needs}".strip(),
        **({} if operation.scope is None else {"security": [{name: []} for name in SECURITY]}),
        "parameters": [*_path_parameters(operation), *operation.parameters],
        "responses": {
            **{str(status): _answered(answer) for status, answer in operation.answers.items()},
            **{str(status): problem_answer(status, operation.path) for status in sorted(problems)},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body.required,
            "content": {JSON: {"schema": operation.body.schema}},
            **({"description": operation.body.description} if operation.body.description else {}),
        }
    return described


def _path_parameters(operation: Operation) -> list[JsonSchema]:
    known = {"run_id": text(1, 128), "conversation_id": uuid(), **operation.path_schemas}
    return [
        {"name": name, "in": "path", "required": True, "schema": known[name]}
        for name in _PARAMETER.findall(operation.published_path)
    ]


def _answered(answer: Answer) -> dict[str, Any]:
    if answer.schema is None:
        return {"description": answer.description}
    return {"description": answer.description, "content": {answer.media_type: {"schema": answer.schema}}}
