"""The loop that serves push runtimes: sends them due runs, and tells them of cancels and tool results.

Every process that looks after the queue runs it; what it takes is claimed, so several at once do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import httpx

from perdure.domain.errors import RunNotFound, Unavailable
from perdure.ledger.notify import ANY_ROUTE, CANCEL_CHANNEL, QUEUE_CHANNEL
from perdure.services import push_dispatch, push_errands
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_POLL_SECONDS: Final = 0.5
"""How long a run whose hint got lost, or that was to be sent later, stays unnoticed."""
_AT_ONCE: Final = 32
"""Calls that go out at once from one process."""
_EACH: Final = 8
"""Runs that one service is sent at once in one round, so that the others get theirs."""
_STOP_SECONDS: Final = 3.0


class PushRuntimes:
    """Serves the push services of all projects."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._client: httpx.AsyncClient | None = None
        self._calls: set[asyncio.Task[None]] = set()
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
        for errand in await push_errands.due(self._core):
            self._begin(push_errands.run_errand(self._core, client, errand))
        free = _AT_ONCE - len(self._calls)
        services = await push_dispatch.living(self._core)
        self._routes = frozenset(route for service in services for route in service.routes)
        if free > 0:
            for sending in await push_dispatch.claim(self._core, services, free, _EACH):
                self._begin(push_dispatch.send(self._core, client, sending))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        call = asyncio.create_task(self._guarded(work), name="push-call")
        self._calls.add(call)
        call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
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
