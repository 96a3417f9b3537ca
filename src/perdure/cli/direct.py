"""Projects and keys on the database itself: for the first key of an installation, which no key opens yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from perdure.app import open_core
from perdure.cli.access import Access
from perdure.cli.configuration import database_of, local_settings
from perdure.cli.failures import told
from perdure.client import Key, NewKey, Project
from perdure.domain.api_key import ApiKey, KeyKind
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import ProjectId
from perdure.domain.principal import ORDINARY, Scope
from perdure.domain.project import Project as StoredProject
from perdure.domain.project import parse_uuid
from perdure.services import keys, projects, signing
from perdure.services.core import Core

T = TypeVar("T")


def work_on(access: Access, work: Callable[[Core], Awaitable[T]]) -> T:
    """Do `work` with the services on the database that the settings name. Ends the command where that fails."""
    settings = local_settings(access)

    async def connected(dsn: str) -> T:
        async with open_core(dsn, pool_size=2) as core:
            return await work(core)

    with told(), database_of(settings) as dsn:
        return asyncio.run(connected(dsn))


async def rotate_signing_key(core: Core) -> str:
    """Replace the key that the server's tokens are signed with; the id of the new one."""
    return (await signing.rotate(core)).current.id


class DirectProjects:
    """As `client.projects`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, slug: str, *, name: str | None = None, id: str | None = None) -> Project:
        """A new project."""
        return _project(await projects.create(self._core, slug=slug, name=name, project_id=_uuid(id)))

    async def list(self) -> tuple[Project, ...]:
        """All projects, oldest first."""
        return tuple(map(_project, await projects.list_all(self._core)))

    async def limit(self, ref: str, max_running: int | None) -> Project:
        """Set or lift the limit of a project's runs at once."""
        return _project(await projects.set_max_running(self._core, await projects.get(self._core, ref), max_running))


class DirectKeys:
    """As `client.keys`. `project` None means the default project, which is made if there is none yet."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(
        self,
        name: str,
        *,
        project: str | None = None,
        scopes: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        key: str | None = None,
        kind: str | None = None,
    ) -> NewKey:
        """A new key."""
        wanted = ORDINARY if scopes is None else frozenset(map(Scope, scopes))
        issued = await keys.create(
            self._core,
            await self._project(project),
            name=name,
            scopes=wanted,
            expires_at=expires_at,
            token=key,
            kind=KeyKind.OWN if kind is None else KeyKind(kind),
        )
        plain = _key(issued.key)
        return NewKey(**{field: getattr(plain, field) for field in plain.__struct_fields__}, key=issued.token)

    async def list(self, *, project: str | None = None) -> tuple[Key, ...]:
        """A project's keys."""
        return tuple(map(_key, await keys.list_all(self._core, await self._project(project))))

    async def revoke(self, reference: str, *, project: str | None = None) -> Key:
        """End a key."""
        return _key(await keys.revoke(self._core, await self._project(project), reference))

    async def _project(self, ref: str | None) -> ProjectId:
        found = await (projects.ensure_default_project(self._core) if ref is None else projects.get(self._core, ref))
        return found.id


def _uuid(text: str | None) -> UUID | None:
    if text is None:
        return None
    found = parse_uuid(text)
    if found is None:
        raise InvalidRequest("`--id` must be a UUID.")
    return found


def _project(stored: StoredProject) -> Project:
    return Project(
        id=str(stored.id),
        slug=stored.slug,
        name=stored.name,
        created_at=stored.created_at,
        max_running=stored.max_running,
    )


def _key(stored: ApiKey) -> Key:
    return Key(
        id=str(stored.id),
        project_id=str(stored.project_id),
        prefix=stored.prefix,
        name=stored.name,
        scopes=tuple(sorted(stored.scopes)),
        created_at=stored.created_at,
        expires_at=stored.expires_at,
        revoked_at=stored.revoked_at,
    )
