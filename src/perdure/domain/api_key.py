"""API keys: their form, how they are made, and how one is recognised.

A key is `<kind>_<prefix>_<secret>` (seed 002), or `sk-<prefix>_<secret>` for clients of the Agent Runs API, which
exchange one that begins so for a token before they use it (vertesia.md section 7). The prefix is public and finds the
row. The whole key is stored as its SHA-256 and nothing else. A slow, salted hash (scrypt, argon2) would buy nothing:
those make guessing of *weak* secrets expensive, and a secret of ours has 256 random bits, which nobody guesses at any
speed. It would cost, though: tens of milliseconds of the server's time for whoever presents a key, also a made-up one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from perdure.domain.ids import KeyId, ProjectId
from perdure.domain.principal import Scope


class KeyKind(StrEnum):
    """How keys that are made here begin: `pd_`, or `sk-`, which the client of the Agent Runs API exchanges for tokens.
    Imported ones keep their own (`vf_…`).
    """

    OWN = "pd"
    EXCHANGED = "sk"


BOOTSTRAP_ID: Final = KeyId(UUID("00000000-0000-4000-8000-000000000002"))
"""The one row of the bootstrap key: another key at the next start takes the place of the former, which ends there."""

BOOTSTRAP_PREFIX: Final = "~bootstrap"
"""Stands for the bootstrap key's prefix, which may be any string. No other key can have it: it is not base62."""

_FORM: Final = re.compile(r"(?:[a-z]{2,16}_|sk-)([A-Za-z0-9]{4,32})_[A-Za-z0-9_-]{16,256}")
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PREFIX_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed: without its secret, which nobody can read again."""

    id: KeyId
    project_id: ProjectId
    prefix: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def usable(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the hash that recognises it."""

    key: ApiKey
    token_hash: bytes

    def matches(self, token_hash: bytes) -> bool:
        """Whether this is the key whose hash is given; takes the same time whatever the answer."""
        return hmac.compare_digest(self.token_hash, token_hash)


def hash_token(token: bytes) -> bytes:
    """What is stored of a whole key: SHA-256 (the module says why no slow hash)."""
    return hashlib.sha256(token).digest()


def prefix_of(token: str) -> str | None:
    """The public prefix of a key; None for a text that has not a key's form."""
    found = _FORM.fullmatch(token)
    return found.group(1) if found is not None else None


def new_token(random: Callable[[int], bytes] = os.urandom, kind: KeyKind = KeyKind.OWN) -> str:
    """A new key: `pd_` or `sk-`, 12 base62 digits that find it, `_`, 43 base62 digits that hold 256 random bits."""
    begin = f"{kind}-" if kind is KeyKind.EXCHANGED else f"{kind}_"
    prefix = int.from_bytes(random(_PREFIX_LENGTH)) % len(_DIGITS) ** _PREFIX_LENGTH
    secret = int.from_bytes(random(_SECRET_BYTES))
    return f"{begin}{_base62(prefix, _PREFIX_LENGTH)}_{_base62(secret, _SECRET_LENGTH)}"


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
