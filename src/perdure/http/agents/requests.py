"""What is particular about this dialect's requests: the contract's version, and who may see the run (vertesia.md 0)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request

from perdure.domain import json_text
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import RunKey
from perdure.domain.principal import Principal, Scope
from perdure.domain.stored_run import Run
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.requests import MAX_BODY, read_body, run_id_of
from perdure.http.schema_check import SchemaCheck
from perdure.services import agent_runs, runs, scoping

VERSION_HEADER: Final = "x-api-version"
STRICT_FROM: Final = 20260803
"""From this version of the contract on, what it does not declare is refused; before, it is left out."""

_VERSION: Final = re.compile(r"[0-9]{8}")


def is_strict(request: Request) -> bool:
    """Whether undeclared members and parameters are refused. Raises InvalidRequest for a version that is no date."""
    value = request.headers.get(VERSION_HEADER)
    if value is None:
        return True
    if not _VERSION.fullmatch(value):
        raise InvalidRequest(f"The header {VERSION_HEADER} must be a date as eight digits, such as {STRICT_FROM}.")
    return int(value) >= STRICT_FROM


async def body_of(
    request: Request,
    check: SchemaCheck,
    properties: Mapping[str, Any],
    *,
    before: Callable[[object], None] = lambda _value: None,
) -> dict[str, Any]:
    """The JSON object of a body; one that is empty is `{}`. `properties`: those that the contract declares. `before`
    has a look at the value first.

    Raises InvalidRequest with the place, and PayloadTooLarge.
    """
    raw = await read_body(request, MAX_BODY)
    value: Any = json_text.decode(raw) if raw.strip() else {}
    before(value)
    if isinstance(value, dict) and not is_strict(request):
        value = {name: member for name, member in value.items() if name in properties}
    check.check(value)
    return dict(value)


def check_query(request: Request, known: frozenset[str]) -> None:
    """Raise InvalidRequest for a query parameter that the contract does not declare, where it is strict."""
    unknown = sorted(request.query_params.keys() - known)
    if unknown and is_strict(request):
        raise InvalidRequest(
            f"The query parameter `{unknown[0]}` is not known here. Known are: {', '.join(sorted(known)) or 'none'}."
        )


def flag_query(request: Request, name: str) -> bool:
    """A query parameter that is true, false, 1 or 0; absent it is false. Raises InvalidRequest."""
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false", "1", "0", ""):
        raise InvalidRequest(f"The query parameter `{name}` must be true or false.")
    return value in ("true", "1")


def number_query(request: Request, name: str) -> float | None:
    """A query parameter that is a number, None where it is absent. Raises InvalidRequest."""
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e16:
        raise InvalidRequest(f"The query parameter `{name}` must be a number.")
    return number


async def run_of(request: Request, scope: Scope) -> Run:
    """The agent run that the path names, for a principal that holds `scope`.

    Raises NotAuthenticated, NotAllowed and RunNotFound, also for somebody else's private run.
    """
    return await run_for(request, await principal_of(request, scope))


async def any_run_of(request: Request, principal: Principal) -> Run:
    """The run that the path names, of any kind: all have files. Raises RunNotFound."""
    return await runs.get(core_of(request), await key_of(request, principal))


async def run_for(request: Request, principal: Principal) -> Run:
    """The agent run that the path names, for a principal. Raises RunNotFound."""
    return await agent_runs.get(core_of(request), await key_of(request, principal))


async def principal_of_stream(request: Request, scope: Scope) -> Principal:
    """Who follows: browsers cannot send headers there, so the key or token may be in the query parameter
    `access_token` (vertesia.md 3.5). Nowhere else is one read from a URL. Raises what `principal_of` raises.
    """
    token = request.query_params.get("access_token")
    return await principal_of(request, scope, presented=None if token is None else token.encode())


async def key_of(request: Request, principal: Principal) -> RunKey:
    """What the path names, for a principal. The run may not exist. Raises RunNotFound."""
    run_id = run_id_of(request)
    return RunKey(await scoping.project_of_run(core_of(request), principal, run_id), run_id)
