"""The files of runs, of all kinds: list, download, upload, edit (vertesia.md 1.4, 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain import json_text
from perdure.domain.artifact import (
    MAX_TEXT_BYTES,
    ArtifactPath,
    ArtifactVisibility,
    Disposition,
    NewArtifact,
    artifact_path,
    content_type_of,
    file_name_of,
)
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import RunKey
from perdure.domain.principal import Scope
from perdure.domain.signed_url import Access
from perdure.http.agents.requests import any_run_of, check_query, flag_query, is_strict
from perdure.http.context import base_url_of, core_of
from perdure.http.deps import principal_of
from perdure.http.edge import ENCODED_SLASH
from perdure.http.files import body_chunks, check_length, expected_by, file_answer
from perdure.http.json_schema import array, boolean, choice, members, text
from perdure.http.operations import Answer, Body, Operation, json_answer, query
from perdure.http.requests import read_body
from perdure.http.schema_check import SchemaCheck
from perdure.services import artifacts, signed_urls

_TAG: Final = "artifacts"
_ALL: Final = "/api/v1/agents/{run_id}/artifacts"
_ONE: Final = f"{_ALL}/{{path:path}}"
_CONTENT: Final = "/api/v1/agents/{run_id}/artifact-content/{path:path}"
_MAX_CONTENT_BODY: Final = 8 * MAX_TEXT_BYTES
"""A text that JSON writes with many escapes is longer than itself."""

_CHANGE: Final = members({"content": text(), "generation": text()}, required=("content", "generation"))
_CHANGE_CHECK: Final = SchemaCheck(_CHANGE)


async def list_artifacts(request: Request) -> Response:
    """GET /api/v1/agents/{run_id}/artifacts."""
    run = await any_run_of(request, await principal_of(request, Scope.RUNS_READ))
    check_query(request, frozenset({"visibility"}))
    visibility = request.query_params.get("visibility") or ArtifactVisibility.USER
    if visibility not in tuple(ArtifactVisibility):
        raise InvalidRequest(f"The query parameter `visibility` must be one of {', '.join(ArtifactVisibility)}.")
    found = await artifacts.list_all(core_of(request), run.key, visibility=ArtifactVisibility(visibility))
    return json_answer([_full(run.key, one.path) for one in found])


async def get_artifact(request: Request) -> Response:
    """GET /api/v1/agents/{run_id}/artifacts/{path}: the file or, with `url=1`, a URL for it."""
    core = core_of(request)
    run = await any_run_of(request, await principal_of(request, Scope.RUNS_READ))
    check_query(request, frozenset({"url", "disposition", "filename"}))
    path, disposition = _path(request), _disposition(request)
    name = request.query_params.get("filename")
    file_name = file_name_of(name) if name else None
    if not flag_query(request, "url"):
        return await file_answer(request, run.key, path, disposition=disposition, file_name=file_name)
    await artifacts.get(core, run.key, path)
    return await _url_answer(request, Access.READ, run.key, path, disposition, file_name)


async def put_artifact(request: Request) -> Response:
    """PUT /api/v1/agents/{run_id}/artifacts/{path}: without a body a URL to upload to; else the body is the file."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    run = await any_run_of(request, principal)
    path = _path(request)
    content_type = content_type_of(request.headers.get("content-type"), path)
    check_length(request)
    body = body_chunks(request)
    first = await anext(body, None)
    if first is None:
        return await _url_answer(request, Access.WRITE, run.key, path)
    expected = await expected_by(request, core, run.key, path)
    new = NewArtifact(run.key, path, content_type, created_by=principal.subject, expected=expected)
    await artifacts.upload(core, new, _with_first(first, body))
    return await _url_answer(request, Access.READ, run.key, path)


async def get_artifact_content(request: Request) -> Response:
    """GET /api/v1/agents/{run_id}/artifact-content/{path}."""
    run = await any_run_of(request, await principal_of(request, Scope.RUNS_READ))
    check_query(request, frozenset())
    artifact, content = await artifacts.read_text(core_of(request), run.key, _path(request))
    return json_answer({"path": artifact.path, "content": content, "generation": str(artifact.generation)})


async def put_artifact_content(request: Request) -> Response:
    """PUT /api/v1/agents/{run_id}/artifact-content/{path}."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    run = await any_run_of(request, principal)
    body = json_text.decode(await read_body(request, _MAX_CONTENT_BODY))
    if isinstance(body, dict) and not is_strict(request):
        body = {name: body[name] for name in ("content", "generation") if name in body}
    _CHANGE_CHECK.check(body)
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be an object.")
    stored = await artifacts.write_text(
        core, run.key, _path(request), body["content"], body["generation"], created_by=principal.subject
    )
    return json_answer({"path": stored.path, "generation": str(stored.generation)})


def _path(request: Request) -> ArtifactPath:
    """The path as the server decoded it, which leaves a `%` alone that escapes nothing."""
    return artifact_path(request.path_params["path"].replace(ENCODED_SLASH, "/"))


def _full(key: RunKey, path: ArtifactPath) -> str:
    """How the dialect writes a path: clients cut off what stands before it (vertesia.md 5)."""
    return f"agents/{key.run_id}/{path}"


def _disposition(request: Request) -> Disposition | None:
    value = request.query_params.get("disposition")
    if value and value not in tuple(Disposition):
        raise InvalidRequest("The query parameter `disposition` must be inline or attachment.")
    return Disposition(value) if value else None


async def _url_answer(
    request: Request,
    access: Access,
    key: RunKey,
    path: ArtifactPath,
    disposition: Disposition | None = None,
    file_name: str | None = None,
) -> Response:
    url = await signed_urls.issue(
        core_of(request), base_url_of(request), access, key, path, disposition=disposition, file_name=file_name
    )
    return json_answer({"url": url, "path": _full(key, path)})


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


_PATH_SCHEMAS: Final = {"path": text(1, 1024)}
_URL: Final = members({"url": text(1), "path": text(1)}, required=("url", "path"))
_FILE: Final = {"type": "string", "format": "binary"}

LIST: Final = Operation(
    method="GET",
    path=_ALL,
    handler=list_artifacts,
    tag=_TAG,
    summary="List the files of an agent run",
    description="Their paths, each after `agents/<run id>/`.",
    scope=Scope.RUNS_READ,
    parameters=(
        query("visibility", choice(*ArtifactVisibility), "Without it: those for the user, not the agent's own."),
    ),
    answers={200: Answer("The paths.", array(text(1)))},
)

GET: Final = Operation(
    method="GET",
    path=_ONE,
    handler=get_artifact,
    tag=_TAG,
    summary="Download a file of an agent run, or get a URL for it",
    description="The URL works for 15 minutes, for whoever has it.",
    scope=Scope.RUNS_READ,
    parameters=(
        query("url", boolean(), "`1`: answer a signed URL in place of the file."),
        query("disposition", choice(*Disposition), "Whether a browser shows or keeps the file."),
        query("filename", text(1, 255), "What the download is called."),
    ),
    path_schemas=_PATH_SCHEMAS,
    answers={
        200: Answer("The file; with `url=1` a URL.", _URL),
        206: Answer("The part of the file that `Range` asks for.", _FILE, "application/octet-stream"),
        304: Answer("The client has it."),
    },
    problems=(404, 412, 416),
)

PUT: Final = Operation(
    method="PUT",
    path=_ONE,
    handler=put_artifact,
    tag=_TAG,
    summary="Upload a file of an agent run, or get a URL to upload it to",
    description=(
        "Without a body the answer is a URL that takes the file by PUT, for 15 minutes. With one it is stored at once, "
        "and the URL is for reading it. `Content-Type` is kept."
    ),
    scope=Scope.RUNS_WRITE,
    path_schemas=_PATH_SCHEMAS,
    answers={200: Answer("A URL.", _URL)},
    problems=(404, 412, 413),
)

GET_CONTENT: Final = Operation(
    method="GET",
    path=_CONTENT,
    handler=get_artifact_content,
    tag=_TAG,
    summary="Read a file of an agent run as a text to be edited",
    description="At most 1 MB of UTF-8.",
    scope=Scope.RUNS_READ,
    path_schemas=_PATH_SCHEMAS,
    answers={
        200: Answer(
            "The text.",
            members(
                {"path": text(1), "content": text(), "generation": text(1)}, required=("path", "content", "generation")
            ),
        )
    },
    problems=(404, 413),
)

PUT_CONTENT: Final = Operation(
    method="PUT",
    path=_CONTENT,
    handler=put_artifact_content,
    tag=_TAG,
    summary="Write back a text that was edited",
    description="Under the generation that was read: 412 where the file has changed since.",
    scope=Scope.RUNS_WRITE,
    path_schemas=_PATH_SCHEMAS,
    body=Body(_CHANGE),
    answers={
        200: Answer("It is stored.", members({"path": text(1), "generation": text(1)}, required=("path", "generation")))
    },
    problems=(404, 412, 413),
)

OPERATIONS: Final = (LIST, GET, PUT, GET_CONTENT, PUT_CONTENT)
