"""The public keys of an identity provider, from its JWKS URL (RFC 7517), fetched seldom and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import httpx
import jwt
import msgspec

from perdure.domain.errors import NotAuthenticated, Unavailable

ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})
"""What may sign a token whose key comes from a JWKS. All are asymmetric: a public key is never a shared secret."""

_FRESH_SECONDS: Final = 300.0
_COOLDOWN_SECONDS: Final = 10.0
"""How long after a fetch, good or bad, no other is made: made-up key ids must not make us hammer the provider."""
_TIMEOUT_SECONDS: Final = 5.0
_MAX_BYTES: Final = 1_000_000


class JwksKeys:
    """The keys behind one URL. When the provider is away, the keys that were fetched last stay good.

    `timer`: seconds that never go back.
    """

    def __init__(self, url: str, timer: Callable[[], float] = monotonic) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"The JWKS URL must be http or https, not {url!r}.")
        self._url = url
        self._timer = timer
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        """The key that a token names; a token that names none may use the only key for its algorithm.

        Raises NotAuthenticated where there is none, Unavailable while no keys could be fetched at all.
        """
        found = self._match(algorithm, key_id)
        stale = self._older_than(_FRESH_SECONDS, self._fetched_at)
        # One waits for the provider, which may be away; the others go on with the keys that there are.
        if found is None or (stale and not self._lock.locked()):
            await self._refresh(self._fetched_at)
            found = self._match(algorithm, key_id)
        if found is not None:
            return found
        if self._fetched_at is None:
            raise Unavailable("The keys that tokens are checked with cannot be fetched just now. Try again.")
        raise NotAuthenticated("The token is signed with a key that its issuer does not publish.")

    def _match(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if key.algorithm_name == algorithm]
        if key_id is not None:
            return next((key for key in fitting if key.key_id == key_id), None)
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self, known: float | None) -> None:
        """Fetch once for all who want it: `known` is the fetch that the caller found wanting."""
        async with self._lock:
            if self._fetched_at != known or not self._older_than(_COOLDOWN_SECONDS, self._tried_at):
                return
            self._tried_at = self._timer()
            keys = await self._fetch()
            if keys is not None:
                self._keys, self._fetched_at = keys, self._timer()

    def _older_than(self, seconds: float, moment: float | None) -> bool:
        return moment is None or self._timer() - moment >= seconds

    async def _fetch(self) -> tuple[jwt.PyJWK, ...] | None:
        """The usable keys, None when the provider did not answer with a key set."""
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client, client.stream("GET", self._url) as answer:
                answer.raise_for_status()
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        return None
            published = jwt.PyJWKSet.from_dict(msgspec.json.decode(bytes(body), type=dict[str, object]))
        except (httpx.HTTPError, msgspec.DecodeError, jwt.PyJWTError):
            return None
        return tuple(
            key for key in published.keys if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
        )
