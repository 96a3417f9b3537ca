"""What `perdure keys` and `perdure projects` do: over HTTP, or directly on the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from perdure.cli.access import access_of
from perdure.cli.inputs import read_text
from perdure.cli.output import note, write_json, write_line, write_table
from perdure.cli.remote import ask
from perdure.client import Client, Key, NewKey, Project
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import direct as directly
else:
    directly = Lazy("perdure.cli.direct")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WantedKey:
    """The key to make, as it was said."""

    name: str
    scopes: tuple[str, ...] | None
    expires_in_days: int | None
    imported: str | None
    kind: str | None = None


class Projects(Protocol):
    """What administers projects: `client.projects`, or the database itself."""

    async def create(self, slug: str, *, name: str | None = None, id: str | None = None) -> Project:
        """A new project."""

    async def list(self) -> tuple[Project, ...]:
        """All projects."""

    async def limit(self, ref: str, max_running: int | None) -> Project:
        """Set or lift the limit of a project's runs at once."""


class Keys(Protocol):
    """What administers keys: `client.keys`, or the database itself."""

    async def create(
        self,
        name: str,
        *,
        project: str | None = None,
        scopes: tuple[str, ...] | None = None,
        expires_at: datetime | None = None,
        key: str | None = None,
        kind: str | None = None,
    ) -> NewKey:
        """A new key."""

    async def list(self, *, project: str | None = None) -> tuple[Key, ...]:
        """A project's keys."""

    async def revoke(self, reference: str, *, project: str | None = None) -> Key:
        """End a key."""


def _with_keys(context: typer.Context, direct: bool, work: Callable[[Keys], Awaitable[T]]) -> T:
    if direct:
        return directly.work_on(access_of(context), lambda core: work(directly.DirectKeys(core)))
    return ask(context, lambda client: _keys(client, work))


def _with_projects(context: typer.Context, direct: bool, work: Callable[[Projects], Awaitable[T]]) -> T:
    if direct:
        return directly.work_on(access_of(context), lambda core: work(directly.DirectProjects(core)))
    return ask(context, lambda client: _projects(client, work))


async def _keys(client: Client, work: Callable[[Keys], Awaitable[T]]) -> T:
    return await work(client.keys)


async def _projects(client: Client, work: Callable[[Projects], Awaitable[T]]) -> T:
    return await work(client.projects)


def create_key(context: typer.Context, wanted: WantedKey, project: str | None, *, direct: bool, as_json: bool) -> None:
    """Make or import a key."""
    token = read_text(Path("-")).strip() if wanted.imported == "-" else wanted.imported
    expires_at = None if wanted.expires_in_days is None else _now() + timedelta(days=wanted.expires_in_days)

    async def work(keys: Keys) -> NewKey:
        return await keys.create(
            wanted.name, project=project, scopes=wanted.scopes, expires_at=expires_at, key=token, kind=wanted.kind
        )

    made = _with_keys(context, direct, work)
    if as_json:
        write_json(made)
        return
    write_line(made.key)
    note(f"Key {made.prefix} ({made.name}) may {', '.join(made.scopes)}. It is not shown again.")


def list_keys(context: typer.Context, project: str | None, *, direct: bool, as_json: bool) -> None:
    """List keys."""
    found = _with_keys(context, direct, lambda keys: keys.list(project=project))
    if as_json:
        write_json({"data": found})
        return
    now = _now()
    write_table(
        ("PREFIX", "NAME", "STATE", "SCOPES", "CREATED", "ID"),
        (
            (key.prefix, key.name, _state(key, now), ", ".join(key.scopes), f"{key.created_at:%Y-%m-%d}", key.id)
            for key in found
        ),
        empty="The project has no keys.",
    )


def revoke_key(context: typer.Context, reference: str, project: str | None, *, direct: bool, as_json: bool) -> None:
    """End a key."""
    revoked = _with_keys(context, direct, lambda keys: keys.revoke(reference, project=project))
    if as_json:
        write_json(revoked)
    else:
        note(f"Key {revoked.prefix} ({revoked.name}) opens nothing any more.")


def rotate_signing_key(context: typer.Context, *, as_json: bool) -> None:
    """Replace the signing key."""
    key_id = directly.work_on(access_of(context), directly.rotate_signing_key)
    if as_json:
        write_json({"kid": key_id})
        return
    write_line(key_id)
    note("All servers sign with this key within half a minute. Tokens made before stay good until they end.")


def create_project(
    context: typer.Context, slug: str, name: str | None, project_id: str | None, *, direct: bool, as_json: bool
) -> None:
    """Create a project."""
    made = _with_projects(context, direct, lambda projects: projects.create(slug, name=name, id=project_id))
    if as_json:
        write_json(made)
    else:
        write_line(made.id)
        note(f"Project {made.slug} ({made.name}).")


def limit_project(context: typer.Context, ref: str, max_running: int | None, *, direct: bool, as_json: bool) -> None:
    """Set or lift the limit of a project's runs at once."""
    changed = _with_projects(context, direct, lambda projects: projects.limit(ref, max_running))
    if as_json:
        write_json(changed)
    elif changed.max_running is None:
        note(f"Any number of runs of project {changed.slug} may be executed at once.")
    else:
        note(f"At most {changed.max_running} runs of project {changed.slug} are executed at once.")


def list_projects(context: typer.Context, *, direct: bool, as_json: bool) -> None:
    """List projects."""
    found = _with_projects(context, direct, lambda projects: projects.list())
    if as_json:
        write_json({"data": found})
        return
    write_table(
        ("SLUG", "NAME", "MAX RUNNING", "CREATED", "ID"),
        (
            (project.slug, project.name, _limit(project), f"{project.created_at:%Y-%m-%d}", project.id)
            for project in found
        ),
        empty="There are no projects.",
    )


def _limit(project: Project) -> str:
    return "" if project.max_running is None else str(project.max_running)


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "good"
    return "expired" if key.expires_at <= now else f"until {key.expires_at:%Y-%m-%d}"


def _now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)
