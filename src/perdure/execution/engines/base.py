"""What an engine is: it decides which worker runs what, when, and what happens if the worker dies (design section 4).

An executor knows how to run one kind of run. The two meet here and nowhere else; `tests/conformance` holds what every
engine must do.
"""

from __future__ import annotations

from typing import Protocol

from perdure.domain.ids import RunKey
from perdure.execution.attempt import Execute


class Working(Protocol):
    """A worker at work."""

    @property
    def alive(self) -> bool:
        """Whether it takes runs."""

    async def stop(self) -> None:
        """Take nothing new, let running attempts finish for a while, hand the rest back. Safe to call twice."""


class Engine(Protocol):
    """Places runs on workers. A run is pending in the database before it is submitted or woken."""

    async def start(self) -> None:
        """Begin to place runs, in each process that takes or executes some, before anything else is called."""

    async def stop(self) -> None:
        """End that, after the process's workers have stopped. Safe to call twice."""

    async def submit(self, key: RunKey) -> None:
        """A run is pending: see that a worker takes it. Harmless to repeat."""

    async def wake(self, key: RunKey) -> None:
        """A run that waited is pending again. Harmless to repeat."""

    async def cancel(self, key: RunKey, reason: str) -> None:
        """End a run, wherever it is; its worker is told first."""

    async def work(self, serves: frozenset[tuple[str, str]], execute: Execute) -> Working:
        """Start a worker for the (kind, name) pairs it serves."""
