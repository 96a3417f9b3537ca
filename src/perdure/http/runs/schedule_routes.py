"""Schedules (veryfront.md 1.10): list, create, read, change, delete, and start a run by hand."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest, Unavailable
from perdure.domain.principal import Principal, Scope
from perdure.domain.project import Project, parse_uuid
from perdure.domain.schedule import ScheduleId, ScheduleNotFound, ScheduleStatus
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import array, choice, members, text, uuid
from perdure.http.operations import Answer, Body, Operation, json_answer, query
from perdure.http.requests import read_as, read_body, text_query
from perdure.http.runs.schedule_mapping import changed, schedule_view, wanted
from perdure.http.runs.schedule_schemas import (
    CHANGE,
    CREATE,
    TRIGGER,
    ChangeBody,
    CreateBody,
    TriggerBody,
    change_schema,
    create_schema,
    schedule_schema,
    trigger_schema,
)
from perdure.services import schedules, scoping

_TAG: Final = "schedules"
_ALL: Final = "/projects/{ref}/schedules"
_ONE: Final = "/projects/{ref}/schedules/{schedule_id}"
_TRIES: Final = 5


async def list_schedules(request: Request) -> Response:
    """GET /projects/{ref}/schedules."""
    _, project = await _place(request, Scope.RUNS_READ)
    status = text_query(request, "status")
    if status is not None and status not in tuple(ScheduleStatus):
        raise InvalidRequest(f"The query parameter `status` must be one of: {', '.join(ScheduleStatus)}.")
    found = await schedules.list_all(
        core_of(request),
        project.id,
        status=None if status is None else ScheduleStatus(status),
        source_trigger_id=text_query(request, "source_trigger_id"),
    )
    return json_answer({"schedules": [schedule_view(one) for one in found]})


async def create_schedule(request: Request) -> Response:
    """POST /projects/{ref}/schedules."""
    principal, project = await _place(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request), CreateBody, CREATE)
    made = await schedules.create(
        core_of(request),
        project.id,
        wanted(body),
        source_trigger_id=body.source_trigger_id,
        created_by=principal.subject,
    )
    return json_answer(schedule_view(made), 201)


async def get_schedule(request: Request) -> Response:
    """GET /projects/{ref}/schedules/{schedule_id}."""
    _, project = await _place(request, Scope.RUNS_READ)
    return json_answer(schedule_view(await schedules.get(core_of(request), project.id, _id(request))))


async def change_schedule(request: Request) -> Response:
    """PATCH /projects/{ref}/schedules/{schedule_id}."""
    core = core_of(request)
    _, project = await _place(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request), ChangeBody, CHANGE)
    for _ in range(_TRIES):
        known = await schedules.get(core, project.id, _id(request))
        stored = await schedules.change(core, known, changed(known, body))
        if stored is not None:
            return json_answer(schedule_view(stored))
    raise Unavailable("The schedule changes all the time. Try again.")


async def delete_schedule(request: Request) -> Response:
    """DELETE /projects/{ref}/schedules/{schedule_id}."""
    _, project = await _place(request, Scope.RUNS_WRITE)
    await schedules.delete(core_of(request), project.id, _id(request))
    return Response(status_code=204)


async def run_schedule(request: Request) -> Response:
    """POST /projects/{ref}/schedules/{schedule_id}/runs."""
    core = core_of(request)
    principal, project = await _place(request, Scope.RUNS_WRITE)
    body = read_as(await read_body(request), TriggerBody, TRIGGER)
    schedule = await schedules.get(core, project.id, _id(request))
    run = await schedules.trigger(
        core,
        schedule,
        run_name=body.run_name,
        idempotency_key=body.idempotency_key,
        created_by=principal.subject,
    )
    return json_answer({"run_id": run.run_id, "run_execution_id": run.run_id, "schedule_id": str(schedule.id)}, 201)


async def _place(request: Request, scope: Scope) -> tuple[Principal, Project]:
    principal = await principal_of(request, scope)
    return principal, await scoping.project_by_ref(core_of(request), principal, request.path_params["ref"])


def _id(request: Request) -> ScheduleId:
    found = parse_uuid(request.path_params["schedule_id"])
    if found is None:
        raise ScheduleNotFound("A schedule's id is a UUID.")
    return ScheduleId(found)


LIST: Final = Operation(
    method="GET",
    path=_ALL,
    handler=list_schedules,
    tag=_TAG,
    summary="List the schedules of a project",
    description="All of them, oldest first.",
    scope=Scope.RUNS_READ,
    parameters=(
        query("status", choice(*ScheduleStatus), "Only those of this status."),
        query("source_trigger_id", text(1), "Only those made from this trigger of the project's source."),
    ),
    path_schemas={"ref": text(1)},
    answers={200: Answer("The schedules.", members({"schedules": array(schedule_schema())}, required=("schedules",)))},
)

MAKE: Final = Operation(
    method="POST",
    path=_ALL,
    handler=create_schedule,
    tag=_TAG,
    summary="Create a schedule",
    description=(
        "It fires once for each time that its cron expression names, however many servers run. Of the fires that were "
        "missed while none ran, the latest is made up for. Times are those of Debian's cron in the time zone: a fixed "
        "time that a change of the clocks leaves out fires when the gap ends, one that comes twice fires the first "
        "time. A fire whose run cannot be created says why in `last_error`."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1)},
    body=Body(create_schema()),
    answers={201: Answer("The schedule.", schedule_schema())},
    problems=(404, 413),
)

GET: Final = Operation(
    method="GET",
    path=_ONE,
    handler=get_schedule,
    tag=_TAG,
    summary="Read a schedule",
    scope=Scope.RUNS_READ,
    path_schemas={"ref": text(1), "schedule_id": uuid()},
    answers={200: Answer("The schedule.", schedule_schema())},
)

PATCH: Final = Operation(
    method="PATCH",
    path=_ONE,
    handler=change_schedule,
    tag=_TAG,
    summary="Change, pause or resume a schedule",
    description=(
        "What is absent stays. `status` `paused` stops it; `active` resumes it with the next time after now, and "
        "what the pause swallowed is not made up for."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1), "schedule_id": uuid()},
    body=Body(change_schema()),
    answers={200: Answer("The schedule.", schedule_schema())},
    problems=(404, 409, 413),
)

DELETE: Final = Operation(
    method="DELETE",
    path=_ONE,
    handler=delete_schedule,
    tag=_TAG,
    summary="Delete a schedule",
    description="Its runs stay.",
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1), "schedule_id": uuid()},
    answers={204: Answer("It is gone.")},
)

RUN: Final = Operation(
    method="POST",
    path=f"{_ONE}/runs",
    handler=run_schedule,
    tag=_TAG,
    summary="Start a run of a schedule by hand",
    description=(
        "Also of a paused one, and beside runs that go on; it does not count towards `max_runs`. The same "
        "`idempotency_key` answers the same run."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas={"ref": text(1), "schedule_id": uuid()},
    body=Body(trigger_schema()),
    answers={
        201: Answer(
            "The run.",
            members(
                {"run_id": text(1), "run_execution_id": text(1), "schedule_id": uuid()},
                required=("run_id", "run_execution_id", "schedule_id"),
                closed=False,
            ),
        )
    },
    problems=(404, 409, 413),
)

SCHEDULE_OPERATIONS: Final = (LIST, MAKE, GET, PATCH, DELETE, RUN)
