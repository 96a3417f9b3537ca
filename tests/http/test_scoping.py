"""In which project a request acts: an ordinary principal's own, an administrator's any."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg
import pytest

from perdure.domain.errors import NotAllowed, ProjectNotFound, RunNotFound
from perdure.domain.ids import ConversationId, ProjectId, RunId
from perdure.domain.principal import Principal, Scope, known_scopes
from perdure.domain.project import DEFAULT_PROJECT_ID, DEFAULT_SLUG
from perdure.domain.stored_run import About, RunFilter, Viewer, Visibility
from perdure.services import projects, runs, scoping
from perdure.services.core import Core
from tests.store.harness import PROJECT, new_run, server

ORDINARY = Principal("user", DEFAULT_PROJECT_ID)
ADMIN = Principal("admin", DEFAULT_PROJECT_ID, frozenset({Scope.ADMIN}))
WRITER = Principal("writer", DEFAULT_PROJECT_ID, frozenset({Scope.EVENTS_APPEND}), RunId("run-a"))


async def new_conversation(core: Core, project_id: ProjectId) -> ConversationId:
    conversation_id = ConversationId(uuid4())
    await core.database.execute(
        "INSERT INTO conversations (project_id, id, created_at, updated_at) VALUES ($1, $2, now(), now())",
        project_id,
        conversation_id,
    )
    return conversation_id


async def test_an_ordinary_principal_acts_in_its_own_project_and_only_a_new_run_is_asked_for(database: str) -> None:
    async with server(database) as core:
        own = Principal("user", PROJECT)
        key = await new_run(core)
        assert await scoping.project_of_run(core, own, key.run_id) == PROJECT
        await core.database.close()
        assert await scoping.project_of_run(core, own, key.run_id) == PROJECT
        assert await scoping.project_of_conversation(core, ORDINARY, ConversationId(uuid4())) == DEFAULT_PROJECT_ID
        assert await scoping.project_for_owner(core, ORDINARY, "project", DEFAULT_PROJECT_ID) == DEFAULT_PROJECT_ID
        assert await scoping.project_for_owner(core, ORDINARY, "conversation", uuid4()) == DEFAULT_PROJECT_ID
        for owner in (PROJECT, uuid4()):
            with pytest.raises(ProjectNotFound):
                await scoping.project_for_owner(core, ORDINARY, "project", owner)


async def test_a_private_run_is_there_for_its_owner_and_for_those_who_see_all(database: str) -> None:
    async with server(database) as core:
        key = await new_run(core, about=About(visibility=Visibility.PRIVATE), created_by="owner")
        for scopes in ({Scope.RUNS_READ}, {Scope.RUNS_READ, Scope.EVENTS_APPEND}):
            for _ in range(2):
                with pytest.raises(RunNotFound):
                    await scoping.project_of_run(core, Principal("other", PROJECT, frozenset(scopes)), key.run_id)
        for sees in (
            Principal("owner", PROJECT),
            Principal("super", PROJECT, known_scopes(["workflow:superadmin"])),
            Principal("admin", PROJECT, frozenset({Scope.ADMIN})),
            Principal("writer", PROJECT, frozenset({Scope.EVENTS_APPEND}), key.run_id),
        ):
            assert await scoping.project_of_run(core, sees, key.run_id) == PROJECT
        shown = {
            subject: await runs.list_page(
                core, PROJECT, RunFilter(viewer=Viewer(subject, sees_all)), before=None, limit=10
            )
            for subject, sees_all in (("owner", False), ("other", False), ("super", True))
        }
        assert {subject: len(page) for subject, page in shown.items()} == {"owner": 1, "other": 0, "super": 1}


async def test_an_administrator_acts_where_the_run_is(database: str) -> None:
    async with server(database) as core:
        await projects.ensure_default_project(core)
        key = await new_run(core)
        nowhere = RunId("nowhere")
        for _ in range(2):
            assert await scoping.project_of_run(core, ADMIN, key.run_id) == PROJECT
            assert await scoping.project_of_run(core, ADMIN, nowhere) == DEFAULT_PROJECT_ID
        later = await new_run(core, run_id=nowhere)
        assert await scoping.project_of_run(core, ADMIN, nowhere) == later.project_id
        for unspeakable in ("", "\x00", "\udc2f", "x" * 129):
            assert await scoping.project_of_run(core, ADMIN, RunId(unspeakable)) == DEFAULT_PROJECT_ID
        await core.database.close()
        assert await scoping.project_of_run(core, ADMIN, key.run_id) == PROJECT, "it is remembered"


async def test_an_administrators_own_project_comes_first(database: str) -> None:
    async with server(database) as core:
        key = await new_run(core, run_id="twice")
        other = await projects.create(core, slug="other")
        for table in ("runs", "run_head"):
            await copy_row(core, table, key.run_id, other.id)
        for own in (PROJECT, other.id):
            assert await scoping.project_of_run(core, Principal("a", own, ADMIN.scopes), key.run_id) == own


async def copy_row(core: Core, table: str, run_id: str, project_id: ProjectId) -> None:
    """The same row in another project."""
    async with core.database.connection() as connection:
        row = await connection.fetchrow(f"SELECT * FROM {table} WHERE run_id = $1", run_id)
        assert isinstance(row, asyncpg.Record)
        values = {**row, "project_id": project_id}
        await connection.copy_records_to_table(table, records=[tuple(values.values())], columns=list(values))


async def test_an_administrator_acts_where_the_owner_is(database: str) -> None:
    async with server(database) as core:
        await projects.ensure_default_project(core)
        await new_run(core)
        there = await new_conversation(core, PROJECT)
        for _ in range(2):
            assert await scoping.project_of_conversation(core, ADMIN, there) == PROJECT
            assert await scoping.project_for_owner(core, ADMIN, "conversation", there) == PROJECT
            assert await scoping.project_for_owner(core, ADMIN, "project", PROJECT) == PROJECT
            assert await scoping.project_for_owner(core, ADMIN, "conversation", uuid4()) == DEFAULT_PROJECT_ID
        with pytest.raises(ProjectNotFound):
            await scoping.project_for_owner(core, ADMIN, "project", UUID(int=7))


async def test_an_event_writer_acts_on_its_run_only(database: str) -> None:
    async with server(database) as core:
        assert await scoping.project_of_run(core, WRITER, RunId("run-a")) == DEFAULT_PROJECT_ID
        with pytest.raises(NotAllowed):
            await scoping.project_of_run(core, WRITER, RunId("run-b"))


async def test_the_default_project_is_the_same_at_every_start(database: str) -> None:
    async with server(database) as core:
        first = await projects.ensure_default_project(core)
        assert (first.id, first.slug) == (DEFAULT_PROJECT_ID, DEFAULT_SLUG)
        assert await projects.ensure_default_project(core) == first
