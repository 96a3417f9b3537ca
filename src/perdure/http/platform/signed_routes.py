"""Signed URLs: read or write the one file that the URL names, without a key (vertesia.md section 5)."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.artifact import NewArtifact, content_type_of
from perdure.domain.signed_url import Access, Grant
from perdure.http.context import core_of
from perdure.http.files import body_chunks, check_length, expected_by, file_answer
from perdure.http.json_schema import members, text
from perdure.http.operations import Answer, Operation, json_answer
from perdure.services import artifacts, signed_urls

_TAG: Final = "artifacts"
_PATH: Final = f"{signed_urls.PATH}{{token}}"
_HIDDEN: Final = f"{signed_urls.PATH}-".encode()
"""What a problem calls its instance: the URL holds a secret, and problems end up in logs."""


async def read_signed(request: Request) -> Response:
    """GET and HEAD /artifacts/signed/{token}."""
    grant = await _grant(request, Access.READ)
    return await file_answer(request, grant.key, grant.path, disposition=grant.disposition, file_name=grant.file_name)


async def write_signed(request: Request) -> Response:
    """PUT /artifacts/signed/{token}."""
    core = core_of(request)
    grant = await _grant(request, Access.WRITE)
    check_length(request)
    new = NewArtifact(
        key=grant.key,
        path=grant.path,
        content_type=content_type_of(request.headers.get("content-type"), grant.path),
        disposition=grant.disposition,
        file_name=grant.file_name,
        expected=await expected_by(request, core, grant.key, grant.path),
    )
    stored = await artifacts.upload(core, new, body_chunks(request))
    answer = json_answer({"path": stored.path, "generation": str(stored.generation)})
    answer.headers["ETag"] = stored.etag
    return answer


async def _grant(request: Request, access: Access) -> Grant:
    request.scope["raw_path"] = _HIDDEN
    return await signed_urls.verify(core_of(request), request.path_params["token"], access)


READ: Final = Operation(
    method="GET",
    path=_PATH,
    handler=read_signed,
    tag=_TAG,
    summary="Download a file with a signed URL",
    description=(
        "The URL is the permission: it names the file, and ends by itself. `Range` asks for a part (several at "
        "once are answered with the whole), `If-None-Match` and `If-Modified-Since` for what has changed."
    ),
    scope=None,
    path_schemas={"token": text(1)},
    answers={
        200: Answer("The file.", {"type": "string", "format": "binary"}, "application/octet-stream"),
        206: Answer("The part of it.", {"type": "string", "format": "binary"}, "application/octet-stream"),
        304: Answer("The client has it."),
    },
    problems=(403, 404, 412, 416),
)

WRITE: Final = Operation(
    method="PUT",
    path=_PATH,
    handler=write_signed,
    tag=_TAG,
    summary="Upload a file with a signed URL",
    description=(
        "The body is the file, of the type that `Content-Type` says. It is there whole when the answer comes, or "
        "not at all. `If-Match` replaces one version only; `If-None-Match: *` replaces nothing."
    ),
    scope=None,
    path_schemas={"token": text(1)},
    answers={
        200: Answer(
            "It is stored.",
            members({"path": text(1), "generation": text(1)}, required=("path", "generation"), closed=False),
        )
    },
    problems=(403, 404, 412, 413),
)

OPERATIONS: Final = (READ, WRITE)
"""The routes of signed URLs."""
