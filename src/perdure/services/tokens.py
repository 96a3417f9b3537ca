"""JSON Web Tokens: checked, and read as what they say about their bearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from perdure.domain.errors import NotAuthenticated
from perdure.domain.ids import RunId
from perdure.domain.principal import ORDINARY, Scope, known_scopes
from perdure.services.jwks import ALGORITHMS, JwksKeys

_SHARED: Final = "HS256"
_MAX_SUBJECT: Final = 255


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """Which tokens are good. None of the two sources of keys set: none is.

    `secret`: the shared secret of HS256 tokens (RFC 7518 asks for 32 bytes or more). `jwks_url`: where the public keys
    of RS256, ES256 and EdDSA tokens are. `issuer`: what `iss` must be, where set. `audience`: what `aud` must name,
    where set; where it is not, a token with an `aud` is meant for somebody else and is refused (RFC 7519, 4.1.3).
    `leeway_seconds`: how far the issuer's clock may be off.
    """

    secret: str | None = None
    jwks_url: str | None = None
    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says. `project` is an id or slug, as it was written; `expires_at` is in ms since 1970."""

    subject: str
    project: str | None
    scopes: frozenset[Scope]
    run_id: RunId | None
    expires_at: int


class TokenVerifier:
    """Checks tokens. The algorithm that a token names chooses the source of the key, and each source has its own
    algorithms, so a token cannot have a public key used as a secret, nor go without a signature (RFC 8725, 3.1)."""

    def __init__(self, settings: JwtSettings, jwks: JwksKeys | None = None) -> None:
        self._settings = settings
        self._jwks = jwks if jwks is not None or settings.jwks_url is None else JwksKeys(settings.jwks_url)

    @property
    def enabled(self) -> bool:
        """Whether any token can be good."""
        return bool(self._settings.secret) or self._jwks is not None

    async def verify(self, token: str) -> Claims:
        """What a token says. Raises NotAuthenticated, with the reason, and Unavailable."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(header)
            said = jwt.decode(
                token,
                key,
                algorithms=[_SHARED] if isinstance(key, str) else [key.algorithm_name],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=self._settings.leeway_seconds,
                options={"require": ["exp"], "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            raise NotAuthenticated(_reason(error)) from None
        return read_claims(said)

    async def _key(self, header: Mapping[str, Any]) -> str | jwt.PyJWK:
        algorithm = header.get("alg")
        if algorithm == _SHARED and self._settings.secret:
            return self._settings.secret
        if isinstance(algorithm, str) and algorithm in ALGORITHMS and self._jwks is not None:
            return await self._jwks.find(algorithm, header.get("kid"))
        raise jwt.InvalidAlgorithmError


def looks_like_token(text: str) -> bool:
    """Whether a credential is a JWT rather than an API key: three parts, of which the first is base64 of `{"…`."""
    return text.startswith("eyJ") and text.count(".") == 2


def read_claims(said: Mapping[str, Any]) -> Claims:
    """The claims that we know, of a token that was checked. Raises NotAuthenticated where one makes no sense.

    They are `sub` (or `userId`), `project_id` (`projectId`), `run_id` (`runId`), `admin`, and `scopes` or `scope` (a
    list or words). A token without scopes holds the ordinary ones. One that is bound to a run may append to that run
    and do nothing else: such is the event writer's (veryfront.md 1.10).
    """
    subject = _text(said, "sub", "userId")
    if subject is None or len(subject) > _MAX_SUBJECT:
        raise NotAuthenticated("The token does not say whose it is: it needs the claim `sub`.")
    run_id = _text(said, "run_id", "runId")
    scopes = _scopes(said)
    if run_id is not None:
        scopes &= {Scope.EVENTS_APPEND}
    elif _text(said, "token_use", "tokenUse") == "run_event_writer":
        raise NotAuthenticated("The token is an event writer's and does not say of which run.")
    elif said.get("admin") is True:
        scopes |= {Scope.ADMIN}
    return Claims(
        subject=subject,
        project=_text(said, "project_id", "projectId"),
        scopes=scopes,
        run_id=None if run_id is None else RunId(run_id),
        expires_at=int(said["exp"]) * 1000,
    )


def _text(said: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = said.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not value or not value.isprintable():
            raise NotAuthenticated(f"The token's claim `{name}` must be a text.")
        return value
    return None


def _scopes(said: Mapping[str, Any]) -> frozenset[Scope]:
    given = said.get("scopes", said.get("scope"))
    if given is None:
        return ORDINARY
    words = given.split() if isinstance(given, str) else given
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise NotAuthenticated("The token's scopes must be a list of words.")
    return known_scopes(words)


def _reason(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "The token has expired."
        case jwt.ImmatureSignatureError():
            return "The token is not good yet."
        case jwt.InvalidAudienceError():
            return "The token is meant for another audience."
        case jwt.InvalidIssuerError():
            return "The token is of another issuer."
        case jwt.InvalidAlgorithmError():
            return "The token is signed in a way that is not accepted here."
        case jwt.MissingRequiredClaimError(claim=claim):
            return f"The token lacks the claim `{claim}`."
        case _:
            return "The token is not valid."
