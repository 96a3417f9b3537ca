"""Exchange API keys for tokens, as clients do with those that begin `sk-` (vertesia.md section 7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain import json_text
from perdure.domain.api_key import BOOTSTRAP_PREFIX, prefix_of
from perdure.domain.errors import NotAllowed, ProjectNotFound
from perdure.http.context import core_of
from perdure.http.deps import presented_by
from perdure.http.errors import problem_of, problem_response
from perdure.http.json_schema import JsonSchema, choice, integer, members, text
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import read_body
from perdure.http.schema_check import SchemaCheck
from perdure.services import issued_tokens
from perdure.services.issued_tokens import AccessToken

_MAX_BODY: Final = 64 * 1024
_TAG: Final = "tokens"
_FORBIDDEN: Final = "token_issuance_forbidden"
_NO_PROJECT: Final = "no_accessible_account"

_ISSUE: Final = members(
    {
        "type": text(1, 64, description="`apikey`, the one kind of credential that is exchanged here."),
        "key": text(1, 1_000, description="The API key, where it is not in Authorization."),
        "project_id": text(1, 64, description="The project to act in; the key's own, unless it is said."),
    },
    closed=False,
    title="IssueToken",
)
_ISSUE_CHECK: Final = SchemaCheck(_ISSUE)
_REFRESH: Final = members({"token": text(1)}, required=("token",), closed=False, title="RefreshToken")
_REFRESH_CHECK: Final = SchemaCheck(_REFRESH)


async def issue_token(request: Request) -> Response:
    """POST /sts/token/issue."""
    try:
        body = await _body(request, _ISSUE_CHECK)
        if body.get("type", "apikey") != "apikey":
            raise NotAllowed("Only API keys are exchanged for tokens here.")
        key = body.get("key") or presented_by(request)[0].decode("utf-8", "replace")
        name = prefix_of(key) or BOOTSTRAP_PREFIX
        made = await issued_tokens.exchange(core_of(request), name, key, body.get("project_id"))
    except ProjectNotFound:
        error = NotAllowed("The key opens no such project.")
        return problem_response(request.scope, replace(problem_of(error), error=_NO_PROJECT))
    except NotAllowed as error:
        return problem_response(request.scope, replace(problem_of(error), error=_FORBIDDEN))
    return _told(made)


async def refresh_token(request: Request) -> Response:
    """POST /sts/token/refresh."""
    body = await _body(request, _REFRESH_CHECK)
    return _told(await issued_tokens.refresh(core_of(request), body["token"]))


async def _body(request: Request, check: SchemaCheck) -> dict[str, Any]:
    raw = await read_body(request, _MAX_BODY)
    value: Any = json_text.decode(raw) if raw.strip() else {}
    check.check(value)
    return dict(value)


def _told(made: AccessToken) -> Response:
    answer = json_answer({"token": made.token, "token_type": "Bearer", "expires_in": made.expires_in})
    answer.headers.update({"Cache-Control": "no-store", "Pragma": "no-cache"})
    return answer


def _token_schema() -> JsonSchema:
    known = {"token": text(1), "token_type": choice("Bearer"), "expires_in": integer(1)}
    return members(known, required=tuple(known))


ISSUE: Final = Operation(
    method="POST",
    path="/sts/token/issue",
    handler=issue_token,
    tag=_TAG,
    summary="Exchange an API key for a token, as clients of the Agent Runs API do",
    description=(
        "The key is in Authorization (Bearer) or in the body. The token is a JWT that holds what the key holds; it is "
        "good for an hour at most, and ends with its key."
    ),
    scope=None,
    body=Body(_ISSUE, required=False),
    answers={200: Answer("The token.", _token_schema())},
    problems=(401, 403, 413),
)

REFRESH: Final = Operation(
    method="POST",
    path="/sts/token/refresh",
    handler=refresh_token,
    tag=_TAG,
    summary="Replace a token of the exchange that is still good",
    scope=None,
    body=Body(_REFRESH),
    answers={200: Answer("The new token.", _token_schema())},
    problems=(401, 413),
)

OPERATIONS: Final = (ISSUE, REFRESH)
