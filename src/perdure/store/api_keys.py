"""API keys: stored as hashes, found by prefix."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from perdure.domain.api_key import ApiKey, StoredKey
from perdure.domain.ids import KeyId, ProjectId
from perdure.domain.principal import known_scopes
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("api_keys")


async def create(database: Database, stored: StoredKey) -> ApiKey | None:
    """Store a key; None when its prefix is taken."""
    key = stored.key
    row = await database.fetchrow(
        _SQL["create_key"],
        key.id, key.project_id, key.prefix, stored.token_hash, key.name, sorted(key.scopes), key.created_at,
        key.expires_at,
    )  # fmt: skip
    return None if row is None else _stored(row).key


async def put_bootstrap(database: Database, stored: StoredKey) -> ApiKey:
    """Store the bootstrap key in place of the former one, and unrevoked."""
    key = stored.key
    rows = await database.fetch(
        _SQL["put_bootstrap_key"],
        key.id, key.project_id, key.prefix, stored.token_hash, key.name, sorted(key.scopes), key.created_at,
    )  # fmt: skip
    return _stored(rows[0]).key


async def find(database: Database, prefixes: Sequence[str]) -> list[StoredKey]:
    """The keys that have one of the prefixes, revoked and expired ones included."""
    return [_stored(row) for row in await database.fetch(_SQL["find_keys"], list(prefixes))]


async def list_all(database: Database, project_id: ProjectId) -> list[ApiKey]:
    """A project's keys, oldest first, revoked and expired ones included."""
    return [_stored(row).key for row in await database.fetch(_SQL["list_keys"], project_id)]


async def revoke(database: Database, project_id: ProjectId, reference: str, now: datetime) -> ApiKey | None:
    """End a key of a project, by id or prefix; None where the project has none. One that has ended stays as it is."""
    row = await database.fetchrow(_SQL["revoke_key"], project_id, reference, now)
    return None if row is None else _stored(row).key


def _stored(row: asyncpg.Record) -> StoredKey:
    key = ApiKey(
        id=KeyId(row["id"]),
        project_id=ProjectId(row["project_id"]),
        prefix=row["prefix"],
        name=row["name"],
        scopes=known_scopes(row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
    return StoredKey(key, row["secret_hash"])
