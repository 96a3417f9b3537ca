"""Wait for work without asking for it all the time: woken by the queue's hints, here and from other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from perdure.ledger.notify import ANY_ROUTE, QUEUE_CHANNEL, Router


class QueueWatch:
    """Tells those who wait for a route that it may have work. Belongs to one event loop.

    `stopped`: nobody is to wait any more.
    """

    def __init__(self, router: Router) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.stopped = False
        router.on(QUEUE_CHANNEL, self._queued)
        router.after_gap(self._all)

    def stop(self) -> None:
        """Let nobody wait any longer: the process is about to end. Safe to call twice."""
        self.stopped = True
        self._all()

    @contextmanager
    def on(self, routes: Iterable[str]) -> Iterator[asyncio.Event]:
        """An event that is set when one of the routes may have work, or a hint of it was missed."""
        event = asyncio.Event()
        watched = list(routes)
        for route in watched:
            self._waiting.setdefault(route, set()).add(event)
        try:
            yield event
        finally:
            for route in watched:
                self._waiting[route].discard(event)
                if not self._waiting[route]:
                    del self._waiting[route]

    def _queued(self, routes: list[str]) -> None:
        for route in self._waiting if ANY_ROUTE in routes else routes:
            for event in self._waiting.get(route, ()):
                event.set()

    def _all(self) -> None:
        self._queued(list(self._waiting))
