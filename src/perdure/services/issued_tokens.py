"""The server's own tokens (veryfront.md 1.10): made for holders of API keys and for writers of one run, and checked.

They are JWTs, signed with RS256 by a key that is kept in the database (`services.signing`), so that every server on it
makes and takes the same. `/.well-known/jwks.json` publishes the public half, and those of earlier keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.algorithms import RSAAlgorithm

from perdure.domain.api_key import ApiKey, hash_token
from perdure.domain.errors import NotAuthenticated, RunNotFound
from perdure.domain.ids import RunId, RunKey
from perdure.domain.principal import ORDINARY, Principal, Scope
from perdure.domain.signing_key import SigningKey
from perdure.domain.stored_run import Run
from perdure.services import runs as run_service
from perdure.services import scoping, signing
from perdure.services.core import Core
from perdure.services.tokens import Claims, read_claims
from perdure.store import api_keys
from perdure.store.runs import at

ISSUER: Final = "perdure"
ALGORITHM: Final = "RS256"
ACCESS_SECONDS: Final = 3600
"""How long a token of POST /auth/token is good, if its key is. It ends at once when the key is revoked."""
EVENT_WRITER_SECONDS: Final = int(signing.LONGEST_TOKEN.total_seconds())
"""How long an event writer's token is good. The run may take long, and its writer cannot ask for another."""

RUNTIME_SECONDS: Final = 24 * 3600
"""How long the token is good that a push runtime gets with a run."""

_SERVICE_ACCOUNT: Final = "00000000-0000-4000-8000-000000000003"
"""Who appends with an event writer's token."""

_KEY_CLAIM: Final = "key_prefix"
_MADE_CLAIM: Final = "key_created_at"
"""Tells the bootstrap keys of different starts apart, which share a prefix."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token for the holder of an API key; good for `expires_in` seconds."""

    token: str
    expires_in: int
    scopes: tuple[str, ...]


async def signing_key(core: Core) -> SigningKey:
    """The key that all servers on this database sign with."""
    return (await signing.key_ring(core)).current


async def published_keys(core: Core) -> dict[str, list[dict[str, Any]]]:
    """What /.well-known/jwks.json says (RFC 7517): the key that signs first, then those whose tokens may still be
    good."""
    found = (await signing.key_ring(core)).public_keys(core.clock())
    return {
        "keys": [
            {**RSAAlgorithm.to_jwk(public, as_dict=True), "kid": key_id, "use": "sig", "alg": ALGORITHM}
            for key_id, public in found.items()
        ]
    }


async def exchange(core: Core, client_id: str, client_secret: str, project_ref: str | None) -> AccessToken:
    """A token for the holder of an API key: `client_id` is the key's prefix, `client_secret` the whole key.

    `project_ref` (an id or slug): the project in which it acts, its key's unless an administrator says otherwise.
    Raises NotAuthenticated, and ProjectNotFound.
    """
    key = await _key_of(core, client_id, client_secret)
    project_id = key.project_id
    if project_ref is not None:
        principal = Principal(f"key:{key.prefix}", key.project_id, key.scopes)
        project_id = (await scoping.project_by_ref(core, principal, project_ref)).id
    return await _access_token(core, key, str(project_id))


async def refresh(core: Core, token: str) -> AccessToken:
    """A new token in place of one of `exchange` that is still good. Raises NotAuthenticated."""
    said = await _verified(core, token)
    if said is None or _KEY_CLAIM not in said:
        raise NotAuthenticated("The token is none that was made for an API key here.")
    return await _access_token(core, await _check_key(core, said[_KEY_CLAIM], said[_MADE_CLAIM]), said["project_id"])


async def _access_token(core: Core, key: ApiKey, project_id: str) -> AccessToken:
    seconds = ACCESS_SECONDS
    if key.expires_at is not None:
        seconds = min(seconds, max(1, int(key.expires_at.timestamp() - core.clock() / 1000)))
    claims = {
        "sub": f"key:{key.prefix}",
        "project_id": project_id,
        "scopes": sorted(key.scopes),
        _KEY_CLAIM: key.prefix,
        _MADE_CLAIM: _made(key),
    }
    return AccessToken(await _sign(core, claims, seconds), seconds, tuple(sorted(key.scopes)))


async def event_writer_token(core: Core, key: RunKey) -> str:
    """A token that is good for appending to one run and nothing else (veryfront.md 1.10)."""
    claims = {
        "userId": _SERVICE_ACCOUNT,
        "actorType": "service_account",
        "tokenUse": "run_event_writer",
        "projectId": str(key.project_id),
        "runId": key.run_id,
        "scopes": [Scope.EVENTS_APPEND],
    }
    return await _sign(core, claims, EVENT_WRITER_SECONDS)


async def runtime_token(core: Core, run: Run) -> str:
    """The token that a push runtime is called with for a run, and with which it calls back (veryfront.md 1.8).

    It acts for whoever started the run, in the run's project, with the ordinary scopes. Runtimes look for `userId`.
    """
    user = run.created_by or _SERVICE_ACCOUNT
    claims = {
        "sub": user,
        "userId": user,
        "tokenUse": "push_runtime",
        "projectId": str(run.project_id),
        "scopes": sorted(ORDINARY),
    }
    return await _sign(core, claims, RUNTIME_SECONDS)


async def child_event_writer_token(core: Core, parent: RunKey, child_id: RunId) -> str:
    """An event writer's token for a child of a run. Raises RunNotFound for what is not its child."""
    child = await run_service.get(core, RunKey(parent.project_id, child_id))
    if child.parent_run_id != parent.run_id:
        raise RunNotFound(f"Run {parent.run_id} has no child {child_id}.")
    return await event_writer_token(core, child.key)


async def verify(core: Core, token: str) -> Claims | None:
    """What a token of ours says; None for one that is somebody else's. Raises NotAuthenticated."""
    said = await _verified(core, token)
    return None if said is None else read_claims(said)


async def _verified(core: Core, token: str) -> dict[str, Any] | None:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        return None
    if header.get("alg") != ALGORITHM:
        return None
    key_id = header.get("kid")
    public = await signing.public_key(core, key_id) if isinstance(key_id, str) else None
    if public is None:
        return None
    try:
        said = jwt.decode(
            token,
            public,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            # The time is our clock's to tell.
            options={"require": ["exp", "iss"], "verify_exp": False, "verify_iat": False, "verify_aud": False},
        )
    except jwt.PyJWTError:
        raise NotAuthenticated("The token is not valid.") from None
    if int(said["exp"]) * 1000 <= core.clock():
        raise NotAuthenticated("The token has expired.")
    if _KEY_CLAIM in said:
        await _check_key(core, said[_KEY_CLAIM], said[_MADE_CLAIM])
    return dict(said)


async def _sign(core: Core, claims: dict[str, Any], seconds: int) -> str:
    now = core.clock() // 1000
    key = await signing_key(core)
    return jwt.encode(
        {"iss": ISSUER, "iat": now, "exp": now + seconds, **claims},
        key.private,
        algorithm=ALGORITHM,
        headers={"kid": key.id},
    )


async def _key_of(core: Core, client_id: str, client_secret: str) -> ApiKey:
    now = at(core.clock())
    wanted = hash_token(client_secret.encode())
    for stored in await api_keys.find(core.database, (client_id,)):
        if stored.matches(wanted) and stored.key.usable(now):
            return stored.key
    raise NotAuthenticated("That is no whole API key which is good here. (As a client_id its prefix goes with it.)")


async def _check_key(core: Core, prefix: str, made: int) -> ApiKey:
    """The key that a token was made for. Raises NotAuthenticated unless it is still good."""
    now = at(core.clock())
    for stored in await api_keys.find(core.database, (prefix,)):
        if stored.key.usable(now) and _made(stored.key) == made:
            return stored.key
    raise NotAuthenticated("The API key that this token was made for was revoked, or it has expired.")


def _made(key: ApiKey) -> int:
    return int(key.created_at.timestamp() * 1000)
