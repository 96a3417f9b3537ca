"""What a route needs to know of its request: who calls, and the parts that serve it.

A route without a principal is public; those are the health routes and the two by which tokens are made and checked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request

from perdure.domain.errors import NotAllowed, NotAuthenticated
from perdure.domain.principal import Principal, Scope
from perdure.services.authentication import Authenticator
from perdure.services.health import Health

_BEARER: Final = HTTPBearer(
    scheme_name="bearerAuth", bearerFormat="JWT or API key", auto_error=False, description="A JWT, or an API key."
)
_API_KEY: Final = APIKeyHeader(
    scheme_name="apiKeyAuth", name="X-API-Key", auto_error=False, description="An API key, outside of Authorization."
)


def health_of(request: Request) -> Health:
    """What knows whether this process does its work."""
    health: Health = request.app.state.health
    return health


async def principal_of(request: Request, scope: Scope | None = None, *, presented: bytes | None = None) -> Principal:
    """Who calls, for a hot route; `scope`: what it must hold. Raises NotAuthenticated, NotAllowed, Unavailable.

    The key or token is in `Authorization: Bearer …`, an API key may be in `X-API-Key: …` (seed 002). Where both are
    sent, the first counts. `presented`: a Bearer token that came in another way.
    """
    authenticator: Authenticator = request.app.state.authenticator
    credential, bearer = presented_by(request) if presented is None else (presented, True)
    principal = await authenticator.authenticate(credential, bearer=bearer)
    if scope is not None and not principal.may(scope):
        raise NotAllowed(f"This needs the scope `{scope}`, which your key or token does not hold.")
    return principal


def require(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    """A dependency that answers who calls, and says in the OpenAPI document how; raises what `principal_of` does."""

    async def principal(
        request: Request,
        _bearer: Annotated[object, Security(_BEARER)],
        _api_key: Annotated[object, Security(_API_KEY)],
    ) -> Principal:
        return await principal_of(request, scope)

    return principal


Reader = Annotated[Principal, Depends(require(Scope.RUNS_READ))]
"""Whoever may read runs."""

Writer = Annotated[Principal, Depends(require(Scope.RUNS_WRITE))]
"""Whoever may start and steer runs."""

Administrator = Annotated[Principal, Depends(require(Scope.ADMIN))]
"""Whoever may do everything, in every project."""


def presented_by(request: Request) -> tuple[bytes, bool]:
    """The bytes of the key or token as they were sent, and whether as a Bearer token. Raises NotAuthenticated."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credential.strip():
        return credential.strip().encode("latin-1"), True
    key = request.headers.get("x-api-key", "").strip()
    if not key:
        raise NotAuthenticated
    return key.encode("latin-1"), False
