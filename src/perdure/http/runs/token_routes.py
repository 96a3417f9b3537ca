"""The server's own tokens (veryfront.md 1.3 and 1.10): for writers of one run, and for holders of API keys."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest, NotAuthenticated
from perdure.domain.json_text import decode
from perdure.domain.principal import Scope
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.errors import problem_of, problem_response
from perdure.http.json_schema import array, choice, integer, members, nullable, text, uuid
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import read_body, run_id
from perdure.http.runs.routes import key_of
from perdure.http.schema_check import SchemaCheck
from perdure.services import issued_tokens, projects

_MAX_BODY: Final = 16 * 1024
_SECRET_ANSWER: Final = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
_TAG: Final = "tokens"
_GRANT: Final = "client_credentials"
_CLIENT: Final = ("client_id", "client_secret")
_MAX_FIELDS: Final = 20

FORM: Final = "application/x-www-form-urlencoded"


class TokenBody(msgspec.Struct, frozen=True):
    """POST /auth/token (RFC 6749, 4.4, as JSON)."""

    grant_type: str
    client_id: str
    client_secret: str
    project_slug: str | None = None


_TOKEN_SCHEMA: Final = members(
    {
        "grant_type": choice(_GRANT),
        "client_id": text(1, 64, description="The prefix of an API key."),
        "client_secret": text(1, 1_000, description="The whole API key."),
        "project_slug": nullable(text(1, 64, description="The project to act in; the key's own, unless it is said.")),
    },
    required=("grant_type", "client_id", "client_secret"),
)
_TOKEN: Final = SchemaCheck(_TOKEN_SCHEMA)


class _OtherGrant(InvalidRequest):
    """The client wants a grant that this server does not give."""


async def make_event_writer_token(request: Request) -> Response:
    """POST /runs/{run_id}/children/{child_run_id}/event-writer-token."""
    parent = await key_of(request, Scope.EVENTS_APPEND)
    child = run_id(request.path_params["child_run_id"])
    token = await issued_tokens.child_event_writer_token(core_of(request), parent, child)
    return _secret({"run_event_token": token})


async def make_access_token(request: Request) -> Response:
    """POST /auth/token, whose refusals also say `error` as OAuth clients expect it (RFC 6749, 5.2)."""
    try:
        body = await _token_body(request)
        made = await issued_tokens.exchange(core_of(request), body.client_id, body.client_secret, body.project_slug)
    except NotAuthenticated as error:
        problem = replace(problem_of(error), error="invalid_client")
        if _is_basic(request):
            problem = replace(problem, headers=(("WWW-Authenticate", 'Basic realm="perdure"'),))
        return problem_response(request.scope, problem)
    except InvalidRequest as error:
        word = "unsupported_grant_type" if isinstance(error, _OtherGrant) else "invalid_request"
        return problem_response(request.scope, replace(problem_of(error), error=word))
    scope = " ".join(made.scopes)
    return _secret({"access_token": made.token, "token_type": "Bearer", "expires_in": made.expires_in, "scope": scope})


async def _token_body(request: Request) -> TokenBody:
    """The body as JSON or as a form, with the client in it or, for a form, in HTTP Basic. Raises InvalidRequest."""
    sent = await read_body(request, _MAX_BODY)
    given: Any = _form_of(request, sent) if _is_form(request) else decode(sent)
    if isinstance(given, dict) and given.get("grant_type", _GRANT) != _GRANT:
        raise _OtherGrant(f"`/grant_type` must be {_GRANT}.", pointer="/grant_type")
    _TOKEN.check(given)
    return msgspec.convert(given, TokenBody)


def _form_of(request: Request, sent: bytes) -> dict[str, str]:
    """The known members of a form, and the client of HTTP Basic; what is not known is left out (RFC 6749, 3.2)."""
    said = _form(sent)
    if _is_basic(request):
        if not said.keys().isdisjoint(_CLIENT):
            raise InvalidRequest("Say who you are in Authorization or in the body, not in both.", pointer="/client_id")
        said |= dict(zip(_CLIENT, _basic(request), strict=True))
    return {name: said[name] for name in TokenBody.__struct_fields__ if name in said}


def _form(sent: bytes) -> dict[str, str]:
    """A form's members; those that are empty count as absent (RFC 6749, 3.2). Raises InvalidRequest."""
    try:
        pairs = parse_qsl(sent.decode("ascii"), errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequest("The body must be a form of at most 20 members, in UTF-8.") from None
    said = dict(pairs)
    if len(said) < len(pairs):
        raise InvalidRequest("Each member of the form may be there once.")
    return said


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _is_basic(request: Request) -> bool:
    return request.headers.get("authorization", "").partition(" ")[0].lower() == "basic"


def _basic(request: Request) -> tuple[str, str]:
    """The client's id and secret, each form-encoded before they were joined (RFC 6749, 2.3.1)."""
    encoded = request.headers["authorization"].partition(" ")[2].strip()
    try:
        name, secret = base64.b64decode(encoded, validate=True).decode().split(":", 1)
    except (binascii.Error, ValueError):
        raise NotAuthenticated("The header Authorization holds no id and secret.") from None
    return unquote_plus(name), unquote_plus(secret)


async def read_principal(request: Request) -> Response:
    """GET /auth/me: who the key or token says that its holder is."""
    principal = await principal_of(request, Scope.RUNS_READ)
    project = await projects.get(core_of(request), str(principal.project_id))
    return json_answer(
        {
            "subject": principal.subject,
            "project": {"id": project.id, "slug": project.slug, "name": project.name},
            "scopes": sorted(principal.scopes),
        }
    )


async def published_signing_keys(request: Request) -> Response:
    """GET /.well-known/jwks.json."""
    answer = json_answer(await issued_tokens.published_keys(core_of(request)))
    answer.headers["Cache-Control"] = "public, max-age=300"
    return answer


def _secret(value: dict[str, object]) -> Response:
    answer = json_answer(value)
    answer.headers.update(dict(_SECRET_ANSWER))
    return answer


EVENT_WRITER_TOKEN: Final = Operation(
    method="POST",
    path="/runs/{run_id}/children/{child_run_id}/event-writer-token",
    handler=make_event_writer_token,
    tag=_TAG,
    summary="Make a token that appends to a child run",
    description="It is good for a day, for appending to that run and for nothing else. The parent's own token will do.",
    scope=Scope.EVENTS_APPEND,
    path_schemas={"child_run_id": text(1, 128)},
    answers={
        200: Answer("The token.", members({"run_event_token": text(1, 4096)}, required=("run_event_token",))),
    },
)

ACCESS_TOKEN: Final = Operation(
    method="POST",
    path="/auth/token",
    handler=make_access_token,
    tag=_TAG,
    summary="Exchange an API key for a token",
    description=(
        "The token is a JWT (RS256) of this server's and holds what the key holds. It is good for an hour at most, and "
        "ends with its key. The body may also be a form (`application/x-www-form-urlencoded`, RFC 6749), with the "
        "client in it or in HTTP Basic."
    ),
    scope=None,
    body=Body(_TOKEN_SCHEMA),
    answers={
        200: Answer(
            "The token.",
            members(
                {
                    "access_token": text(1),
                    "token_type": choice("Bearer"),
                    "expires_in": integer(1),
                    "scope": text(description="What the token holds: words with spaces between."),
                },
                required=("access_token", "token_type", "expires_in", "scope"),
                closed=False,
            ),
        )
    },
    problems=(401, 404, 413),
)

SIGNING_KEYS: Final = Operation(
    method="GET",
    path="/.well-known/jwks.json",
    handler=published_signing_keys,
    tag=_TAG,
    summary="Read the keys that this server's tokens are checked with",
    scope=None,
    answers={
        200: Answer(
            "A JSON Web Key Set (RFC 7517).",
            members(
                {
                    "keys": array(
                        members(
                            {name: text(1) for name in ("kty", "kid", "use", "alg", "n", "e")},
                            required=("kty", "kid", "use", "alg", "n", "e"),
                            closed=False,
                        )
                    )
                },
                required=("keys",),
                closed=False,
            ),
        )
    },
    problems=(),
)

PRINCIPAL: Final = Operation(
    method="GET",
    path="/auth/me",
    handler=read_principal,
    tag=_TAG,
    summary="Read what the key or token of the request proves",
    scope=Scope.RUNS_READ,
    answers={
        200: Answer(
            "Who calls, in which project, and what it may do.",
            members(
                {
                    "subject": text(),
                    "project": members({"id": uuid(), "slug": text(), "name": text()}, required=("id", "slug", "name")),
                    "scopes": array(choice(*Scope)),
                },
                required=("subject", "project", "scopes"),
            ),
        )
    },
    problems=(),
)

TOKEN_OPERATIONS: Final = (EVENT_WRITER_TOKEN, ACCESS_TOKEN, SIGNING_KEYS, PRINCIPAL)
