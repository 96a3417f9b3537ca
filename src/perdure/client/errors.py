"""What a call can fail with. All of them are `ClientError`s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

_SHOWN: Final = 300
"""Characters that are kept of an answer that is not a problem document."""


class ClientError(Exception):
    """Base of everything that the client raises on purpose."""


class Unreachable(ClientError):
    """The server did not answer, not even after the retries. The transport's error is the cause."""


class UnexpectedAnswer(ClientError):
    """The server answered something that is not of this protocol: is the base URL right?"""


class ApiError(ClientError):
    """The server refused the request (RFC 9457).

    `status` is the HTTP status; `code` is stable and for programs (`run_not_found`); `detail` is for people;
    `request_id` finds the request in the server's log; `problem` holds all members of the problem document;
    `retry_after` is in seconds, where the server asked for a pause.
    """

    def __init__(
        self,
        status: int,
        *,
        code: str,
        detail: str,
        title: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{detail} [{status} {code}]")
        self.status = status
        self.code = code
        self.detail = detail
        self.title = title
        self.request_id = request_id
        self.retry_after = retry_after
        self.problem: Mapping[str, Any] = problem or {}


def api_error(response: httpx.Response) -> ApiError:
    """The error that an answer with a status of 400 or more stands for. Its body must have been read.

    An answer that is no problem document (a proxy's page, say) gets the code `http_<status>`.
    """
    problem = _problem(response.content)
    title = _text(problem, "title")
    detail = _text(problem, "detail") or _text(problem, "error") or title or _plain(response)
    return ApiError(
        response.status_code,
        code=_text(problem, "code") or f"http_{response.status_code}",
        detail=detail,
        title=title,
        request_id=_text(problem, "request_id") or response.headers.get("x-request-id"),
        retry_after=seconds_asked(response),
        problem=problem,
    )


def seconds_asked(response: httpx.Response) -> float | None:
    """The pause that the answer's Retry-After asks for, in seconds; None where it says none, or a date."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def _problem(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _text(problem: Mapping[str, Any], name: str) -> str | None:
    value = problem.get(name)
    return value if isinstance(value, str) and value else None


def _plain(response: httpx.Response) -> str:
    text = response.text.strip()
    if text and "html" not in response.headers.get("content-type", ""):
        return text[:_SHOWN]
    return f"HTTP {response.status_code} {response.reason_phrase}".strip()
