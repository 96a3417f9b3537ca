"""The files that a task leaves in its output folder become artifacts of the run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from ag_ui.core import CustomEvent

from perdure.domain.errors import Unavailable
from perdure.domain.task_log import LOG, SERVER
from perdure.execution.log import RunContext

MOST_FILES: Final = 1_000

_CHUNK: Final = 256 * 1024
_RETRY_SECONDS: Final = 0.5


async def keep(run: RunContext, folder: Path, below: str | None) -> None:
    """Write each file of `folder` as an artifact, under the path `below` if there is one. Links are not followed.

    The first 1,000 by path are kept, and the log says how many were not. Waits while the database is away: what the
    task has done is not done again. Raises what `RunArtifacts.write` raises otherwise.
    """
    found = await asyncio.to_thread(_files, folder)
    for path in found[:MOST_FILES]:
        await _keep(run, folder / path, f"{below.rstrip('/')}/{path}" if below else path)
    if len(found) > MOST_FILES:
        text = f"The output folder holds {len(found)} files; the first {MOST_FILES} are kept.\n"
        await run.run_log.emit(CustomEvent(name=LOG, value={"stream": SERVER, "text": text}))


async def _keep(run: RunContext, file: Path, path: str) -> None:
    while True:
        try:
            await run.artifacts.write(path, _chunks(file))
            return
        except Unavailable:
            await asyncio.sleep(_RETRY_SECONDS)


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK):
            yield chunk


def _files(folder: Path) -> list[str]:
    """The plain files below a folder, by path."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            if file.is_file() and not file.is_symlink():
                found.append(file.relative_to(folder).as_posix())
    return sorted(found)
