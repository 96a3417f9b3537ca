"""Files over HTTP (RFC 9110): streamed up and down, in parts, conditionally, and never with the rights of our pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from perdure.blobs.blobs import BlobMissing
from perdure.domain.artifact import NOT_THERE, Artifact, ArtifactPath, Disposition
from perdure.domain.errors import ArtifactNotFound, PayloadTooLarge, PreconditionFailed
from perdure.domain.ids import RunKey
from perdure.http.context import core_of
from perdure.http.errors import Problem, problem_response
from perdure.services import artifacts
from perdure.services.core import Core

_SANDBOX: Final = "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'unsafe-inline'"
"""A page among the files is shown without scripts, and as of no origin: it cannot act for who looks at it."""

_NOT_SANDBOXED: Final = "application/pdf"
"""Browsers' own viewers refuse to work in a sandbox, and give a document no access to our origin anyway."""

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)
_OF_UNCHANGED: Final = ("ETag", "Last-Modified", "Cache-Control")
_TRIES: Final = 5


async def body_chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes in. Raises ClientDisconnect where it breaks off."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


def check_length(request: Request) -> None:
    """Refuse a body that says itself that it is too large. Raises PayloadTooLarge."""
    announced = request.headers.get("content-length", "")
    limit = core_of(request).blobs.limit
    if announced.isdecimal() and int(announced) > limit:
        raise PayloadTooLarge(f"A file may have at most {limit} bytes.")


async def expected_by(request: Request, core: Core, key: RunKey, path: ArtifactPath) -> int | None:
    """The generation that a write replaces, by its If-Match and If-None-Match. Raises PreconditionFailed.

    None: it replaces whatever is there.
    """
    must, must_not = request.headers.get("if-match"), request.headers.get("if-none-match")
    if must is None and must_not is None:
        return None
    try:
        known = await artifacts.get(core, key, path)
    except ArtifactNotFound:
        if must is not None:
            raise PreconditionFailed from None
        return NOT_THERE
    if must is not None and not _names(must, known.etag, weak=False):
        raise PreconditionFailed
    if must_not is not None and _names(must_not, known.etag, weak=True):
        raise PreconditionFailed
    return known.generation


async def file_answer(
    request: Request,
    key: RunKey,
    path: ArtifactPath,
    *,
    disposition: Disposition | None = None,
    file_name: str | None = None,
) -> Response:
    """A file, or the part of it that the request asks for. Raises ArtifactNotFound, PreconditionFailed, Unavailable.

    `disposition` and `file_name` are used where given; otherwise those that the file was written with.
    """
    core = core_of(request)
    for tried in range(_TRIES):
        artifact = await artifacts.get(core, key, path)
        try:
            return await _answer(request, core, artifact, _headers(artifact, disposition, file_name))
        except BlobMissing:  # it was replaced between the two questions
            if tried == _TRIES - 1:
                raise
    raise BlobMissing


async def _answer(request: Request, core: Core, artifact: Artifact, headers: dict[str, str]) -> Response:
    if _is_unchanged(request, artifact):
        return Response(status_code=304, headers={name: headers[name] for name in _OF_UNCHANGED})
    found = requested_range(request.headers, artifact)
    if found is None:
        start, stop, status = 0, artifact.size, 200
    elif found[0] >= found[1]:
        missing = Problem(
            416, "range_not_satisfiable", f"The file has {artifact.size} bytes.",
            headers=(("Content-Range", f"bytes */{artifact.size}"),),
        )  # fmt: skip
        return problem_response(request.scope, missing)
    else:
        start, stop, status = *found, 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{artifact.size}"
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    opened = await artifacts.open_range(core, artifact, start, stop)
    return StreamingResponse(opened.chunks, status, headers)


def requested_range(headers: Mapping[str, str], artifact: Artifact) -> tuple[int, int] | None:
    """The part of a file that a request asks for, as start and stop; an empty one where the file has no such bytes.

    None: the whole file. So is what is no range of bytes, or several of them, or one of another version (If-Range).
    """
    asked = _RANGE.fullmatch(headers.get("range", ""))
    if asked is None or (not asked[1] and not asked[2]) or not _is_the_version(headers.get("if-range"), artifact):
        return None
    if not asked[1]:
        suffix = min(int(asked[2]), artifact.size)
        return (artifact.size - suffix, artifact.size) if suffix else (0, 0)
    start = int(asked[1])
    last = int(asked[2]) if asked[2] else artifact.size - 1
    if asked[2] and last < start:
        return None
    return (start, min(last + 1, artifact.size)) if start < artifact.size else (0, 0)


def content_disposition(disposition: Disposition, name: str) -> str:
    """The header for a file of this name (RFC 6266), which may hold any characters."""
    if name.isascii():
        return f'{disposition}; filename="{name.replace(chr(34), "_")}"'
    plain = "".join(char if char.isascii() and char != '"' else "_" for char in name)
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _headers(artifact: Artifact, disposition: Disposition | None, file_name: str | None) -> dict[str, str]:
    presented = disposition or artifact.disposition or Disposition.ATTACHMENT
    headers = {
        "Content-Type": artifact.content_type,
        "Content-Disposition": content_disposition(presented, file_name or artifact.name),
        "ETag": artifact.etag,
        "Last-Modified": format_datetime(artifact.updated_at.astimezone(UTC), usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    if artifact.content_type.partition(";")[0].strip().lower() != _NOT_SANDBOXED:
        headers["Content-Security-Policy"] = _SANDBOX
    return headers


def _is_unchanged(request: Request, artifact: Artifact) -> bool:
    """Whether the client has this version. Raises PreconditionFailed for one that wants another."""
    must = request.headers.get("if-match")
    if must is not None and not _names(must, artifact.etag, weak=False):
        raise PreconditionFailed
    known = request.headers.get("if-none-match")
    if known is not None:
        return _names(known, artifact.etag, weak=True)
    since = request.headers.get("if-modified-since")
    return since is not None and _not_after(artifact, since)


def _is_the_version(if_range: str | None, artifact: Artifact) -> bool:
    if if_range is None or if_range == artifact.etag:
        return True
    return not if_range.startswith(('"', "W/")) and _not_after(artifact, if_range)


def _not_after(artifact: Artifact, moment: str) -> bool:
    """Whether the file has not changed after a time of HTTP, which knows whole seconds; False for what is no time."""
    try:
        read = parsedate_to_datetime(moment)
    except ValueError:
        return False
    return artifact.updated_at.replace(microsecond=0) <= (read if read.tzinfo else read.replace(tzinfo=UTC))


def _names(condition: str, etag: str, *, weak: bool) -> bool:
    """Whether an If-Match or If-None-Match names the version, or any; `weak` compares without regard to `W/`."""
    said = [one.strip() for one in condition.split(",")]
    return "*" in said or etag in ([one.removeprefix("W/") for one in said] if weak else said)
