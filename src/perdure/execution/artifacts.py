"""What an attempt does with its run's files. Writes carry the attempt's fence, so a lost attempt changes none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final

from ag_ui.core import CustomEvent

from perdure.domain.artifact import (
    WRITTEN_EVENT,
    Artifact,
    ArtifactVisibility,
    NewArtifact,
    artifact_path,
    content_type_of,
)
from perdure.domain.errors import RunNotFound, StaleFence
from perdure.execution.recorder import LeaseLost, Recorder
from perdure.services import artifacts as service

if TYPE_CHECKING:
    from perdure.domain.lease import Claimed
    from perdure.services.core import Core

_WRITER: Final = "agent"


class RunArtifacts:
    """The files of the run that is executed, as its own code sees them (`ctx.artifacts`)."""

    def __init__(self, core: Core, claimed: Claimed, recorder: Recorder) -> None:
        self._core = core
        self._claimed = claimed
        self._recorder = recorder

    async def write(
        self, path: str, data: bytes | str | AsyncIterator[bytes], content_type: str | None = None
    ) -> Artifact:
        """Write a file, in place of the one at its path; the run's log tells of it.

        `data`: all of it, or a stream that is not gathered in memory. `content_type`: guessed from the path where it is
        not given. Raises InvalidRequest for a bad path, PayloadTooLarge, Unavailable, and what the stream raises.
        """
        made = artifact_path(path)
        if isinstance(data, str):
            data = data.encode()
        chunks = service.once(data) if isinstance(data, bytes) else data
        new = NewArtifact(
            key=self._claimed.key,
            path=made,
            content_type=content_type_of(content_type, made),
            created_by=_WRITER,
            fence=self._claimed.fence,
        )
        with _still_ours():
            artifact = await service.write(self._core, new, chunks)
        await self._recorder.emit(CustomEvent(name=WRITTEN_EVENT, value=artifact.told()))
        return artifact

    async def read(self, path: str) -> bytes:
        """A whole file. Raises ArtifactNotFound, InvalidRequest, Unavailable."""
        return b"".join([chunk async for chunk in self.stream(path)])

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """A file, piece by piece. Raises what `read` does."""
        opened = await service.read(self._core, self._claimed.key, artifact_path(path))
        async with aclosing(opened.chunks) as chunks:
            async for chunk in chunks:
                yield chunk

    async def list(self, prefix: str = "", visibility: ArtifactVisibility | str = "all") -> Sequence[Artifact]:
        """The files whose path begins with `prefix`, by path; `visibility`: `user`, `internal` or `all`."""
        return await service.list_all(
            self._core, self._claimed.key, visibility=ArtifactVisibility(visibility), prefix=prefix
        )

    async def delete(self, path: str) -> None:
        """Delete a file. Raises ArtifactNotFound, InvalidRequest."""
        with _still_ours():
            await service.delete(self._core, self._claimed.key, artifact_path(path), fence=self._claimed.fence)


@contextmanager
def _still_ours() -> Iterator[None]:
    """An attempt that was fenced off, or whose run is gone, has nothing more to do."""
    try:
        yield
    except (StaleFence, RunNotFound) as error:
        raise LeaseLost from error
