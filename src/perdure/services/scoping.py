"""In which project a request acts, and whether its principal may act there.

An ordinary principal acts in its own project only, and finds there what it names or nothing. Somebody else's private
run is not there for it; whether a run is private is asked once. An administrator acts in every project: what it names
is looked for in its own project and then in the others, and the place is remembered. Run ids of our own are unique
everywhere; where callers gave the same `public_id` in two projects, an administrator sees the run of its own.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from perdure.domain.batch import BatchId
from perdure.domain.errors import NotAllowed, ProjectNotFound, RunNotFound
from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.domain.principal import Principal, Scope
from perdure.domain.project import Project, parse_uuid
from perdure.domain.stored_run import Run, Visibility
from perdure.services import projects as project_service
from perdure.services.core import Core
from perdure.store import projects, runs

_NOBODY: Final = "*"
"""Instead of the owner of a private run, for one that is not private. No subject is written so."""


async def project_of_run(core: Core, principal: Principal, run_id: RunId) -> ProjectId:
    """The project in which the principal's request about a run acts.

    Where no project has the run it is the principal's own, in which it will not be found. Raises NotAllowed for a token
    that is bound to another run, and RunNotFound for somebody else's private run.
    """
    project_id = await _place_of_run(core, principal, run_id)
    if not principal.viewer.sees_all and principal.run_id is None:
        await _check_private(core, principal, RunKey(project_id, run_id))
    return project_id


async def _check_private(core: Core, principal: Principal, key: RunKey) -> None:
    """A run is private or not from its creation on, so the answer is remembered: a hot route asks once."""
    owner = core.private_to.get(key)
    if owner is None:
        found = await runs.get_owner(core.database, key) if _storable(key.run_id) else None
        if found is None:
            return
        owner = _private_to(*found)
        core.private_to.put(key, owner)
    if owner not in (_NOBODY, principal.subject):
        raise RunNotFound(f"There is no run {key.run_id}.")


async def _place_of_run(core: Core, principal: Principal, run_id: RunId) -> ProjectId:
    if principal.run_id is not None and principal.run_id != run_id:
        raise NotAllowed("This token is good for another run only.")
    own = principal.project_id
    if Scope.ADMIN not in principal.scopes or not _storable(run_id):
        return own
    name = ("run", own, run_id)
    place = core.places.get(name)
    if place is None:
        place = await projects.locate_run(core.database, own, run_id)
        if place is None:
            return own
        core.places.put(name, place)
    return place


def remember_run(core: Core, principal: Principal, run: Run) -> None:
    """A run that was just created: its requests, which follow at once, need not look for it."""
    core.private_to.put(run.key, _private_to(run.about.visibility, run.created_by))
    if Scope.ADMIN in principal.scopes:
        core.places.put(("run", principal.project_id, run.run_id), run.project_id)


async def project_of_conversation(core: Core, principal: Principal, conversation_id: ConversationId) -> ProjectId:
    """The project in which the principal's request about a conversation acts; its own where no project has it."""
    own = principal.project_id
    if Scope.ADMIN not in principal.scopes:
        return own
    name = ("conversation", own, str(conversation_id))
    place = core.places.get(name)
    if place is None:
        place = await projects.locate_conversation(core.database, own, conversation_id)
        if place is None:
            return own
        core.places.put(name, place)
    return place


async def project_of_batch(core: Core, principal: Principal, batch_id: BatchId) -> ProjectId:
    """The project in which the principal's request about a batch acts; its own where no project has it."""
    own = principal.project_id
    if Scope.ADMIN not in principal.scopes:
        return own
    return await projects.locate_batch(core.database, own, batch_id) or own


async def project_for_owner(core: Core, principal: Principal, owner_kind: str, owner_id: UUID) -> ProjectId:
    """The project in which a run with this owner (`project` or `conversation`) is created. Raises ProjectNotFound.

    That the conversation exists there is the store's to say (ConversationNotFound), as it may be created with the run.
    """
    if owner_kind == "conversation":
        return await project_of_conversation(core, principal, ConversationId(owner_id))
    if owner_id == principal.project_id:
        return principal.project_id
    return (await project_by_ref(core, principal, str(owner_id))).id


async def project_by_ref(core: Core, principal: Principal, ref: str) -> Project:
    """The project of a route's `{ref}` (an id or slug). Raises ProjectNotFound, also for one that is not for it."""
    own = principal.project_id
    if Scope.ADMIN not in principal.scopes and parse_uuid(ref) not in (None, own):
        raise ProjectNotFound(f"There is no project {ref}.")
    project = await project_service.find(core, ref)
    if project is None or (Scope.ADMIN not in principal.scopes and project.id != own):
        raise ProjectNotFound
    return project


async def visible_projects(core: Core, principal: Principal) -> list[Project]:
    """The projects that the principal may act in, oldest first."""
    if Scope.ADMIN in principal.scopes:
        return await project_service.list_all(core)
    return [await project_service.get(core, str(principal.project_id))]


def _private_to(visibility: Visibility, created_by: str | None) -> str:
    return created_by or "" if visibility is Visibility.PRIVATE else _NOBODY


def _storable(run_id: RunId) -> bool:
    """Whether a run can have this id at all; what came in a path may hold bytes that PostgreSQL refuses."""
    return 1 <= len(run_id) <= 128 and run_id.isprintable()
