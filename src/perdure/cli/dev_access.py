"""How `perdure runs …` finds the server of `perdure dev`: a file in its data folder that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

FILE_NAME: Final = "dev.json"


class DevAccess(msgspec.Struct, frozen=True):
    """Where a dev server listens, and the key that opens it."""

    url: str
    api_key: str


def write_dev_access(data_dir: Path, url: str, api_key: str) -> Path:
    """Write the file (mode 0600, all of it or nothing); answers its path. Raises OSError."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / FILE_NAME
    draft = data_dir / f".{FILE_NAME}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(DevAccess(url, api_key)), indent=2) + b"\n")
    draft.replace(path)
    return path


def read_dev_access(data_dir: Path) -> DevAccess | None:
    """What the file says; None where there is none.

    A file of somebody else's, or one that others may read or write, does not count: it could have come with a folder
    that was downloaded, and would send what is asked to whomever it names.
    """
    try:
        with (data_dir / FILE_NAME).open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                return None
            return msgspec.json.decode(file.read(), type=DevAccess)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
