"""How the link that `perdure dev` prints signs its reader in: a code that is good once, and from this machine only."""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request

from perdure.domain.ids import Clock

VALID_MS: Final = 10 * 60 * 1000
"""How long a code may be used, milliseconds."""

_CODE_BYTES: Final = 24
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class OneTimeSignIn:
    """Gives `key` for a code, once. Only `perdure dev` makes one: other servers have no key to give."""

    def __init__(self, key: str, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._code: str | None = None
        self._until = 0

    def issue(self) -> str:
        """A new code, good for `VALID_MS`; the one before it opens nothing from now on."""
        self._code = secrets.token_urlsafe(_CODE_BYTES)
        self._until = self._clock() + VALID_MS
        return self._code

    def redeem(self, code: str) -> str | None:
        """The key, and the end of the code; None for any other text and for a code that has been used or has ended."""
        wanted = self._code
        if wanted is None or self._clock() > self._until or not _same(wanted, code):
            return None
        self._code = None
        return self._key


def from_this_machine(request: Request) -> bool:
    """Whether a browser on this machine asks, of its own page.

    The peer must be loopback, and no proxy may stand between. The Host must be a loopback name too: another site's
    name may be made to lead here (DNS rebinding). So must the Origin, which browsers send with every POST.
    """
    peer = "" if request.client is None else request.client.host
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    return (
        _loopback(peer)
        and not any(name in request.headers for name in _FORWARDED)
        and _loopback(_name(host))
        and origin in (None, f"http://{host}")
    )


def _same(wanted: str, given: str) -> bool:
    return secrets.compare_digest(wanted.encode(), given.encode(errors="surrogatepass"))


def _name(host: str) -> str:
    """A Host header without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
