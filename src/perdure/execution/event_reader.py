"""Server-sent events of an agent elsewhere, read within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from perdure.execution.log import RunFailed

MAX_EVENT: Final = 2 * 1024 * 1024
"""Bytes of one event."""

MAX_STREAM: Final = 64 * 1024 * 1024
"""Bytes of one answer."""

TOO_LARGE: Final = "REMOTE_TOO_LARGE"
NO_EVENT: Final = "INVALID_EVENT"


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of the `data:` of each event. One that is not finished when the stream ends is left out.

    Raises RunFailed for what is no JSON object, and for too much of it.
    """
    data: list[bytes] = []
    size = total = 0
    rest = b""
    async for chunk in chunks:
        total += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if total > MAX_STREAM or size + len(rest) > MAX_EVENT:
            raise RunFailed("The agent answers more than is taken of one.", TOO_LARGE)
        for line in (line.removesuffix(b"\r") for line in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
                size += len(line)
            elif not line and data:
                event = _decoded(b"\n".join(data))
                data, size = [], 0
                yield event


def _decoded(text: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunFailed("The agent sent something that is no JSON object.", NO_EVENT) from error
