"""Projects, and in which of them something is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from perdure.domain.batch import BatchId
from perdure.domain.ids import ConversationId, ProjectId, RunId
from perdure.domain.project import Project
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("projects")


async def create(database: Database, project: Project) -> Project | None:
    """Store a project; None when its id or slug is taken."""
    row = await database.fetchrow(_SQL["create_project"], project.id, project.slug, project.name, project.created_at)
    return None if row is None else _project(row)


async def set_max_running(database: Database, project_id: ProjectId, most: int | None) -> Project | None:
    """Set or lift the limit of a project's runs at once; None where there is no such project."""
    row = await database.fetchrow(_SQL["set_max_running"], project_id, most)
    return None if row is None else _project(row)


async def get(database: Database, reference: ProjectId | str) -> Project | None:
    """A project by its id or (a string) its slug."""
    sql = _SQL["get_project"] if isinstance(reference, UUID) else _SQL["get_project_by_slug"]
    row = await database.fetchrow(sql, reference)
    return None if row is None else _project(row)


async def list_all(database: Database) -> list[Project]:
    """All projects, oldest first."""
    return [_project(row) for row in await database.fetch(_SQL["list_projects"])]


async def locate_run(database: Database, first: ProjectId, run_id: RunId) -> ProjectId | None:
    """The project that has a run of that id, `first` before others; None where no project has."""
    return _located(await database.fetchrow(_SQL["locate_run"], first, run_id))


async def locate_conversation(
    database: Database, first: ProjectId, conversation_id: ConversationId
) -> ProjectId | None:
    """The project that has a conversation, `first` before others; None where no project has."""
    return _located(await database.fetchrow(_SQL["locate_conversation"], first, conversation_id))


async def locate_batch(database: Database, first: ProjectId, batch_id: BatchId) -> ProjectId | None:
    """The project that has a batch, `first` before others; None where no project has."""
    return _located(await database.fetchrow(_SQL["locate_batch"], first, batch_id))


def _located(row: asyncpg.Record | None) -> ProjectId | None:
    return None if row is None or row["project_id"] is None else ProjectId(row["project_id"])


def _project(row: asyncpg.Record) -> Project:
    return Project(ProjectId(row["id"]), row["slug"], row["name"], row["created_at"], row["max_running"])
