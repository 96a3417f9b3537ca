"""When a failed model request is tried again, and after how long: as the provider asks, within bounds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
)

_TRANSIENT: Final = (ModelRateLimitError, ModelUnavailableError, ModelServerError, ModelConnectionError)
_TRANSIENT_STATUS: Final = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of retrying a model request. Times are in seconds.

    Without a word from the provider the n-th wait is `first_wait` doubled n-1 times, at most `longest_wait`, and then a
    random part of the upper half of that. A provider that asks for more than `longest_asked` is not waited for.
    """

    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_asked: float = 300.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


def retry_wait(error: Exception, attempt: int, policy: RetryPolicy) -> float | None:
    """Seconds to wait before attempt `attempt + 1`; None when `error` is final.

    Sources: `Retry-After`, `retry-after-ms` and `x-should-retry` of the answer, else its status or the kind of failure.
    """
    if attempt >= policy.attempts or not _is_transient(error):
        return None
    asked = _asked_wait(error)
    if asked is not None:
        return asked if asked <= policy.longest_asked else None
    wait = min(policy.longest_wait, policy.first_wait * 2.0 ** (attempt - 1))
    return wait * (0.5 + policy.jitter() / 2)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, FallbackExceptionGroup):
        return any(_is_transient(inner) for inner in error.exceptions)
    if isinstance(error, ModelQuotaExceededError):
        return False
    if isinstance(error, ModelHTTPError):
        if error.provider_retry_hint is not None:
            return error.provider_retry_hint
        if error.status_code in _TRANSIENT_STATUS or error.status_code >= 500:
            return True
    return isinstance(error, (*_TRANSIENT, ConnectionError)) or _is_transport_error(error)


def _is_transport_error(error: BaseException) -> bool:
    """A broken connection that a model class let through as its HTTP library raised it (httpx, httpx2)."""
    return any(base.__name__ == "TransportError" for base in type(error).__mro__)


def _asked_wait(error: BaseException) -> float | None:
    if isinstance(error, FallbackExceptionGroup):
        waits = [wait for inner in error.exceptions if (wait := _asked_wait(inner)) is not None]
        return min(waits, default=None)
    return error.retry_after if isinstance(error, ModelAPIError) else None
