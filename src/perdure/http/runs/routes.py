"""Create, read and list runs: `/runs`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.artifact import ArtifactVisibility
from perdure.domain.conversation import RunPolicy
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.principal import Principal, Scope
from perdure.domain.run import Kind
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, choice, integer, text
from perdure.http.operations import Answer, Body, Operation, header, json_answer, query
from perdure.http.pagination import decode_cursor
from perdure.http.requests import (
    integer_query,
    read_body,
    run_id_of,
    text_query,
    time_query,
)
from perdure.http.runs.create_body import BODY_BYTES, parse_create
from perdure.http.runs.create_schema import create_run_schema
from perdure.http.runs.filters import PARAMETERS as FILTERS
from perdure.http.runs.filters import filter_of, word_in
from perdure.http.runs.mapping import accepted, canonical, run_page, run_request
from perdure.http.runs.response_schemas import canonical_run_schema, run_accepted_schema, run_page_schema
from perdure.http.runs.scheduling import PARAMETERS as SCHEDULING
from perdure.http.runs.scheduling import scheduling_of
from perdure.services import artifacts, conversation_line, runs, scoping, task_logs

MAX_PAGE: Final = runs.MAX_PAGE
DEFAULT_PAGE: Final = 50
_MAX_IDEMPOTENCY_KEY: Final = 255


async def create_run(request: Request) -> Response:
    """POST /runs (seed 002)."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    body = parse_create(await read_body(request, BODY_BYTES))
    wanted = run_request(
        body,
        idempotency_key=_idempotency_key(request),
        created_by=principal.subject,
        policy=_policy(request),
        scheduling=scheduling_of(request),
    )
    project_id = await scoping.project_for_owner(core, principal, wanted.owner_kind, wanted.owner_id)
    created = await runs.create(core, project_id, wanted)
    scoping.remember_run(core, principal, created.run)
    return json_answer(accepted(created), 202)


async def get_run(request: Request) -> Response:
    """GET /runs/{run_id}: the bare object (veryfront.md section 0, rule 6)."""
    core = core_of(request)
    run = await runs.get(core, await key_of(request, Scope.RUNS_READ))
    shown = await artifacts.list_all(core, run.key, visibility=ArtifactVisibility.USER)
    logs = None if run.kind is Kind.AGENT else await task_logs.logs_of(core, run.key)
    held_by = await conversation_line.held_by(core, run)
    return json_answer(canonical(run, artifacts=shown, logs=logs, held_by=held_by))


async def list_runs(request: Request) -> Response:
    """GET /runs: the runs of the caller's project."""
    principal = await principal_of(request, Scope.RUNS_READ)
    return await _listed(request, principal, principal.project_id)


async def list_project_runs(request: Request) -> Response:
    """GET /projects/{ref}/runs (veryfront.md 1.3)."""
    principal: Principal = await principal_of(request, Scope.RUNS_READ)
    project = await scoping.project_by_ref(core_of(request), principal, request.path_params["ref"])
    return await _listed(request, principal, project.id)


async def _listed(request: Request, principal: Principal, project_id: ProjectId) -> Response:
    cursor = text_query(request, "cursor")
    before = decode_cursor(cursor) if cursor else None
    limit = integer_query(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
    wanted = replace(
        filter_of(request, principal.viewer), since=time_query(request, "since"), until=time_query(request, "until")
    )
    found = await runs.list_page(core_of(request), project_id, wanted, before=before, limit=limit)
    return json_answer(run_page(found, limit, cursor))


async def key_of(request: Request, scope: Scope) -> RunKey:
    """The run that the path names, for a principal that holds `scope`. The run may not exist.

    Raises NotAuthenticated, NotAllowed and RunNotFound.
    """
    principal = await principal_of(request, scope)
    run_id = run_id_of(request)
    return RunKey(await scoping.project_of_run(core_of(request), principal, run_id), run_id)


def _policy(request: Request) -> RunPolicy | None:
    word = text_query(request, "conversation_policy")
    return None if word is None else word_in(word, "conversation_policy", RunPolicy)


def _idempotency_key(request: Request) -> str | None:
    value = request.headers.get("idempotency-key")
    if value is not None and not (0 < len(value) <= _MAX_IDEMPOTENCY_KEY and value.isascii() and value.isprintable()):
        raise InvalidRequest(
            f"The header Idempotency-Key must be 1 to {_MAX_IDEMPOTENCY_KEY} printable ASCII characters."
        )
    return value


def _list_parameters() -> tuple[JsonSchema, ...]:
    time = {"type": "string", "format": "date-time"}
    return (
        *FILTERS,
        query("since", time, "Runs created after this time."),
        query("until", time, "Runs created up to this time."),
        query("cursor", text(1), "The `page_info.next` of the page before."),
        query("limit", {**integer(1), "maximum": MAX_PAGE, "default": DEFAULT_PAGE}, "How many runs."),
    )


CREATE: Final = Operation(
    method="POST",
    path="/runs",
    handler=create_run,
    tag="runs",
    summary="Create a run",
    description=(
        "A run is executed by an agent of this server, by an external worker, or by the caller "
        "(`initial_status: running`). `public_id` and `Idempotency-Key` each make it safe to send the request again."
    ),
    scope=Scope.RUNS_WRITE,
    parameters=(
        header("Idempotency-Key", text(1, _MAX_IDEMPOTENCY_KEY), "The same key never makes a second run."),
        query(
            "conversation_policy",
            choice(*RunPolicy),
            "What becomes of the run while another one of its conversation is live; default: the conversation's own.",
        ),
        *SCHEDULING,
    ),
    body=Body(create_run_schema()),
    answers={202: Answer("The run is accepted, or it was before (`duplicate`).", run_accepted_schema())},
    problems=(404, 409, 413),
)

GET: Final = Operation(
    method="GET",
    path="/runs/{run_id}",
    handler=get_run,
    tag="runs",
    summary="Read a run",
    scope=Scope.RUNS_READ,
    answers={200: Answer("The run.", canonical_run_schema())},
)

LIST: Final = Operation(
    method="GET",
    path="/runs",
    handler=list_runs,
    tag="runs",
    summary="List runs",
    description="The runs of the caller's project, newest first, without their input, config and output.",
    scope=Scope.RUNS_READ,
    parameters=_list_parameters(),
    answers={200: Answer("A page of runs.", run_page_schema())},
    problems=(),
)

LIST_OF_PROJECT: Final = Operation(
    method="GET",
    path="/projects/{ref}/runs",
    handler=list_project_runs,
    tag="runs",
    summary="List the runs of a project",
    description="As GET /runs, for the project with this id or slug.",
    scope=Scope.RUNS_READ,
    parameters=_list_parameters(),
    path_schemas={"ref": text(1)},
    answers={200: Answer("A page of runs.", run_page_schema())},
)
