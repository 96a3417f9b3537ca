"""Signed URLs: whoever holds one may do the one thing that it names, until it expires (vertesia.md section 5).

A token is what is granted, and an HMAC-SHA256 over that under a key of the server's. It names method, run and file, so
nothing else is done with it; it is the only secret that stands in a URL, because it is over soon.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from perdure.domain.artifact import ArtifactPath, Disposition
from perdure.domain.errors import SignedUrlRefused
from perdure.domain.ids import ProjectId, RunId, RunKey

DEFAULT_SECONDS: Final = 15 * 60
"""How long a signed URL is good."""

_CONTEXT: Final = b"perdure signed url 1\n"
_MAX_TOKEN: Final = 8192
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")


class Access(StrEnum):
    """What a signed URL is for. One for reading is good for HEAD, too."""

    READ = "GET"
    WRITE = "PUT"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a signed URL allows. `disposition` and `file_name` are how a download is to be presented."""

    access: Access
    key: RunKey
    path: ArtifactPath
    expires_at_ms: int
    disposition: Disposition | None = None
    file_name: str | None = None

    def text(self) -> bytes:
        """What is signed: one text for one grant."""
        return msgspec.json.encode(
            _Said(
                self.access, str(self.key.project_id), self.key.run_id, self.path, self.expires_at_ms,
                self.disposition, self.file_name,
            )
        )  # fmt: skip


class _Said(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    access: Access
    project_id: str
    run_id: str
    path: str
    expires_at_ms: int
    disposition: Disposition | None
    file_name: str | None


def signed(grant: Grant, secret: bytes) -> str:
    """The token of a signed URL."""
    text = grant.text()
    return f"{_encoded(text)}.{_encoded(_mac(text, secret))}"


def granted(token: str, secret: bytes, now_ms: int) -> Grant:
    """What a token allows. Raises SignedUrlRefused for one that we did not sign, or that is over."""
    parts = _TOKEN.fullmatch(token) if len(token) <= _MAX_TOKEN else None
    if parts is None:
        raise SignedUrlRefused
    text, mac = _decoded(parts[1]), _decoded(parts[2])
    # Compared as texts: several spellings of base64 mean the same bytes, and only ours is taken.
    if not hmac.compare_digest(token, f"{_encoded(text)}.{_encoded(_mac(text, secret))}") or len(mac) != 32:
        raise SignedUrlRefused
    said = msgspec.json.decode(text, type=_Said)
    if said.expires_at_ms <= now_ms:
        raise SignedUrlRefused("The signed URL has expired.")
    key = RunKey(ProjectId(UUID(said.project_id)), RunId(said.run_id))
    return Grant(said.access, key, ArtifactPath(said.path), said.expires_at_ms, said.disposition, said.file_name)


def _mac(text: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, _CONTEXT + text, hashlib.sha256).digest()


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(value: str) -> bytes:
    try:
        return urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except ValueError:
        raise SignedUrlRefused from None
