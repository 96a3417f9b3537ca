"""From an error to an answer: RFC 9457 problems, and the one place that maps errors to HTTP statuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from perdure.domain.errors import (
    AgentNotFound,
    AppendRefused,
    Conflict,
    ConversationBusy,
    CursorMismatch,
    EventTooLarge,
    IdempotencyKeyReused,
    InvalidRequest,
    LeaseLost,
    NotAllowed,
    NotAuthenticated,
    NotBuilt,
    NotFound,
    PayloadTooLarge,
    PerdureError,
    PreconditionFailed,
    RunExists,
    RunIsTerminal,
    RunNotActive,
    RunNotTerminal,
    SignedUrlRefused,
    TerminalRun,
    ToolResultConflict,
    ToolResultNotWaiting,
    Unavailable,
    WaitingRun,
    WorkerNotFound,
)
from perdure.domain.json_text import pointer_token
from perdure.domain.webhook import SignatureRefused
from perdure.http.json_schema import JsonSchema, integer, members, text

REQUEST_ID: Final = "perdure.request_id"
"""Where the edge keeps a request's id in the ASGI scope."""

TOKENS_PREFIX: Final = "/sts/"
AGENTS_PREFIXES: Final = ("/api/v1/", TOKENS_PREFIX)
"""Where the Agent Runs dialect is."""

PROBLEM_JSON: Final = "application/problem+json"

Handler = Callable[[Request, Any], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Mapped:
    """How an error class is answered: HTTP status, what a caller can do about it, and headers beside the problem's."""

    status: int
    suggestion: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


_STATUSES: Final[Mapping[type[PerdureError], Mapped]] = MappingProxyType(
    {
        PerdureError: Mapped(500),
        InvalidRequest: Mapped(400),
        PayloadTooLarge: Mapped(413, "Send less at once."),
        NotAuthenticated: Mapped(401, "Send a valid API key or token.", (("WWW-Authenticate", "Bearer"),)),
        SignatureRefused: Mapped(
            401, "Sign the body with the webhook's secret, and send it at once.", (("WWW-Authenticate", "Signature"),)
        ),
        NotAllowed: Mapped(403, "Use a key or token that holds the scope which this route needs."),
        SignedUrlRefused: Mapped(403, "Ask for a new signed URL."),
        NotFound: Mapped(404),
        PreconditionFailed: Mapped(412, "Read the artifact again, and write with its generation."),
        AgentNotFound: Mapped(404, "Start a worker that serves the agent, or send initial_status `running`."),
        WorkerNotFound: Mapped(404, "Register the worker again, and go on with the id and token of the answer."),
        Conflict: Mapped(409),
        LeaseLost: Mapped(409, "Stop working on the run; claim another."),
        ConversationBusy: Mapped(409, "Wait for the run to end, or cancel it; or send conversation_policy `enqueue`."),
        RunExists: Mapped(409, "Choose another public_id."),
        IdempotencyKeyReused: Mapped(409, "Use a new Idempotency-Key for a new request."),
        RunNotTerminal: Mapped(409, "Wait for the run to end, or cancel it first."),
        RunIsTerminal: Mapped(409, "Restart the run first."),
        ToolResultConflict: Mapped(409, "The first result counts: read the run's events for it."),
        ToolResultNotWaiting: Mapped(409, "Read the run: its `waiting` says which calls it waits for."),
        RunNotActive: Mapped(410, "Restart the run to go on."),
        # An append is refused with 400 whatever the reason: clients know the reason by its exact detail, and retry
        # every other status (veryfront.md section 0, rules 1-4, and section 4).
        AppendRefused: Mapped(400),
        CursorMismatch: Mapped(400, "Read the run for its cursors, then send what is missing after them."),
        TerminalRun: Mapped(400, "Stop appending: the run has ended."),
        WaitingRun: Mapped(400, "Resume the run first."),
        EventTooLarge: Mapped(400, "Split the event, or put its content elsewhere and append a reference to it."),
        NotBuilt: Mapped(501),
        Unavailable: Mapped(503, "Try again in a moment.", (("Retry-After", "1"),)),
    }
)

_CATEGORIES: Final = MappingProxyType(
    {400: "validation", 401: "authentication", 403: "authorization", 404: "not_found", 405: "not_found",
     409: "conflict", 410: "conflict", 412: "conflict", 413: "validation", 503: "unavailable"}
)  # fmt: skip

_WITH_ERROR_MEMBER: Final = frozenset({ToolResultConflict.code, ToolResultNotWaiting.code, RunNotActive.code})
"""Codes that clients look for in a member `error` (veryfront.md 3.3). Other problems have no such member: the append
client cannot read an answer whose `error` is not a string (veryfront.md 1.1)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a problem document says. `pointer` is the JSON pointer of the offending place in the request's body; `error`
    is the word of a protocol that has its own (OAuth, the token exchange of the Agent Runs API); `run_id` the run that
    stands in the way."""

    status: int
    code: str
    detail: str
    pointer: str | None = None
    suggestion: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    run_id: str | None = None


def mapped(kind: type[PerdureError]) -> Mapped:
    """How errors of a class are answered: as the nearest of its base classes that the table knows."""
    return next(_STATUSES[base] for base in kind.__mro__ if base in _STATUSES)


def problem_of(error: PerdureError) -> Problem:
    """An error of ours as a problem. One that the table maps to 500 keeps its detail to itself."""
    found = mapped(type(error))
    if found.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return internal_problem()
    pointer = error.pointer if isinstance(error, InvalidRequest) else None
    run_id = error.run_id if isinstance(error, ConversationBusy) else None
    return Problem(found.status, error.code, error.detail, pointer, found.suggestion, found.headers, run_id=run_id)


def internal_problem() -> Problem:
    """What a caller sees of an error that nobody expected."""
    return Problem(
        500, PerdureError.code, "The server met an error of its own.", suggestion="Report it with its request_id."
    )


def problem_response(scope: Scope, problem: Problem) -> Response:
    """The answer to the request of `scope`, in the words of its dialect."""
    if scope["path"].startswith(AGENTS_PREFIXES):
        return _agents_error(problem)
    category = _CATEGORIES.get(problem.status, "internal" if problem.status >= 500 else "validation")
    body: dict[str, object] = {
        "type": f"urn:perdure:problem:{problem.code.lower()}",
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance_of(scope),
        "code": problem.code,
        "category": category,
        "request_id": scope.get(REQUEST_ID),
    }
    if problem.pointer is not None:
        body["pointer"] = problem.pointer
    if problem.run_id is not None:
        body["run_id"] = problem.run_id
    if problem.suggestion is not None:
        body["suggestion"] = problem.suggestion
    if problem.error is not None or problem.code in _WITH_ERROR_MEMBER:
        body["error"] = problem.error or problem.code
    return Response(msgspec.json.encode(body), problem.status, dict(problem.headers), PROBLEM_JSON)


def _agents_error(problem: Problem) -> Response:
    """The Agent Runs dialect's own closed object (vertesia.md 1.10)."""
    body: dict[str, object] = {
        "error": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "message": problem.detail,
    }
    more = [text for text in (problem.pointer and f"At {problem.pointer}.", problem.suggestion) if text]
    if more:
        body["details"] = " ".join(more)
    if problem.error is not None:
        body["errorCode"] = problem.error
    return Response(msgspec.json.encode(body), problem.status, dict(problem.headers), "application/json")


def instance_of(scope: Scope) -> str:
    """The request's path as it was sent, still encoded."""
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw else scope["path"].encode("ascii", "backslashreplace").decode()


async def _on_error(request: Request, error: PerdureError) -> Response:
    return problem_response(request.scope, problem_of(error))


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    """What the framework itself refuses: unknown routes and methods, malformed or large bodies."""
    status = error.status_code
    where = f"{request.method} {instance_of(request.scope)}"
    code, detail = {
        404: ("route_not_found", f"There is no route {where}."),
        405: ("method_not_allowed", f"There is no route {where}; the header Allow names the methods that there are."),
        413: (PayloadTooLarge.code, "The body is too large."),
    }.get(status, (HTTPStatus(status).phrase.lower().replace(" ", "_"), str(error.detail)))
    headers = tuple((error.headers or {}).items())
    return problem_response(request.scope, Problem(status, code, detail, headers=headers))


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    """A request that does not fit its declared model: 400, never 422 (veryfront.md section 4)."""
    first = error.errors()[0]
    part, *steps = first["loc"]
    place = "".join(map(pointer_token, steps)) if part == "body" else None
    where = f"`{place}`" if place else f"the {part}" if part == "body" else f"{part} parameter `{steps[-1]}`"
    return problem_response(
        request.scope, Problem(400, InvalidRequest.code, f"{first['msg']}: {where}.", pointer=place)
    )


EXCEPTION_HANDLERS: Final[Mapping[type[Exception], Handler]] = MappingProxyType(
    {
        PerdureError: _on_error,
        HTTPException: _on_http_exception,
        RequestValidationError: _on_validation_error,
    }
)
"""What the application hands to the framework. Errors that nobody expected are caught by the edge."""


def problem_schema() -> JsonSchema:
    """The JSON Schema of every problem that we answer."""
    known = {
        "type": text(description="A URI that names the kind of problem."),
        "title": text(),
        "status": integer(400),
        "detail": text(description="What happened, for a person."),
        "instance": text(description="The path of the request."),
        "code": text(1, description="The stable name of the kind of problem, for programs."),
        "category": text(),
        "request_id": text(description="The same as in the header X-Request-Id."),
    }
    optional = {
        "pointer": text(description="JSON pointer of the offending place in the request's body."),
        "suggestion": text(description="What to do about it."),
        "run_id": text(1, description="The live run that stands in the way (`conversation_busy`)."),
        "error": text(1, description="The code once more, for tool results; from POST /auth/token RFC 6749's."),
    }
    return members({**known, **optional}, required=tuple(known), closed=False, title="Problem")
