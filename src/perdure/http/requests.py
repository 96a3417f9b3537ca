"""Read requests: path and query parameters, headers, and bodies within their limits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from starlette.requests import ClientDisconnect, Request

from perdure.domain.errors import ConversationNotFound, InvalidRequest, PayloadTooLarge, RunNotFound
from perdure.domain.ids import ConversationId, RunId
from perdure.domain.json_text import decode
from perdure.http.edge import ENCODED_SLASH
from perdure.http.schema_check import SchemaCheck

T = TypeVar("T")

MAX_BODY: Final = 1024 * 1024
"""Bytes of an ordinary body."""

FENCE_HEADER: Final = "X-Perdure-Fence"

_FENCE: Final = re.compile(r"[0-9]{1,9}")
_INTEGER: Final = re.compile(r"[0-9]{1,18}")
_MAX_ID: Final = 128


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body. Raises PayloadTooLarge over `limit` bytes, before it is read where its length is announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> PayloadTooLarge:
    size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} KB"
    return PayloadTooLarge(f"The body must be at most {size}.")


def read_as(body: bytes, kind: type[T], check: SchemaCheck) -> T:
    """A JSON body as a struct of what `check` lets through. Raises InvalidRequest with the place."""
    return msgspec.convert(read_checked(body, check), kind)


def read_checked(body: bytes, check: SchemaCheck) -> object:
    """The value of a JSON body that `check` lets through. Raises InvalidRequest with the place."""
    value = decode(body)
    check.check(value)
    return value


def run_id_of(request: Request) -> RunId:
    """The path's run id. Raises RunNotFound for what no run can be called."""
    return run_id(request.path_params["run_id"])


def run_id(segment: str) -> RunId:
    """A path segment as a run id. Raises RunNotFound for what no run can be called."""
    value = segment.replace(ENCODED_SLASH, "/")
    if len(value) > _MAX_ID or "\x00" in value:
        raise RunNotFound
    return RunId(value)


def conversation_id_of(request: Request) -> ConversationId:
    """The path's conversation id. Raises ConversationNotFound for anything but a UUID."""
    try:
        return ConversationId(UUID(request.path_params["conversation_id"]))
    except ValueError:
        raise ConversationNotFound("A conversation's id is a UUID.") from None


def text_query(request: Request, name: str) -> str | None:
    """A query parameter, None where it is absent. Raises InvalidRequest for an empty one, and for NUL characters."""
    value = request.query_params.get(name)
    if value is not None and (not value or "\x00" in value):
        raise InvalidRequest(f"The query parameter `{name}` must be a text of at least one character, and without NUL.")
    return value


def integer_query(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A query parameter from `least` to `most`. Raises InvalidRequest."""
    value = request.query_params.get(name)
    if value is None:
        return default
    if not _INTEGER.fullmatch(value) or not least <= int(value) <= most:
        raise InvalidRequest(f"The query parameter `{name}` must be an integer from {least} to {most}.")
    return int(value)


def boolean_query(request: Request, name: str) -> bool:
    """A query parameter that is `true` or `false`, and false where it is absent. Raises InvalidRequest."""
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise InvalidRequest(f"The query parameter `{name}` must be true or false.")
    return value == "true"


def words_query(request: Request, name: str) -> list[str]:
    """A query parameter that may be repeated, or hold several words with commas between them."""
    return [word for value in request.query_params.getlist(name) for word in value.split(",")]


def time_query(request: Request, name: str) -> datetime | None:
    """A query parameter in ISO 8601; without an offset it is UTC. Raises InvalidRequest."""
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        # In a query a `+` that was not encoded arrives as a space.
        read = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"The query parameter `{name}` must be a time in ISO 8601.") from None


def fence_of(request: Request) -> int | None:
    """The fence of the claim that an external worker writes under. Raises InvalidRequest."""
    value = request.headers.get(FENCE_HEADER)
    if value is None:
        return None
    if not _FENCE.fullmatch(value):
        raise InvalidRequest(f"The header {FENCE_HEADER} must be the `fence` of your claim: an integer.")
    return int(value)


def cursor_of(value: str, name: str) -> int:
    """An event id that a client sends as its cursor. Raises InvalidRequest."""
    if not _INTEGER.fullmatch(value):
        raise InvalidRequest(f"{name} must be the id of an event: an integer from 0 up.")
    return int(value)
