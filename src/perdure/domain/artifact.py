"""Artifacts: the files of runs (vertesia.md section 5). Their names, who is shown them, and what is kept of each."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import RunKey

ArtifactPath = NewType("ArtifactPath", str)
"""A path that `artifact_path` has let through."""

BlobName = NewType("BlobName", str)
"""Where the bytes are, in the store of blobs. Random, and never written twice."""

MAX_PATH_BYTES: Final = 1024
MAX_SEGMENT_BYTES: Final = 255
MAX_HEADER_BYTES: Final = 255
DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
MAX_TEXT_BYTES: Final = 1024 * 1024
"""Bytes of a text that may be edited through the API."""

WRITTEN_EVENT: Final = "perdure.artifact"
"""Name of the CUSTOM event that tells of a written artifact."""

NOT_THERE: Final = 0
"""The generation of an artifact that does not exist: expected by a write that must not replace anything."""

_BAD: Final = re.compile("[\x00-\x1f\x7f\\\\\ufffd\ud800-\udfff]")
_CONTENT_TYPE: Final = re.compile(r"[!-~]+/[!-~][ -~]*")
_IN_WORKSTREAM: Final = re.compile(r"workstreams/[^/]+/")
_INTERNAL: Final = re.compile(
    r"(?:[^/]*-)?conversation\.json"
    r"|conversation-checkpoint-\d+\.json"
    r"|(?:tools|catalog|tool-input-refs)\.json"
    r"|toolu[_-].*"
    r"|(?:tool-inputs|tool-results|archive|process/history|process/state)/.*",
    re.DOTALL,
)


class ArtifactVisibility(StrEnum):
    """Which artifacts a list shows."""

    USER = "user"
    INTERNAL = "internal"
    ALL = "all"


class Disposition(StrEnum):
    """Whether a browser shows a file or keeps it (RFC 6266)."""

    INLINE = "inline"
    ATTACHMENT = "attachment"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run. `size` is in bytes; `generation` grows with each write of the path, and never repeats."""

    key: RunKey
    path: ArtifactPath
    blob: BlobName
    size: int
    content_type: str
    generation: int
    created_at: datetime
    updated_at: datetime
    created_by: str | None = None
    disposition: Disposition | None = None
    file_name: str | None = None

    @property
    def etag(self) -> str:
        """A strong validator (RFC 9110): other bytes have another one."""
        return f'"{self.blob.rpartition("/")[2]}"'

    @property
    def name(self) -> str:
        """What a download is called."""
        return self.file_name or self.path.rpartition("/")[2]

    def told(self) -> dict[str, object]:
        """The value of the event that tells of it."""
        return {
            "path": self.path,
            "size": self.size,
            "contentType": self.content_type,
            "generation": str(self.generation),
        }


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A file to be written.

    `fence`: the attempt that writes it must still hold the run. `expected`: the generation that it replaces, NOT_THERE
    for none, None for whatever is there.
    """

    key: RunKey
    path: ArtifactPath
    content_type: str = DEFAULT_CONTENT_TYPE
    disposition: Disposition | None = None
    file_name: str | None = None
    created_by: str | None = None
    fence: int | None = None
    expected: int | None = None


def artifact_path(value: str) -> ArtifactPath:
    """A path as it is stored: relative, segments between slashes. Raises InvalidRequest.

    `.`, `..`, empty segments, backslashes and control characters are refused, and more than 1024 bytes (255 a segment).
    """
    segments = value.split("/")
    if not value or _BAD.search(value) or any(segment in ("", ".", "..") for segment in segments):
        raise InvalidRequest("An artifact's path is relative: names with `/` between them, none of them `.` or `..`.")
    if len(value.encode()) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in segments):
        raise InvalidRequest(
            f"An artifact's path has at most {MAX_PATH_BYTES} bytes, and {MAX_SEGMENT_BYTES} between two slashes."
        )
    return ArtifactPath(value)


def is_internal(path: ArtifactPath) -> bool:
    """Whether a path is the agent's own bookkeeping (vertesia.md 5), in the run or in one of its workstreams."""
    prefix = _IN_WORKSTREAM.match(path)
    return _INTERNAL.fullmatch(path, prefix.end() if prefix else 0) is not None


def is_shown(path: ArtifactPath, visibility: ArtifactVisibility) -> bool:
    """Whether a list of this visibility has the path."""
    return visibility is ArtifactVisibility.ALL or is_internal(path) is (visibility is ArtifactVisibility.INTERNAL)


def content_type_of(value: str | None, path: ArtifactPath | None = None) -> str:
    """A media type that can be sent back as a header; guessed from `path` where nothing is said. Raises
    InvalidRequest.
    """
    if not value:
        guessed = mimetypes.guess_type(path, strict=False)[0] if path is not None else None
        return guessed or DEFAULT_CONTENT_TYPE
    if len(value) > MAX_HEADER_BYTES or not _CONTENT_TYPE.fullmatch(value):
        raise InvalidRequest("The content type must be a media type such as `text/plain; charset=utf-8`.")
    return value


def file_name_of(value: str) -> str:
    """What a download shall be called. Raises InvalidRequest."""
    if not value or _BAD.search(value) or "/" in value or len(value.encode()) > MAX_SEGMENT_BYTES:
        raise InvalidRequest(f"A file's name has 1 to {MAX_SEGMENT_BYTES} bytes, and no `/`.")
    return value


def generation_of(value: str) -> int:
    """A generation as callers name it; -1, which no artifact has, for what none of ours is."""
    return int(value) if re.fullmatch("[0-9]{1,18}", value) else -1
