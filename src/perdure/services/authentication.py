"""Who calls: from what a request presents to a principal.

A principal is remembered for at most five seconds, so that a hot route asks the database nothing. A revoked key is
forgotten at once, here and, by a hint, in every other process; the five seconds bound what a lost hint costs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from perdure.domain.api_key import BOOTSTRAP_PREFIX, hash_token, prefix_of
from perdure.domain.errors import NotAuthenticated
from perdure.domain.principal import Principal, Scope
from perdure.domain.project import DEFAULT_SLUG
from perdure.ledger.notify import KEYS_CHANNEL
from perdure.services import issued_tokens, projects
from perdure.services.core import Core
from perdure.services.recent import Recent
from perdure.services.tokens import Claims, JwtSettings, TokenVerifier, looks_like_token
from perdure.store import api_keys
from perdure.store.runs import at

MAX_CACHE_MS: Final = 5_000
_ROOM: Final = 10_000
_MAX_LENGTH: Final = 16_384


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    until: int


class Authenticator:
    """Tells principals by API keys and JWTs. `cache_ms`: for how long one is remembered, at most `MAX_CACHE_MS`."""

    def __init__(self, core: Core, jwt: JwtSettings | None = None, *, cache_ms: int = MAX_CACHE_MS) -> None:
        self._core = core
        self._tokens = TokenVerifier(jwt if jwt is not None else JwtSettings())
        self._cache_ms = min(cache_ms, MAX_CACHE_MS)
        self._known: Recent[tuple[bool, bytes], _Known] = Recent(_ROOM)
        self._forgotten = 0
        core.router.on(KEYS_CHANNEL, lambda _items: self.forget())
        core.router.after_gap(self.forget)

    def forget(self) -> None:
        """Ask the database again about everybody."""
        self._known.clear()
        self._forgotten += 1

    async def authenticate(self, presented: bytes, *, bearer: bool) -> Principal:
        """The principal of a credential, as its bytes came in. `bearer`: as a Bearer token, which may be a JWT;
        otherwise as an API key. Raises NotAuthenticated and Unavailable.
        """
        if not 0 < len(presented) <= _MAX_LENGTH:
            raise NotAuthenticated
        name = (bearer, hashlib.sha256(presented).digest())
        known = self._known.get(name)
        now = self._core.clock()
        if known is not None and now < known.until:
            return known.principal
        forgotten = self._forgotten
        found = await self._look_up(presented, bearer)
        # What was read before a revocation must not be remembered after it.
        if forgotten == self._forgotten:
            self._known.put(name, _Known(found.principal, min(found.until, now + self._cache_ms)))
        return found.principal

    async def _look_up(self, presented: bytes, bearer: bool) -> _Known:
        text = presented.decode("utf-8", "replace")
        if bearer and looks_like_token(text):
            claims = await issued_tokens.verify(self._core, text)
            if claims is None and self._tokens.enabled:
                claims = await self._tokens.verify(text)
            if claims is not None:
                return _Known(await self._token_principal(claims), claims.expires_at)
        return await self._by_key(text, hash_token(presented))

    async def _by_key(self, text: str, token_hash: bytes) -> _Known:
        now = self._core.clock()
        prefix = prefix_of(text)
        prefixes = (BOOTSTRAP_PREFIX,) if prefix is None else (BOOTSTRAP_PREFIX, prefix)
        for stored in await api_keys.find(self._core.database, prefixes):
            if stored.matches(token_hash) and stored.key.usable(at(now)):
                key = stored.key
                ends = now + MAX_CACHE_MS if key.expires_at is None else int(key.expires_at.timestamp() * 1000)
                return _Known(Principal(f"key:{key.prefix}", key.project_id, key.scopes), ends)
        raise NotAuthenticated("This API key is not known, or it was revoked, or it has expired.")

    async def _token_principal(self, claims: Claims) -> Principal:
        if claims.project is None and Scope.ADMIN not in claims.scopes:
            raise NotAuthenticated("The token does not say in which project it acts: it needs the claim `project_id`.")
        project = await projects.find(self._core, claims.project if claims.project is not None else DEFAULT_SLUG)
        if project is None:
            raise NotAuthenticated("The project that the token names is not known here.")
        return Principal(claims.subject, project.id, claims.scopes, claims.run_id)
