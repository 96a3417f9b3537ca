"""`perdure dev`, `serve` and `worker`: the processes. The same parts, together or apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.access import access_of
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import process_start
else:
    process_start = Lazy("perdure.cli.process_start")

AppSpec = Annotated[
    str | None,
    typer.Argument(
        metavar="APP",
        help="Python file or `module:attribute` with your `App`; its agents are served beside the demo agents.",
        envvar="PERDURE_APP",
        show_default=False,
    ),
]
Host = Annotated[
    str | None, typer.Option(help="Address to listen on.", envvar="PERDURE_HOST", show_default="127.0.0.1")
]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", envvar="PERDURE_PORT", show_default="4000"),
]


def dev(context: typer.Context, app: AppSpec = None, host: Host = None, port: Port = None) -> None:
    """Run everything in one process: server, worker, and an embedded PostgreSQL unless PERDURE_DATABASE_URL is set.

    The database is migrated and an API key is made if there is none. Ctrl-C stops it; the data stays.
    """
    process_start.dev(access_of(context), app, host=host, port=port)


def serve(context: typer.Context, host: Host = None, port: Port = None) -> None:
    """Serve the HTTP API. Runs are executed by `perdure worker` processes on the same database."""
    process_start.serve(access_of(context), host=host, port=port)


def worker(context: typer.Context, app: AppSpec = None) -> None:
    """Execute runs: those of the demo agents, and of the agents in your `App`."""
    process_start.worker(access_of(context), app)
