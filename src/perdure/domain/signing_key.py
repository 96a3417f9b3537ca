"""The key that the server signs its own tokens with (RS256, RFC 7518)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_BITS: Final = 2048
_EXPONENT: Final = 65537


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
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self.public.public_bytes(serialization.Encoding.DER, form)).hexdigest()[:32]


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
