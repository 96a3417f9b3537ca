"""The keys that the server signs its own tokens with (RS256, RFC 7518): one that signs, and those that it replaced.

They are kept as one text: the private key as PEM, and after it the public half of each replaced key, under a line that
says until when its tokens may be good. A reader that knows of one key only finds the one that signs.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_BITS: Final = 2048
_EXPONENT: Final = 65537
_RETIRED: Final = re.compile(
    r"^Until: (?P<until>\d+)\n(?P<pem>-----BEGIN PUBLIC KEY-----\n.*?-----END PUBLIC KEY-----)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class SigningKey:
    """A private key. Its id is made from its public half, so it is the same on every server."""

    private: rsa.RSAPrivateKey

    @cached_property
    def public(self) -> rsa.RSAPublicKey:
        """What others check the tokens with."""
        return self.private.public_key()

    @cached_property
    def id(self) -> str:
        """The `kid` of its tokens."""
        return _id(self.public)


@dataclass(frozen=True)
class RetiredKey:
    """The public half of a key that signs no more. Its last token ends before `until` (ms since 1970)."""

    public: rsa.RSAPublicKey
    until: int

    @cached_property
    def id(self) -> str:
        """The `kid` of its tokens."""
        return _id(self.public)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The key that signs, since when it does (ms since 1970), and the keys before it, newest first."""

    current: SigningKey
    since: int
    retired: tuple[RetiredKey, ...] = ()

    def public_keys(self, now: int) -> dict[str, rsa.RSAPublicKey]:
        """By id, the keys whose tokens may be good at `now`."""
        old = {key.id: key.public for key in self.retired if key.until > now}
        return {self.current.id: self.current.public, **old}


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """The keys as a process read them at `read_at` (ms since 1970), and the text that they were read from."""

    ring: KeyRing
    text: str
    read_at: int


def new_private_key() -> str:
    """A new private key as PEM. It takes a tenth of a second, of a processor."""
    made = rsa.generate_private_key(public_exponent=_EXPONENT, key_size=_BITS)
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def read_private_key(pem: str) -> SigningKey:
    """The key of a PEM text. Raises ValueError for anything but an RSA key."""
    private = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ValueError("The signing key in the database is not an RSA key.")
    return SigningKey(private)


def read_keys(text: str, since: int) -> KeyRing:
    """The keys of a stored text. Raises ValueError."""
    retired = []
    for found in _RETIRED.finditer(text):
        public = serialization.load_pem_public_key(found["pem"].encode())
        if not isinstance(public, rsa.RSAPublicKey):
            raise ValueError("A replaced signing key in the database is not an RSA key.")
        retired.append(RetiredKey(public, int(found["until"])))
    return KeyRing(read_private_key(text.partition("Until: ")[0]), since, tuple(retired))


def replaced(ring: KeyRing, private_key: str, now: int, until: int) -> str:
    """The text to store when `private_key` (PEM) takes the place of the key that signs, whose tokens end before
    `until`. Keys whose tokens have ended at `now` are left out."""
    kept = [RetiredKey(ring.current.public, until), *(key for key in ring.retired if key.until > now)]
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    parts = [
        f"Until: {key.until}\n{key.public.public_bytes(serialization.Encoding.PEM, form).decode().strip()}\n"
        for key in kept
    ]
    return private_key.strip() + "\n" + "".join(parts)


def _id(public: rsa.RSAPublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()[:32]
