"""What every request goes through: a request id, the access log and the metrics, and the end of unexpected errors."""

from __future__ import annotations

import os
import re
from time import perf_counter
from typing import Final
from urllib.parse import unquote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from perdure.http.errors import AGENTS_PREFIXES, REQUEST_ID, internal_problem, problem_response
from perdure.telemetry import LogLine, Metrics, get_logger, request_context

ENCODED_SLASH: Final = "\udc2f"
"""Stands in a path parameter for `%2F`: a run id may hold a slash. A lone surrogate, so that no URL can spell it."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GIVEN_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_SLASH: Final = re.compile("%2f", re.IGNORECASE)
_FILE: Final = re.compile(r"/api/v1/agents/[^/]+/artifact(?:s|-content)/.+")
"""Where a path ends with a file's name."""


class Edge:
    """ASGI middleware. It adds nothing per body chunk, and at most a few microseconds per request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        # Bound once: an unbound logger looks its configuration up for every line, written or not.
        self._log: FilteringBoundLogger = get_logger().bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or os.urandom(12).hex()
        scope[REQUEST_ID] = request_id
        _keep_slashes(scope)
        _drop_last_slash(scope)
        exchange = _Exchange(scope, send, self._metrics, request_id)
        with request_context(request_id=request_id):
            try:
                await self._app(scope, receive, exchange.send)
            except ClientDisconnect:
                return  # It went away within its request: nobody is there to be answered.
            except Exception as error:
                self._log.error(
                    LogLine.REQUEST_FAILED,
                    method=scope["method"], route=route_of(scope), error=repr(error), exc_info=error,
                )  # fmt: skip
                if exchange.status:
                    raise  # The answer has begun: only a broken connection can tell the client now.
                await problem_response(scope, internal_problem())(scope, receive, exchange.send)
            finally:
                self._log.debug(
                    LogLine.REQUEST_SERVED,
                    method=scope["method"], route=route_of(scope), status=exchange.status,
                    seconds=round(perf_counter() - exchange.began, 6),
                )  # fmt: skip


class _Exchange:
    """One request on its way out."""

    __slots__ = ("_headers", "_metrics", "_scope", "_send", "began", "status")

    def __init__(self, scope: Scope, send: Send, metrics: Metrics, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._headers = ((b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff"))
        self.began = perf_counter()
        self.status = 0

    async def send(self, message: Message) -> None:
        """Pass a message on; the start of the answer is measured, and gets its headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
            method = self._scope["method"]
            self._metrics.http_request(
                method=method if method in _METHODS else "other",
                route=route_of(self._scope),
                status=self.status,
                seconds=perf_counter() - self.began,
            )
        await self._send(message)


def route_of(scope: Scope) -> str:
    """The template of the request's route (`/runs/{run_id}`), `unknown` where there is none."""
    route = scope.get("endpoint")
    path = getattr(route, "path", None) or getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unknown"


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _GIVEN_ID.fullmatch(value) else None
    return None


def _keep_slashes(scope: Scope) -> None:
    """Tell a slash within a path segment from one between two, which the server's decoded path does not."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2" in raw and _SLASH.search(path := raw.decode("latin-1")):
        scope["path"] = ENCODED_SLASH.join(map(unquote, _SLASH.split(path)))


def _drop_last_slash(scope: Scope) -> None:
    """The Agent Runs dialect takes its paths with a slash at their end, too (vertesia.md section 0, 1)."""
    path: str = scope["path"]
    if path.endswith("/") and path.startswith(AGENTS_PREFIXES) and not _FILE.fullmatch(path):
        scope["path"] = path[:-1]
