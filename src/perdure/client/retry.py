"""When a call is made again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

WORTH_RETRYING: Final = frozenset({429, 502, 503, 504})
"""Statuses that say "not now": of the server itself, or of a proxy before it."""

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_DONE: Final = frozenset({429})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`tries` counts the first call; delays are in seconds, and double from `first_delay` up to `longest_delay`.

    A server's Retry-After is obeyed up to `longest_asked`.
    """

    tries: int = 5
    first_delay: float = 0.25
    longest_delay: float = 5.0
    longest_asked: float = 60.0

    def delay(self, failures: int, jitter: float, asked: float | None = None) -> float:
        """Seconds before the next try after `failures` ≥ 1 in a row. `jitter`, 0 to 1, spreads clients."""
        if asked is not None:
            return min(asked, self.longest_asked) + 0.1 * jitter
        doubled = self.first_delay * 2.0 ** min(failures - 1, 30)
        return min(doubled, self.longest_delay) * (0.5 + 0.5 * jitter)


NO_RETRY: Final = RetryPolicy(tries=1)


def again_after_error(error: httpx.TransportError, *, repeatable: bool) -> bool:
    """Whether a call that met `error` is made again: always where repeating is safe, else if nothing was sent."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return False
    return repeatable or isinstance(error, _NOT_SENT)


def again_after_status(status: int, *, repeatable: bool) -> bool:
    """Whether a call that was answered with `status` is made again. A 429 was not carried out, so it always is."""
    return status in (WORTH_RETRYING if repeatable else _NOT_DONE)
