"""A stream of bytes on its way into a store, that can be broken off from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from perdure.domain.errors import PayloadTooLarge

_PIECE: Final = 1024 * 1024


class UploadBroken(Exception):
    """Who uploads went away. Raised inside the store's upload only, so that it takes back what it has sent."""


class Upload:
    """An async iterator of pieces of about 1 MB, made of what `chunks` gives.

    A store cleans up after an iterator that raises, but not after a caller that is cancelled: so the one who is
    cancelled calls `break_off` and waits for the store. Raises PayloadTooLarge over `limit` bytes, and what `chunks`
    raises.
    """

    def __init__(self, chunks: AsyncIterator[bytes], limit: int) -> None:
        self._chunks = chunks
        self._limit = limit
        self._broken = asyncio.Event()
        self._ended = False
        self.size = 0

    def break_off(self) -> None:
        """End it: the store gets UploadBroken instead of the next piece."""
        self._broken.set()

    def __aiter__(self) -> Upload:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.take(_PIECE)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def take(self, size: int) -> bytes:
        """The next bytes: at least `size` of them, unless it ends. Empty at its end."""
        if self._ended:
            return b""
        taking = asyncio.create_task(self._gather(size))
        breaking = asyncio.create_task(self._broken.wait())
        try:
            await asyncio.wait((taking, breaking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            breaking.cancel()
            if not taking.done():
                taking.cancel()
            await asyncio.gather(taking, breaking, return_exceptions=True)
        if self._broken.is_set():
            raise UploadBroken
        return taking.result()

    async def _gather(self, size: int) -> bytes:
        parts: list[bytes] = []
        gathered = 0
        while gathered < size:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._ended = True
                break
            parts.append(chunk)
            gathered += len(chunk)
            self.size += len(chunk)
            if self.size > self._limit:
                raise PayloadTooLarge(f"A file may have at most {self._limit} bytes.")
        return b"".join(parts)
