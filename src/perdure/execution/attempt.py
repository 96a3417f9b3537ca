"""One run in a worker's hands: what an engine gives to an executor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from perdure.domain.lease import Claimed
from perdure.domain.stored_run import Run


class StopReason(StrEnum):
    """Why a worker interrupts an attempt."""

    CANCELLED = "cancelled"
    LOST = "lost"
    DRAINED = "drained"
    INTERRUPTED = "interrupted"


@dataclass(slots=True, eq=False)
class Attempt:
    """A claimed run, as it was when it was claimed.

    `stop` is set before the attempt's task is cancelled, and says why.
    """

    claimed: Claimed
    run: Run
    stop: StopReason | None = field(default=None)


Execute = Callable[[Attempt], Awaitable[None]]
"""Runs one attempt to its end and writes how it ended. It is cancelled when the worker must stop it."""
