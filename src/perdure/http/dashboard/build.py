"""The dashboard's build: its files, read once, in the encodings that browsers take."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"
"""Where `make web` puts the build."""

INDEX: Final = "index.html"

_HASHED: Final = "assets/"
"""Files below it bear their checksum in their name, so that a name never means two contents."""

_ENCODINGS: Final = MappingProxyType({".br": "br", ".gz": "gzip"})
"""The endings of compressed twins, best first."""

_MEDIA_TYPES: Final = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
        ".png": "image/png",
        ".txt": "text/plain; charset=utf-8",
    }
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the build. `encoded`: its compressed twins, by content coding, best first."""

    body: bytes
    media_type: str
    immutable: bool
    etag: str
    encoded: Mapping[str, bytes]


@cache
def read_build(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """The files by their path below `folder`; empty where there is no build, that is no index. Raises OSError.

    A process reads a folder once: a new build is served after a restart.
    """
    if not (folder / INDEX).is_file():
        return {}
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in _ENCODINGS)
    return {path.relative_to(folder).as_posix(): _asset(folder, path) for path in files}


def _asset(folder: Path, path: Path) -> Asset:
    body = path.read_bytes()
    twins = {coding: path.with_name(path.name + ending) for ending, coding in _ENCODINGS.items()}
    return Asset(
        body=body,
        media_type=_MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        immutable=path.relative_to(folder).as_posix().startswith(_HASHED),
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        encoded={coding: twin.read_bytes() for coding, twin in twins.items() if twin.is_file()},
    )
