"""The files of runs: written as streams, read in parts, listed, edited, copied, deleted (vertesia.md 1.4, 5).

Bytes are written under a new name each time; then one statement points the path at them, if its writer still may. So a
reader sees a file whole, old or new, and an upload that breaks off was never there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from perdure.blobs.blobs import BlobMissing, blob_name
from perdure.domain.artifact import (
    MAX_TEXT_BYTES,
    NOT_THERE,
    WRITTEN_EVENT,
    Artifact,
    ArtifactPath,
    ArtifactVisibility,
    BlobName,
    NewArtifact,
    generation_of,
    is_shown,
)
from perdure.domain.errors import (
    ArtifactNotFound,
    InvalidRequest,
    PayloadTooLarge,
    PreconditionFailed,
    RunIsTerminal,
    RunNotFound,
    StaleFence,
    Unavailable,
)
from perdure.domain.event import custom
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Status
from perdure.services import control
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import artifacts as store
from perdure.store.artifacts import Stored
from perdure.store.runs import at

LOOSE_MS: Final = 60 * 60 * 1000
"""How long a blob that is being written may show no sign of life before it counts as left over."""

_TOUCH_SECONDS: Final = 60.0
_SWEEP_AT_ONCE: Final = 200
_READ_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being read: what it is, and its bytes from `start` up to, not including, `stop`."""

    artifact: Artifact
    start: int
    stop: int
    chunks: AsyncGenerator[bytes, None]


async def write(core: Core, new: NewArtifact, chunks: AsyncIterator[bytes]) -> Artifact:
    """Write a file. It replaces the one at its path, unless `new.expected` says otherwise.

    Raises RunNotFound, StaleFence, PreconditionFailed, PayloadTooLarge, Unavailable, and what `chunks` raises. Then
    nothing has changed.
    """
    if new.expected is not None:
        await _check_expected(core, new)
    blob = blob_name(new.key.project_id)
    await store.announce(core.database, new.key.project_id, blob, at(core.clock()))
    try:
        async with _alive(core, blob):
            size = await core.blobs.put(blob, chunks)
        artifact = _stored(await store.store(core.database, new, blob, size, at(core.clock())), new)
    except BaseException:
        # In a task of its own: the one that we run in may have been cancelled.
        await asyncio.shield(asyncio.create_task(_discard(core, blob)))
        raise
    if artifact.created_at != artifact.updated_at:
        await sweep_quietly(core)
    return artifact


async def upload(core: Core, new: NewArtifact, chunks: AsyncIterator[bytes]) -> Artifact:
    """Write a file for somebody outside, and tell the run's log of it. Raises what `write` does."""
    artifact = await write(core, new, chunks)
    await _tell(core, artifact)
    return artifact


async def get(core: Core, key: RunKey, path: ArtifactPath) -> Artifact:
    """One file without its bytes. Raises ArtifactNotFound."""
    found = await store.get(core.database, key, path)
    if found is None:
        raise ArtifactNotFound(f"The run has no artifact {path}.")
    return found


async def open_range(core: Core, artifact: Artifact, start: int, stop: int) -> Opened:
    """A file's bytes from `start` up to, not including, `stop`, while it is this very file. Raises Unavailable."""
    return Opened(artifact, start, stop, await core.blobs.get(artifact.blob, start, stop))


async def read(core: Core, key: RunKey, path: ArtifactPath) -> Opened:
    """A whole file. Raises ArtifactNotFound, Unavailable."""
    for _ in range(_READ_TRIES):
        artifact = await get(core, key, path)
        with suppress(BlobMissing):  # it was replaced between the two questions
            return await open_range(core, artifact, 0, artifact.size)
    raise BlobMissing


async def list_all(
    core: Core, key: RunKey, *, visibility: ArtifactVisibility = ArtifactVisibility.ALL, prefix: str = ""
) -> list[Artifact]:
    """The files of a run that this visibility shows and whose path begins with `prefix`, by path."""
    return [one for one in await store.list_all(core.database, key, prefix) if is_shown(one.path, visibility)]


async def delete(core: Core, key: RunKey, path: ArtifactPath, *, fence: int | None = None) -> None:
    """Delete a file. Raises RunNotFound, StaleFence, ArtifactNotFound."""
    held, gone = await store.delete(core.database, key, path, fence)
    if held is None:
        raise RunNotFound(f"There is no run {key.run_id}.")
    if not held:
        raise StaleFence
    if not gone:
        raise ArtifactNotFound(f"The run has no artifact {path}.")
    await sweep_quietly(core)


async def read_text(core: Core, key: RunKey, path: ArtifactPath) -> tuple[Artifact, str]:
    """A file as a text to be edited, with the generation to be named when it is written.

    Raises ArtifactNotFound, PayloadTooLarge over 1 MB, InvalidRequest for what is not UTF-8, Unavailable.
    """
    if (known := await get(core, key, path)).size > MAX_TEXT_BYTES:
        raise _too_large(known.size)
    opened = await read(core, key, path)
    if opened.artifact.size > MAX_TEXT_BYTES:
        raise _too_large(opened.artifact.size)
    body = b"".join([chunk async for chunk in opened.chunks])
    try:
        return opened.artifact, body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"The artifact {path} is not a text.") from None


async def write_text(
    core: Core, key: RunKey, path: ArtifactPath, text: str, generation: str, *, created_by: str | None = None
) -> Artifact:
    """Replace a file by an edited text, if it is of that generation still; type and name stay.

    Raises ArtifactNotFound, PreconditionFailed, PayloadTooLarge over 1 MB, Unavailable.
    """
    body = _utf8(text)
    if len(body) > MAX_TEXT_BYTES:
        raise _too_large(len(body))
    known = await get(core, key, path)
    expected = generation_of(generation)
    if known.generation != expected:
        raise PreconditionFailed
    new = NewArtifact(
        key, path, known.content_type, known.disposition, known.file_name, created_by=created_by, expected=expected
    )
    return await upload(core, new, once(body))


async def copy_all(core: Core, source: RunKey, run_id: RunId) -> None:
    """Give a run of the same project the files of another one: both have them, and share the bytes.

    Files that the run has already stay its own. Raises Unavailable.
    """
    for _ in range(store.COPY_TRIES):
        with suppress(store.BlobGone):
            async with core.database.transaction() as connection:
                await store.copy_all(connection, source, run_id)
            return
    raise Unavailable("The artifacts change all the time. Try again.")


async def sweep(core: Core) -> int:
    """Remove the bytes of files that are no more, and of uploads whose process died an hour ago; answers how many.

    What a row points at stays: the database insists. Raises Unavailable.
    """
    await store.bury(core.database, at(core.clock() - LOOSE_MS), _SWEEP_AT_ONCE)
    names = await store.dead(core.database, _SWEEP_AT_ONCE)
    if names:
        await core.blobs.delete(names)
        await store.forget(core.database, names)
    return len(names)


async def sweep_quietly(core: Core) -> None:
    """Sweep now, after rows went away; where that does not work just now, maintenance does it soon."""
    with suppress(Unavailable):
        await sweep(core)


async def clear_staged(core: Core) -> int:
    """Remove the unfinished files of processes that were killed an hour ago; answers how many."""
    return await core.blobs.clear_staged(LOOSE_MS / 1000)


async def once(body: bytes) -> AsyncIterator[bytes]:
    """Bytes as a stream."""
    yield body


async def _check_expected(core: Core, new: NewArtifact) -> None:
    """Tell who is wrong already before the bytes are sent; the statement that stores the row has the last word."""
    found = await store.get(core.database, new.key, new.path)
    if new.expected != (NOT_THERE if found is None else found.generation):
        raise PreconditionFailed


def _stored(done: Stored, new: NewArtifact) -> Artifact:
    if done.artifact is not None:
        return done.artifact
    if done.held is None:
        raise RunNotFound(f"There is no run {new.key.run_id}.")
    raise PreconditionFailed if done.held else StaleFence


@asynccontextmanager
async def _alive(core: Core, blob: BlobName) -> AsyncIterator[None]:
    """While the block runs, the blob shows signs of life, so that no sweep takes it for left over."""

    async def touch() -> None:
        while True:
            await asyncio.sleep(_TOUCH_SECONDS)
            with suppress(Unavailable):
                await store.touch(core.database, blob, at(core.clock()))

    touching = asyncio.create_task(touch(), name=f"upload-{blob}")
    try:
        yield
    finally:
        touching.cancel()
        await asyncio.gather(touching, return_exceptions=True)


async def _discard(core: Core, blob: BlobName) -> None:
    """Nothing will point at the blob: remove it now or, where that does not work, leave it to the sweep."""
    with suppress(Unavailable):
        await store.abandon(core.database, blob)
        await sweep(core)


async def _tell(core: Core, artifact: Artifact) -> None:
    """Tell the run's log; one that has not begun or has ended takes no events: its list of files says it."""
    with suppress(RunNotFound, RunIsTerminal):
        run = await run_service.get(core, artifact.key)
        if run.status is not Status.PENDING:
            await control.note(core, artifact.key, custom(WRITTEN_EVENT, artifact.told()))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("The text holds characters that UTF-8 does not have.") from None


def _too_large(size: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"A text of {size} bytes is too large to be edited: at most {MAX_TEXT_BYTES} bytes.")
