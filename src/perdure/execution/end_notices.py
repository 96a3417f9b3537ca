"""Tells the URLs that want to hear of it when this process has ended a run (`services/end_notices.py`)."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from perdure.domain.errors import Unavailable
from perdure.ledger.notify import ENDED_CHANNEL, run_of
from perdure.services import end_notices
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

_AT_ONCE: Final = 16
_WAITING: Final = 10_000
"""Ended runs that wait to be looked at; what comes while there are so many is not told."""
_GATHER_SECONDS: Final = 0.1
"""How long ended runs are gathered, so that one query looks at all."""
_STOP_SECONDS: Final = 3.0


class EndNotices:
    """The notices of one process."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._ended: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._calls: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._client = self._core.egress.client()
        self._core.router.on(ENDED_CHANNEL, self._heard)
        self._task = asyncio.create_task(self._loop(self._client), name="end-notices")

    async def stop(self) -> None:
        """Stop; what is on its way gets a moment. Safe to call twice."""
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

    def _heard(self, items: list[str]) -> None:
        for item in items:
            if not self._ended.full():
                self._ended.put_nowait(item)

    async def _loop(self, client: httpx.AsyncClient) -> None:
        while True:
            items = [await self._ended.get()]
            await asyncio.sleep(_GATHER_SECONDS)
            while not self._ended.empty():
                items.append(self._ended.get_nowait())
            try:
                found = await end_notices.notices(self._core, list(filter(None, map(run_of, items))))
            except Unavailable as error:
                get_logger().warning(LogLine.NOTICE_FAILED, run_id="", host="", reason=str(error))
                continue
            for notice in found:
                await self._free.acquire()
                call = asyncio.create_task(self._tell(client, notice), name="end-notice")
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    async def _tell(self, client: httpx.AsyncClient, notice: end_notices.Notice) -> None:
        try:
            await end_notices.tell(self._core, client, notice)
        finally:
            self._free.release()
