"""Create, find and list projects. Who may see which is decided in `services.scoping`."""

from __future__ import annotations

from uuid import UUID

from perdure.domain.errors import Conflict, InvalidRequest, ProjectNotFound, Unavailable
from perdure.domain.ids import ProjectId, new_uuid
from perdure.domain.project import (
    DEFAULT_PROJECT_ID,
    DEFAULT_SLUG,
    MOST_RUNNING,
    Project,
    check_name,
    check_slug,
    reference,
)
from perdure.ledger.notify import ANY_ROUTE
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.store import projects
from perdure.store.runs import at


async def create(core: Core, *, slug: str, name: str | None = None, project_id: UUID | None = None) -> Project:
    """Create a project; without a name it is called by its slug. The caller may choose the id.

    Raises InvalidRequest, and Conflict when the id or the slug is taken.
    """
    now = core.clock()
    wanted = Project(
        id=ProjectId(project_id if project_id is not None else new_uuid(now)),
        slug=check_slug(slug),
        name=check_name(slug if name is None else name),
        created_at=at(now),
    )
    created = await projects.create(core.database, wanted)
    if created is None:
        taken = f"slug {slug!r}" if project_id is None else f"slug {slug!r} or id {project_id}"
        raise Conflict(f"There is a project with {taken} already.")
    return created


async def find(core: Core, ref: str) -> Project | None:
    """A project by its id or slug, None where there is none."""
    wanted = reference(ref)
    return None if wanted is None else await projects.get(core.database, wanted)


async def get(core: Core, ref: str) -> Project:
    """A project by its id or slug. Raises ProjectNotFound."""
    project = await find(core, ref)
    if project is None:
        raise ProjectNotFound
    return project


async def list_all(core: Core) -> list[Project]:
    """All projects, oldest first."""
    return await projects.list_all(core.database)


async def set_max_running(core: Core, project: Project, most: int | None) -> Project:
    """How many of the project's runs may be executed at once, from now on; None lifts the limit. What is being executed
    goes on. Raises ProjectNotFound, InvalidRequest."""
    if most is not None and not 1 <= most <= MOST_RUNNING:
        raise InvalidRequest(f"`/max_running` must be from 1 to {MOST_RUNNING}, or null.", pointer="/max_running")
    changed = await projects.set_max_running(core.database, project.id, most)
    if changed is None:
        raise ProjectNotFound
    lifecycle.announce_queued(core, ANY_ROUTE)
    return changed


async def ensure_default_project(core: Core) -> Project:
    """The project with slug `default`; called at each start. The first makes it, with the id `DEFAULT_PROJECT_ID`."""
    wanted = Project(DEFAULT_PROJECT_ID, DEFAULT_SLUG, "Default project", at(core.clock()))
    await projects.create(core.database, wanted)
    found = await projects.get(core.database, DEFAULT_SLUG)
    if found is None:
        raise Unavailable(f"The project {DEFAULT_PROJECT_ID} is not called {DEFAULT_SLUG!r}: call it so again.")
    return found
