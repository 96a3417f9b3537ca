"""Signed URLs for artifacts: issued to who may, and checked when somebody comes with one (vertesia.md section 5)."""

from __future__ import annotations

import os
from typing import Final

from perdure.domain.artifact import ArtifactPath, Disposition
from perdure.domain.errors import SignedUrlRefused
from perdure.domain.ids import RunKey
from perdure.domain.signed_url import DEFAULT_SECONDS, Access, Grant, granted, signed
from perdure.services.core import Core
from perdure.store import artifacts as store
from perdure.store.runs import at

PATH: Final = "/artifacts/signed/"
"""Where the tokens are taken; a token follows."""

_SECRET: Final = "signed-urls"
_SECRET_BYTES: Final = 32


async def issue(
    core: Core,
    base_url: str,
    access: Access,
    key: RunKey,
    path: ArtifactPath,
    *,
    disposition: Disposition | None = None,
    file_name: str | None = None,
    seconds: int = DEFAULT_SECONDS,
) -> str:
    """A URL with which anybody may read (or write) this one file for `seconds`.

    `base_url`: where the server is reached, without a slash at its end. That the caller may do it is the caller's to
    check. Raises Unavailable.
    """
    grant = Grant(access, key, path, core.clock() + seconds * 1000, disposition, file_name)
    return f"{base_url}{PATH}{signed(grant, await _secret(core))}"


async def verify(core: Core, token: str, access: Access) -> Grant:
    """What a token allows. Raises SignedUrlRefused for one that is forged, over, or for something else."""
    grant = granted(token, await _secret(core), core.clock())
    if grant.access is not access:
        raise SignedUrlRefused(f"The signed URL is for {grant.access} only.")
    return grant


async def _secret(core: Core) -> bytes:
    """The key of all servers on this database; made by the first that needs one."""
    known = core.url_secrets.get(_SECRET)
    if known is not None:
        return known
    stored = await store.secret(core.database, _SECRET)
    if stored is None:
        made = os.urandom(_SECRET_BYTES)
        await store.add_secret(core.database, _SECRET, made, at(core.clock()))
        stored = await store.secret(core.database, _SECRET) or made
    core.url_secrets.put(_SECRET, stored)
    return stored
