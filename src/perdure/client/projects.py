"""Projects and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from perdure.client.errors import ClientError
from perdure.client.models import Key, NewKey, Page, Project
from perdure.client.transport import Call, Transport, url_of

DEFAULT_SLUG: Final = "default"


class Projects:
    """`client.projects`: making one is for administrators."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._own: Project | None = None

    async def create(self, slug: str, *, name: str | None = None, id: str | None = None) -> Project:
        """A new project. `id`: a UUID of the caller's choice. ApiError `conflict` when the slug or the id is taken."""
        members = {"slug": slug, "name": name, "id": id}
        body = {member: value for member, value in members.items() if value is not None}
        return await self._transport.call(Call("POST", url_of("projects"), repeatable=False, body=body), Project)

    async def list(self) -> tuple[Project, ...]:
        """The projects that the caller may act in, oldest first."""
        return (await self._transport.call(Call("GET", url_of("projects"), repeatable=True), Page[Project])).data

    async def get(self, ref: str) -> Project:
        """A project by its id or slug."""
        return await self._transport.call(Call("GET", url_of("projects", ref), repeatable=True), Project)

    async def limit(self, ref: str, max_running: int | None) -> Project:
        """Let at most so many runs of a project be executed at once; None: any number. For administrators."""
        call = Call("PATCH", url_of("projects", ref), repeatable=True, body={"max_running": max_running})
        return await self._transport.call(call, Project)

    async def own(self) -> Project:
        """The project that runs are created in where none is named; asked for once.

        It is the only one that the caller may act in; for an administrator of several the one called `default`. Raises
        ClientError where there is none.
        """
        if self._own is None:
            visible = await self.list()
            defaults = visible if len(visible) == 1 else [found for found in visible if found.slug == DEFAULT_SLUG]
            if not defaults:
                raise ClientError("You may act in several projects, and none is called `default`: name one.")
            self._own = defaults[0]
        return self._own


class Keys:
    """`client.keys`, for administrators. `project` is an id or slug; None means the caller's own project."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
        """A new key, which is told this once. With `key` the import of one that exists elsewhere (`vf_…`).

        `scopes` None: everything but administration. `kind`: how it begins, `pd` or `sk` (for the Agent Runs API).
        """
        expiry = None if expires_at is None else expires_at.isoformat()
        members = {"name": name, "scopes": scopes, "expires_at": expiry, "key": key, "kind": kind}
        body = {member: value for member, value in members.items() if value is not None}
        return await self._transport.call(Call("POST", _keys(project), repeatable=False, body=body), NewKey)

    async def list(self, *, project: str | None = None) -> tuple[Key, ...]:
        """A project's keys, oldest first, those that have ended included."""
        return (await self._transport.call(Call("GET", _keys(project), repeatable=True), Page[Key])).data

    async def revoke(self, reference: str, *, project: str | None = None) -> Key:
        """End a key, by id or prefix. Once more changes nothing."""
        return await self._transport.call(Call("DELETE", _keys(project, reference), repeatable=True), Key)


def _keys(project: str | None, *more: str) -> str:
    return url_of("keys", *more) if project is None else url_of("projects", project, "keys", *more)
