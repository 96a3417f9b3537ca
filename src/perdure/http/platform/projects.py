"""Projects: made by administrators, read by whoever acts in them."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request

from perdure.domain.project import MAX_NAME, MAX_SLUG, MOST_RUNNING, SLUG_PATTERN, Project
from perdure.http.context import core_of
from perdure.http.deps import Administrator, Reader
from perdure.http.json_schema import integer, members, nullable, text, uuid
from perdure.http.platform.bodies import Body, problems
from perdure.http.platform.pages import WHOLE, PageInfo
from perdure.services import projects, scoping

router = APIRouter(tags=["projects"])

_CREATE: Final = Body(
    members(
        {
            "id": uuid("Chosen by the caller, or by the server where it is left out."),
            "slug": text(1, MAX_SLUG, pattern=SLUG_PATTERN, description="The project's name in URLs."),
            "name": text(1, MAX_NAME, description="The slug, where it is left out."),
        },
        required=("slug",),
        title="CreateProject",
    )
)


_CHANGE: Final = Body(
    members(
        {
            "max_running": nullable(
                {
                    **integer(1, description="How many runs are executed at once; null: any number."),
                    "maximum": MOST_RUNNING,
                }
            ),
        },
        required=("max_running",),
        title="ChangeProject",
    )
)


class ProjectOut(BaseModel):
    """A project."""

    id: UUID
    slug: str
    name: str
    created_at: datetime
    max_running: int | None


class ProjectsOut(BaseModel):
    """All projects that the caller may act in, oldest first."""

    data: list[ProjectOut]
    page_info: PageInfo


@router.post(
    "/projects",
    status_code=201,
    summary="Create a project.",
    openapi_extra=_CREATE.documented(),
    responses=problems(400, 409, 413),
)
async def create_project(request: Request, _principal: Administrator) -> ProjectOut:
    """For administrators. 409 when the id or the slug is taken."""
    body = await _CREATE.read(request)
    chosen = body.get("id")
    created = await projects.create(
        core_of(request),
        slug=body["slug"],
        name=body.get("name"),
        project_id=None if chosen is None else UUID(chosen),
    )
    return _out(created)


@router.get("/projects", summary="List projects.", responses=problems())
async def list_projects(request: Request, principal: Reader) -> ProjectsOut:
    """An administrator sees all, everybody else their own."""
    found = await scoping.visible_projects(core_of(request), principal)
    return ProjectsOut(data=[_out(project) for project in found], page_info=WHOLE)


@router.get("/projects/{ref}", summary="Read a project.", responses=problems(404))
async def get_project(request: Request, principal: Reader, ref: str) -> ProjectOut:
    """By id or slug. Another project than the caller's own is 404, but for administrators."""
    return _out(await scoping.project_by_ref(core_of(request), principal, ref))


@router.patch(
    "/projects/{ref}",
    summary="Change a project.",
    openapi_extra=_CHANGE.documented(),
    responses=problems(400, 404, 413),
)
async def change_project(request: Request, principal: Administrator, ref: str) -> ProjectOut:
    """For administrators. `max_running` counts the runs of the project that workers, external workers and push runtimes
    execute; those that wait, and those that callers execute, are not counted. Runs that are being executed go on."""
    body = await _CHANGE.read(request)
    core = core_of(request)
    project = await scoping.project_by_ref(core, principal, ref)
    return _out(await projects.set_max_running(core, project, body["max_running"]))


def _out(project: Project) -> ProjectOut:
    return ProjectOut(
        id=project.id,
        slug=project.slug,
        name=project.name,
        created_at=project.created_at,
        max_running=project.max_running,
    )
