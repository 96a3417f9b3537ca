"""Push services: registered, heard of, looked after by an operator (veryfront.md 1.8).

A service that registers again, after a restart say, is known by its scope and `service_key` and keeps its id. What it
gets is said by `domain.push_service.PushService.routes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from perdure.domain.errors import NotAllowed, PushServiceNotFound
from perdure.domain.ids import ProjectId, PushServiceId, new_uuid
from perdure.domain.principal import Principal, Scope
from perdure.domain.push_service import GLOBAL, SILENT_SECONDS, PushService, PushStatus
from perdure.services import scoping
from perdure.services.core import Core
from perdure.store import push_services as store
from perdure.store.runs import at


@dataclass(frozen=True, slots=True)
class Registration:
    """What a service says of itself. `project_ref` is an id or slug; None means the one of its key."""

    service_name: str
    service_key: str
    is_global: bool
    base_url: str
    invoke_url: str
    project_ref: str | None = None
    agent_id: str | None = None
    version: str | None = None
    runtime: str | None = None
    region: str | None = None


async def register(core: Core, principal: Principal, said: Registration) -> PushService:
    """A service says that it is there.

    Raises NotAllowed for a global one that no administrator registers, ProjectNotFound, and InvalidRequest or
    EgressRefused for URLs that are never called.
    """
    core.egress.check_url(said.base_url, "/base_url")
    core.egress.check_url(said.invoke_url, "/invoke_url")
    project_id = None if said.is_global else await _project(core, principal, said)
    if said.is_global and not principal.may(Scope.ADMIN):
        raise NotAllowed("A service of global scope is registered by an administrator.")
    now = at(core.clock())
    new = PushService(
        id=PushServiceId(new_uuid(core.clock())),
        project_id=project_id,
        scope_key=GLOBAL if project_id is None else str(project_id),
        service_key=said.service_key,
        service_name=said.service_name,
        agent_id=said.agent_id,
        base_url=said.base_url,
        invoke_url=said.invoke_url,
        version=said.version,
        runtime=said.runtime,
        region=said.region,
        status=PushStatus.ACTIVE,
        last_heartbeat_at=now,
        created_at=now,
        updated_at=now,
    )
    return await store.register(core.database, new)


async def _project(core: Core, principal: Principal, said: Registration) -> ProjectId:
    if said.project_ref is None:
        return principal.project_id
    return (await scoping.project_by_ref(core, principal, said.project_ref)).id


async def get(core: Core, principal: Principal, service_id: PushServiceId) -> PushService:
    """A service of the principal's project, or a global one; for an administrator any. Raises PushServiceNotFound."""
    found = await store.get(core.database, service_id)
    if found is None or not (found.project_id in (None, principal.project_id) or principal.may(Scope.ADMIN)):
        raise PushServiceNotFound
    return found


async def own(core: Core, principal: Principal, service_id: PushServiceId) -> PushService:
    """A service that the principal may speak for: of its project, or for an administrator any.

    Raises PushServiceNotFound, and NotAllowed for a global one.
    """
    found = await get(core, principal, service_id)
    if found.project_id is None and not principal.may(Scope.ADMIN):
        raise NotAllowed("A service of global scope is an administrator's.")
    return found


async def list_all(core: Core, principal: Principal) -> list[PushService]:
    """The services that the principal can see, oldest first."""
    return await store.list_all(core.database, None if principal.may(Scope.ADMIN) else principal.project_id)


async def heartbeat(core: Core, service: PushService) -> PushService:
    """Note that a service is alive: it keeps what it holds, and gets more. Raises PushServiceNotFound."""
    now = at(core.clock())
    beaten = await store.heartbeat(core.database, service.id, now, now + timedelta(seconds=SILENT_SECONDS))
    if beaten is None:
        raise PushServiceNotFound
    return beaten


async def set_status(core: Core, service: PushService, status: PushStatus) -> PushService:
    """Give a service no more work, or work again; what it holds it keeps. Raises PushServiceNotFound."""
    changed = await store.set_status(core.database, service.id, status, at(core.clock()))
    if changed is None:
        raise PushServiceNotFound
    return changed


async def delete(core: Core, service: PushService) -> None:
    """Forget a service; what it holds goes back to the queue when the leases run out. Raises PushServiceNotFound."""
    if not await store.delete(core.database, service.id):
        raise PushServiceNotFound
