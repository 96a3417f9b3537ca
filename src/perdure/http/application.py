"""The HTTP application: every route, and what stands around all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from perdure.http.ag_ui.routes import OPERATIONS as AG_UI
from perdure.http.agents.message_feed import MessageFeeds
from perdure.http.agents.operations import OPERATIONS as AGENTS
from perdure.http.context import HttpSettings
from perdure.http.dashboard.build import read_build
from perdure.http.dashboard.routes import Dashboard
from perdure.http.dashboard.sign_in import OneTimeSignIn
from perdure.http.docs_page import content_security_policy, docs_page
from perdure.http.edge import Edge
from perdure.http.errors import EXCEPTION_HANDLERS
from perdure.http.openapi import merged
from perdure.http.operations import Operation, raw_answer, routes_of
from perdure.http.platform import health, keys, projects, signed_routes
from perdure.http.runs.operations import OPERATIONS as RUNS
from perdure.http.runs.projections import Projections
from perdure.http.runs.watch_routes import gone_frame, run_frame
from perdure.services.authentication import Authenticator
from perdure.services.core import Core
from perdure.services.health import Health
from perdure.services.queue_watch import QueueWatch
from perdure.services.run_feed import RunFeed

_DESCRIPTION: Final = (
    "A self-hosted server for durable agent runs: start a run, follow it live, reconnect anywhere, steer it, and lose "
    "nothing. Errors are problems (RFC 9457) with a stable `code`."
)


class Application(FastAPI):
    """FastAPI with our operations in its document."""

    def __init__(self, operations: Sequence[Operation], **options: Any) -> None:
        self._operations = operations
        super().__init__(**options)

    def openapi(self) -> dict[str, Any]:
        """The whole OpenAPI document; made once."""
        return self._document

    @cached_property
    def _document(self) -> dict[str, Any]:
        return merged(super().openapi(), self._operations)

    def stop_waiting(self) -> None:
        """Answer the requests that wait for work now, and end the streams of projects, so that the server can stop."""
        watch: QueueWatch = self.state.queue_watch
        watch.stop()
        feed: RunFeed = self.state.run_feed
        feed.stop()

    @cached_property
    def document_json(self) -> bytes:
        """The document as it is served."""
        return msgspec.json.encode(self.openapi())

    @cached_property
    def docs_html(self) -> str:
        """The document for a person."""
        return docs_page(self.openapi())


def create_app(
    core: Core,
    authenticator: Authenticator,
    health_watch: Health,
    settings: HttpSettings | None = None,
    one_time_sign_in: OneTimeSignIn | None = None,
) -> Application:
    """The application on these parts, which its caller starts and stops.

    `core.hub.stop()` ends the streams of runs and `stop_waiting()` what else waits, so they come before the server
    waits for its connections.
    """
    app = _application([Middleware(Edge, metrics=core.metrics)])
    app.router.routes.extend(Dashboard(one_time_sign_in, read_build()).routes())
    app.state.core = core
    app.state.authenticator = authenticator
    app.state.health = health_watch
    app.state.settings = settings if settings is not None else HttpSettings()
    app.state.projections = Projections()
    app.state.message_feeds = MessageFeeds(core.hub)
    app.state.queue_watch = QueueWatch(core.router)
    app.state.run_feed = RunFeed(core.database, core.router, run_frame, gone_frame)
    return app


def document() -> bytes:
    """The OpenAPI document without a server: what the dashboard's types are made from."""
    return _application([]).document_json


def _application(middleware: list[Middleware]) -> Application:
    """The API's routes, without what they work with."""
    operations = (*RUNS, *AGENTS, *AG_UI, *signed_routes.OPERATIONS)
    app = Application(
        operations,
        title="Perdure",
        version=version("perdure"),
        description=_DESCRIPTION,
        # We serve both ourselves: without a CDN, and the document as bytes that are made once.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=middleware,
        exception_handlers=dict(EXCEPTION_HANDLERS),
        # What we measure and trace is named in `perdure.telemetry`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.router.routes.extend(routes_of(operations))
    app.router.routes.extend(
        Route(path, endpoint, include_in_schema=False)
        for path, endpoint in (("/openapi.json", _openapi_json), ("/docs", _docs))
    )
    for module in (health, projects, keys):
        # Without the framework's limit of a body, whose refusal is no problem document: `platform.bodies` has its own.
        app.include_router(module.router)
    return app


async def _openapi_json(request: Request) -> Response:
    app: Application = request.app
    return raw_answer(app.document_json)


async def _docs(request: Request) -> Response:
    app: Application = request.app
    return HTMLResponse(app.docs_html, headers={"Content-Security-Policy": content_security_policy()})
