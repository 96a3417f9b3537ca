"""Blobs: written once under a random name, read in whole or in part, removed. Never all in memory."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError

from perdure.blobs.place import BlobPlace, open_place
from perdure.blobs.upload import Upload
from perdure.domain.artifact import BlobName
from perdure.domain.errors import Unavailable
from perdure.domain.ids import ProjectId

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MAX_BLOB_BYTES: Final = 5 * 1024**3
"""The default limit of one file."""

_PART: Final = 8 * 1024 * 1024
"""Bytes of one part of a large upload: with S3's 10,000 parts, files of up to 80 GB."""
_PARTS_AT_ONCE: Final = 3
_READ: Final = 1024 * 1024
_LETTING_GO_SECONDS: Final = 0.1
_STAGED: Final = re.compile(r".+#\d+")


class BlobMissing(Unavailable):
    """The bytes of this file are not where they should be."""

    code = "blob_missing"


class Blobs:
    """The store at a place (the memory, unless it is given), opened when it is first used.

    One upload holds some tens of megabytes at most. Whatever the store raises becomes Unavailable.
    """

    def __init__(self, place: BlobPlace | None = None, *, limit: int = MAX_BLOB_BYTES) -> None:
        self.place = place if place is not None else BlobPlace()
        self.limit = limit
        self._used = False

    def open(self) -> None:
        """Open the store, which may make a folder and asks nobody else. Raises Unavailable where that cannot be."""
        try:
            _ = self._store
        except (BaseError, OSError, ValueError) as error:
            raise Unavailable(
                f"Files cannot be kept at {self.place.url}: {str(error).strip().splitlines()[0]}"
            ) from error

    @cached_property
    def _store(self) -> ObjectStore:
        self._used = True
        return open_place(self.place)

    async def put(self, name: BlobName, chunks: AsyncIterator[bytes]) -> int:
        """Write a blob; answers its size in bytes. It is there whole or, when this raises, not at all.

        Raises PayloadTooLarge, Unavailable, and what `chunks` raises.
        """
        upload = Upload(chunks, self.limit)
        sending = asyncio.create_task(self._send(name, upload))
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            upload.break_off()
            await asyncio.gather(sending, return_exceptions=True)
            raise
        return upload.size

    async def _send(self, name: BlobName, upload: Upload) -> None:
        head = await upload.take(_PART)
        with _as_unavailable():
            if len(head) < _PART:
                await obstore.put_async(self._store, name, head, use_multipart=False)
                return
            await obstore.put_async(
                self._store, name, _following(head, upload),
                use_multipart=True, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE,
            )  # fmt: skip

    async def get(self, name: BlobName, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to, not including, `stop`. Raises BlobMissing at once; later Unavailable."""
        if start >= stop:
            return _nothing()
        with _as_unavailable():
            result = await obstore.get_async(self._store, name, options={"range": (start, stop)})
        return _read(aiter(result.stream(_READ)))

    async def delete(self, names: Sequence[BlobName]) -> None:
        """Remove blobs; those that are not there are no error."""
        for name in names:
            with _as_unavailable():
                try:
                    await obstore.delete_async(self._store, name)
                except FileNotFoundError:
                    continue

    async def clear_staged(self, older_than_seconds: float) -> int:
        """Remove what killed processes left in a folder that no blob became; answers how many files.

        A bucket keeps the parts of an upload that was killed until its own lifecycle rule removes them.
        """
        folder = self.place.folder
        if folder is None:
            return 0
        return await asyncio.to_thread(_clear_staged, folder, time.time() - older_than_seconds)

    async def close(self) -> None:
        """Let go. The library's threads may still hold the interpreter for some milliseconds after an answer; one that
        does while the process ends aborts it."""
        if self._used:
            await asyncio.sleep(_LETTING_GO_SECONDS)


def blob_name(project_id: ProjectId, random: Callable[[int], bytes] = os.urandom) -> BlobName:
    """A name that no blob has."""
    return BlobName(f"{project_id}/{random(16).hex()}")


async def _following(head: bytes, rest: Upload) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece


async def _read(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    with _as_unavailable():
        async for piece in stream:
            yield piece


async def _nothing() -> AsyncGenerator[bytes, None]:
    for piece in tuple[bytes, ...]():
        yield piece


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing from None
    except (BaseError, OSError) as error:
        raise Unavailable(f"The store of files is not answering ({type(error).__name__}). Try again.") from error


def _clear_staged(folder: Path, before: float) -> int:
    removed = 0
    for file in folder.glob("*/*#*"):
        if _STAGED.fullmatch(file.name) and file.stat().st_mtime < before:
            file.unlink(missing_ok=True)
            removed += 1
    return removed
