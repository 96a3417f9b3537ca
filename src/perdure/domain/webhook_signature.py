"""Who sent a delivery: the signatures that webhooks are known by.

`standard` is the scheme of https://www.standardwebhooks.com: `webhook-signature` holds one or several `v1,<base64>`,
each the HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`; the time may differ from ours by five minutes.
`github` is GitHub's `X-Hub-Signature-256: sha256=<hex>`, the HMAC-SHA256 of the body alone: it has no time, and the
delivery's id is not signed.

Header names are looked up in lower case.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, assert_never

from perdure.domain.errors import InvalidRequest

TOLERANCE_SECONDS: Final = 300
"""How far the time that a delivery says may be from ours, before and after."""

_PREFIX: Final = "whsec_"
_NEW_BYTES: Final = 32
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64
_GITHUB_SECRET: Final = re.compile(r"[!-~]{16,256}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")
_ID: Final = re.compile(r"[ -~]{1,255}")


class SignatureScheme(StrEnum):
    """How deliveries are signed."""

    STANDARD = "standard"
    GITHUB = "github"


def new_secret(scheme: SignatureScheme, random: Callable[[int], bytes] = os.urandom) -> str:
    """A new secret of 256 random bits, in the form that the scheme's senders take."""
    match scheme:
        case SignatureScheme.STANDARD:
            return _PREFIX + base64.b64encode(random(_NEW_BYTES)).decode()
        case SignatureScheme.GITHUB:
            return random(_NEW_BYTES).hex()
        case _:
            assert_never(scheme)


def check_secret(scheme: SignatureScheme, secret: str) -> None:
    """Refuse a secret that the scheme cannot sign with, or that is too short. Raises InvalidRequest."""
    match scheme:
        case SignatureScheme.STANDARD:
            key = _standard_key(secret)
            if key is None or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
                raise InvalidRequest(
                    f"`/secret` must be `{_PREFIX}` and the base64 of {_LEAST_BYTES} to {_MOST_BYTES} bytes.",
                    pointer="/secret",
                )
        case SignatureScheme.GITHUB:
            if not _GITHUB_SECRET.fullmatch(secret):
                raise InvalidRequest(
                    "`/secret` must be 16 to 256 printable ASCII characters without spaces.", pointer="/secret"
                )
        case _:
            assert_never(scheme)


def is_genuine(scheme: SignatureScheme, secret: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> bool:
    """Whether the holder of the secret sent this just now; how long it takes says nothing about the signature."""
    match scheme:
        case SignatureScheme.STANDARD:
            return _is_standard(secret, headers, body, now_ms)
        case SignatureScheme.GITHUB:
            expected = b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
            return hmac.compare_digest(_bytes(headers.get("x-hub-signature-256", "")), expected)
        case _:
            assert_never(scheme)


def delivery_id(scheme: SignatureScheme, headers: Mapping[str, str], body: bytes) -> str:
    """What tells a delivery from others and stays the same when it is sent again: the sender's id, else a hash.

    Raises InvalidRequest for an id that is not 1 to 255 printable ASCII characters.
    """
    name = "webhook-id" if scheme is SignatureScheme.STANDARD else "x-github-delivery"
    given = headers.get(name)
    if given is None:
        return f"sha256:{hashlib.sha256(body).hexdigest()}"
    if not _ID.fullmatch(given):
        raise InvalidRequest(f"The header {name} must be 1 to 255 printable ASCII characters.")
    return given


def event_name(scheme: SignatureScheme, headers: Mapping[str, str]) -> str | None:
    """The name of the event where the sender says it beside the payload (GitHub does), which is not signed."""
    return headers.get("x-github-event") if scheme is SignatureScheme.GITHUB else None


def _is_standard(secret: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> bool:
    sent_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent_id or not _TIMESTAMP.fullmatch(timestamp):
        return False
    in_time = abs(now_ms // 1000 - int(timestamp)) <= TOLERANCE_SECONDS
    signed = b".".join((_bytes(sent_id), timestamp.encode(), body))
    key = _standard_key(secret) or b""
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(_bytes(one), expected) for one in given) and in_time


def _standard_key(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None


def _bytes(header: str) -> bytes:
    return header.encode("latin-1", "replace")
