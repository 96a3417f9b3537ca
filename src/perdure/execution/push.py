"""The loop that serves push runtimes: sends them due runs, and tells them of cancels and tool results.

Every process that looks after the queue runs it; what it takes is claimed, so several at once do no harm. It serves all
projects, and a call may last until its time is over: what a slow runtime may hold of the loop is bounded by `Places`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import httpx

from perdure.domain.errors import RunNotFound, Unavailable
from perdure.ledger.notify import ANY_ROUTE, CANCEL_CHANNEL, QUEUE_CHANNEL
from perdure.services import push_dispatch, push_errands
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_POLL_SECONDS: Final = 0.5
"""How long a run whose hint got lost, or that was to be sent later, stays unnoticed."""
_AT_ONCE: Final = 64
"""Calls that go out at once from one process: so many dispatches, and as many errands."""
_EACH: Final = 8
"""Runs that one service is sent at once in one round, so that the others get theirs."""
_STOP_SECONDS: Final = 3.0


class Places:
    """Calls under way, of a bounded number, and whose they are.

    Nobody gets more than is left free: one has at most half of all, the next half of the rest. So there is room for
    somebody new, however slow the others are, and nobody's places are kept empty for another.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[UUID] = Counter()

    def room(self, holder: UUID | None = None) -> int:
        """How many calls more `holder` may begin; without one, how many somebody new may."""
        free = self._most - self._held.total()
        held = 0 if holder is None else self._held[holder]
        return max(0, (free - held + 1) // 2)

    def full(self) -> list[UUID]:
        """Who may begin no more now."""
        return [holder for holder in self._held if not self.room(holder)]

    def take(self, holder: UUID) -> None:
        """A call begins."""
        self._held[holder] += 1

    def give_back(self, holder: UUID) -> None:
        """A call has ended."""
        self._held[holder] -= 1
        self._held += Counter()  # forgets who has none


class PushRuntimes:
    """Serves the push services of all projects."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._client: httpx.AsyncClient | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._dispatches = Places(_AT_ONCE)
        self._errands = Places(_AT_ONCE)
        self._routes: frozenset[str] = frozenset()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def start(self) -> None:
        """Begin."""
        self._client = self._core.egress.client()
        self._core.router.on(QUEUE_CHANNEL, self._queued)
        self._core.router.on(CANCEL_CHANNEL, lambda _: self._wake.set())
        self._core.router.after_gap(self._wake.set)
        self._task = asyncio.create_task(self._loop(self._client), name="push-runtimes")

    async def stop(self) -> None:
        """Stop; calls under way get a moment. What they leave is done by others when the leases end.

        Safe to call twice.
        """
        if self._task is None or self._client is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        if self._calls:
            await asyncio.wait(self._calls, timeout=_STOP_SECONDS)
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._client.aclose()

    def _queued(self, routes: list[str]) -> None:
        if ANY_ROUTE in routes or not self._routes.isdisjoint(routes):
            self._wake.set()

    async def _loop(self, client: httpx.AsyncClient) -> None:
        while True:
            self._wake.clear()
            try:
                await self._round(client)
            except Unavailable:
                pass  # Maintenance says that the database is away.
            except Exception:
                self._log.exception(LogLine.PUSH_BROKEN)
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()

    async def _round(self, client: httpx.AsyncClient) -> None:
        if room := self._errands.room():
            for errand in await push_errands.due(self._core, room, self._errands.full()):
                self._begin(push_errands.run_errand(self._core, client, errand), self._errands, errand.service_id)
        services = await push_dispatch.living(self._core)
        self._routes = frozenset(route for service in services for route in service.routes)
        for service in services:
            if room := min(self._dispatches.room(service.holder), _EACH):
                claimed = await push_dispatch.claim(self._core, service, room)
                for sending in claimed:
                    self._begin(push_dispatch.send(self._core, client, sending), self._dispatches, service.holder)
                if len(claimed) == room:
                    self._wake.set()  # There may be more, for which the others need not wait.

    def _begin(self, work: Coroutine[Any, Any, None], places: Places, holder: UUID) -> None:
        places.take(holder)
        call = asyncio.create_task(self._guarded(work), name="push-call")
        self._calls.add(call)
        call.add_done_callback(lambda ended: self._ended(ended, places, holder))

    def _ended(self, call: asyncio.Task[None], places: Places, holder: UUID) -> None:
        places.give_back(holder)
        self._calls.discard(call)
        self._wake.set()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What goes wrong with one run is no other's concern; it is done again when the lease ends."""
        try:
            await work
        except (Unavailable, RunNotFound):
            pass
        except Exception:
            self._log.exception(LogLine.PUSH_BROKEN)
