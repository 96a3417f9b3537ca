"""Artifacts: rows that point at blobs, and the blobs that no row points at any more.

A blob is announced before its first byte is written. The foreign key keeps one that a row points at; triggers note one
whose row went away, however it went. So none is lost, and none is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import asyncpg

from perdure.domain.artifact import Artifact, ArtifactPath, BlobName, Disposition, NewArtifact
from perdure.domain.errors import Unavailable
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    from perdure.store.database import Connection

_SQL = load("artifacts")
COPY_TRIES: Final = 5
"""How often a copy is tried while its source changes."""


class BlobGone(Exception):
    """A blob that a copied row points at was removed just now."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a write: `held` says whether the run is there for its writer; `artifact` is None where nothing
    was written."""

    held: bool | None
    artifact: Artifact | None


async def announce(database: Database, project_id: ProjectId, blob: BlobName, now: datetime) -> None:
    """A blob is about to be written."""
    await database.execute(_SQL["announce_blob"], blob, project_id, now)


async def touch(database: Database, blob: BlobName, now: datetime) -> None:
    """A blob is still being written."""
    await database.execute(_SQL["touch_blob"], blob, now)


async def abandon(database: Database, blob: BlobName) -> None:
    """A blob will not be pointed at: the next sweep may have it."""
    await database.execute(_SQL["abandon_blob"], blob)


async def store(database: Database, new: NewArtifact, blob: BlobName, size: int, now: datetime) -> Stored:
    """Point a path at a written blob. `held` is None where there is no run. Raises Unavailable for a blob that was
    announced too long ago."""
    try:
        row = await database.fetchrow(
            _SQL["store_artifact"], new.key.project_id, new.key.run_id, new.path, blob, size, new.content_type,
            new.disposition, new.file_name, new.created_by, new.fence, new.expected, now,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError as error:
        if error.constraint_name == "artifacts_blob_fkey":
            raise Unavailable("The upload stood still for too long. Send it again.") from None
        return Stored(None, None)
    if row is None:
        return Stored(None, None)
    if row["generation"] is None:
        return Stored(row["held"], None)
    made = Artifact(
        key=new.key, path=new.path, blob=blob, size=size, content_type=new.content_type, generation=row["generation"],
        created_at=row["created_at"], updated_at=now, created_by=new.created_by, disposition=new.disposition,
        file_name=new.file_name,
    )  # fmt: skip
    return Stored(True, made)


async def get(database: Database, key: RunKey, path: ArtifactPath) -> Artifact | None:
    """One artifact; None where there is none."""
    row = await database.fetchrow(_SQL["get_artifact"], key.project_id, key.run_id, path)
    return None if row is None else _artifact(row)


async def list_all(database: Database, key: RunKey, prefix: str) -> list[Artifact]:
    """All artifacts of a run whose path begins with `prefix`, by path."""
    return [_artifact(row) for row in await database.fetch(_SQL["list_artifacts"], key.project_id, key.run_id, prefix)]


async def delete(database: Database, key: RunKey, path: ArtifactPath, fence: int | None) -> tuple[bool | None, bool]:
    """Delete one. Answers whether the run is there for who deletes it (None: it is gone), and whether there was one."""
    row = await database.fetchrow(_SQL["delete_artifact"], key.project_id, key.run_id, path, fence)
    return (None, False) if row is None else (row["held"], row["path"] is not None)


async def copy_all(connection: Connection, source: RunKey, run_id: RunId) -> None:
    """Give a run of the same project the artifacts of another one, within the caller's transaction.

    Raises BlobGone where one of them was replaced meanwhile, and its blob removed: then the transaction is to be tried
    again.
    """
    try:
        await connection.execute(_SQL["copy_artifacts"], source.project_id, source.run_id, run_id)
    except asyncpg.ForeignKeyViolationError as error:
        if error.constraint_name != "artifacts_blob_fkey":
            raise
        raise BlobGone from None


async def bury(database: Database, before: datetime, limit: int) -> None:
    """Take blobs that are loose since before `before` for dead; with them those whose row went away."""
    try:
        await database.execute(_SQL["bury_loose_blobs"], before, limit)
    except asyncpg.ForeignKeyViolationError:
        return  # a row came to point at one of them just now; the next sweep sees it


async def dead(database: Database, limit: int) -> list[BlobName]:
    """Blobs whose bytes are to be removed."""
    return [BlobName(row["name"]) for row in await database.fetch(_SQL["dead_blobs"], limit)]


async def forget(database: Database, blobs: Sequence[BlobName]) -> None:
    """The bytes of these are removed."""
    await database.execute(_SQL["forget_blobs"], list(blobs))


async def secret(database: Database, name: str) -> bytes | None:
    """A secret that the servers on this database share; None where none was made yet."""
    row = await database.fetchrow(_SQL["get_server_secret"], name)
    return None if row is None else row["value"]


async def add_secret(database: Database, name: str, value: bytes, now: datetime) -> None:
    """Store a shared secret, unless another server was faster."""
    await database.execute(_SQL["add_server_secret"], name, value, now)


def _artifact(row: asyncpg.Record) -> Artifact:
    return Artifact(
        key=RunKey(ProjectId(row["project_id"]), RunId(row["run_id"])),
        path=ArtifactPath(row["path"]),
        blob=BlobName(row["blob"]),
        size=row["size"],
        content_type=row["content_type"],
        generation=row["generation"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        created_by=row["created_by"],
        disposition=None if row["disposition"] is None else Disposition(row["disposition"]),
        file_name=row["file_name"],
    )
