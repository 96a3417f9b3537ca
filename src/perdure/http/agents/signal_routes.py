"""Signals to agent runs (vertesia.md 4.1)."""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain import json_text
from perdure.domain.errors import InvalidRequest
from perdure.domain.principal import Scope
from perdure.http.agents.requests import run_for
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import free_object, members, text
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.requests import read_body
from perdure.services import signals

MAX_SIGNAL: Final = 200 * 1024
"""Bytes of a signal's body: with what the server says beside it, it must fit into one event."""

_PATTERN: Final = "^[A-Za-z0-9._:-]{1,128}$"
_TAKEN: Final = members({"status": text(), "message": text()}, required=("status", "message"))
_NAME: Final = re.compile(_PATTERN)


async def signal_agent_run(request: Request) -> Response:
    """POST /api/v1/agents/{run_id}/signal/{signal_name}: a JSON object, or nothing."""
    principal = await principal_of(request, Scope.RUNS_WRITE)
    run = await run_for(request, principal)
    name = request.path_params["signal_name"]
    if not _NAME.fullmatch(name):
        raise InvalidRequest("A signal's name is 1 to 128 letters, digits, `.`, `_`, `:` and `-`.")
    await signals.send(core_of(request), run, name, await _payload(request), principal.subject)
    return json_answer({"status": "ok", "message": f"Signal {name} was taken."})


async def _payload(request: Request) -> dict[str, Any] | None:
    body = await read_body(request, MAX_SIGNAL)
    value = json_text.decode(body) if body.strip() else None
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest("The body of a signal is a JSON object, or nothing.")
    return value


SIGNAL: Final = Operation(
    method="POST",
    path="/api/v1/agents/{run_id}/signal/{signal_name}",
    handler=signal_agent_run,
    tag="agents",
    summary="Send a signal to an agent run",
    description=(
        "`UserInput`, `Stop`, `FileUploaded`, `FileRemoved`, `FileBatchClosed`, `ModelConfigChanged`, "
        "`McpConfigChanged`, `ToolApprovalModeChanged` and `TriggerCheckpoint` have effects; any other is an event of "
        "the run's log, for its agent's code."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"signal_name": text(pattern=_PATTERN)},
    body=Body(free_object("What the signal says."), required=False),
    answers={200: Answer("The signal is taken.", _TAKEN)},
    problems=(404, 409, 413),
)

OPERATIONS: Final = (SIGNAL,)
