"""Make, import, list and revoke API keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from perdure.domain.api_key import (
    BOOTSTRAP_ID,
    BOOTSTRAP_PREFIX,
    ApiKey,
    KeyKind,
    StoredKey,
    hash_token,
    new_token,
    prefix_of,
)
from perdure.domain.errors import Conflict, InvalidRequest, KeyNotFound, ProjectNotFound
from perdure.domain.ids import KeyId, ProjectId, new_uuid
from perdure.domain.principal import ORDINARY, Scope
from perdure.domain.project import check_name, parse_uuid
from perdure.ledger.notify import KEYS_CHANNEL
from perdure.services.core import Core
from perdure.store import api_keys, projects
from perdure.store.runs import at

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Issued:
    """A key that was just made or imported. `token` is the whole key, which is told this once."""

    key: ApiKey
    token: str


async def create(
    core: Core,
    project_id: ProjectId,
    *,
    name: str,
    scopes: Iterable[Scope] = ORDINARY,
    expires_at: datetime | None = None,
    token: str | None = None,
    kind: KeyKind = KeyKind.OWN,
) -> Issued:
    """A new key of a project, of a kind, or with `token` the import of a key that exists elsewhere (`vf_…`).

    Raises InvalidRequest, ProjectNotFound, and Conflict when an imported key's prefix is taken.
    """
    now = at(core.clock())
    _check_expiry(expires_at, now)
    wanted = frozenset(scopes)
    if not wanted:
        raise InvalidRequest("`/scopes` must name at least one scope.", pointer="/scopes")
    if await projects.get(core.database, project_id) is None:
        raise ProjectNotFound(f"There is no project {project_id}.")
    for _ in range(_TRIES):
        whole = new_token(kind=kind) if token is None else token
        key = ApiKey(
            KeyId(new_uuid(core.clock())), project_id, _prefix(whole), check_name(name), wanted, now, expires_at, None
        )
        created = await api_keys.create(core.database, StoredKey(key, hash_token(whole.encode())))
        if created is not None:
            return Issued(created, whole)
        if token is not None:
            break
    raise Conflict("There is a key with this prefix already.")


async def list_all(core: Core, project_id: ProjectId) -> list[ApiKey]:
    """A project's keys, oldest first, revoked and expired ones included."""
    return await api_keys.list_all(core.database, project_id)


async def revoke(core: Core, project_id: ProjectId, reference: str) -> ApiKey:
    """End a key of a project, by id or prefix; once more changes nothing. Raises KeyNotFound.

    It opens nothing from now on in this process, and within milliseconds in the others (5 s where a hint was lost).
    """
    revoked = None
    if reference.isascii() and reference.isprintable():
        by_id = parse_uuid(reference)
        wanted = reference if by_id is None else str(by_id)
        revoked = await api_keys.revoke(core.database, project_id, wanted, at(core.clock()))
    if revoked is None:
        raise KeyNotFound
    _announce(core, revoked)
    return revoked


async def ensure_bootstrap_key(core: Core, project_id: ProjectId, token: str) -> ApiKey:
    """Make `token`, any text, an administrator's key of the project; called at each start that has one.

    There is one bootstrap key: the key of an earlier start ends when another one takes its place. Raises InvalidRequest
    for an empty text.
    """
    whole = token.strip()
    if not whole:
        raise InvalidRequest("The bootstrap API key is empty.")
    scopes = frozenset({Scope.ADMIN})
    key = ApiKey(BOOTSTRAP_ID, project_id, BOOTSTRAP_PREFIX, "bootstrap", scopes, at(core.clock()), None, None)
    stored = await api_keys.put_bootstrap(core.database, StoredKey(key, hash_token(whole.encode())))
    _announce(core, stored)
    return stored


def _announce(core: Core, key: ApiKey) -> None:
    """Every process forgets what it knows of keys."""
    core.router.heard_here(KEYS_CHANNEL, [str(key.id)])
    core.notifier.say(KEYS_CHANNEL, (str(key.id),))


def _prefix(token: str) -> str:
    prefix = prefix_of(token)
    if prefix is None:
        raise InvalidRequest(
            "`/key` must be `<kind>_<prefix>_<secret>` or `sk-<prefix>_<secret>`: 2 to 16 lower-case letters, "
            "4 to 32 letters and digits, and a secret of 16 to 256 letters, digits, `-` and `_`.",
            pointer="/key",
        )
    return prefix


def _check_expiry(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
        raise InvalidRequest("`/expires_at` must be a time in the future, with its offset.", pointer="/expires_at")
