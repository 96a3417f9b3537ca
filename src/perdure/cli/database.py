"""`perdure db`: the schema of the database, and what is made from the logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from perdure.cli.access import access_of
from perdure.cli.options import Json
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import reindex as reindexing
    from perdure.cli import schema
else:
    reindexing = Lazy("perdure.cli.reindex")
    schema = Lazy("perdure.cli.schema")

app = typer.Typer(name="db", no_args_is_help=True, help="The database's schema, and what is made from the logs.")


@app.command("upgrade")
def upgrade(context: typer.Context, as_json: Json = False) -> None:
    """Bring the database to the newest schema. Safe to repeat, and beside running servers."""
    schema.upgrade(access_of(context), as_json=as_json)


@app.command("current")
def current(context: typer.Context, as_json: Json = False) -> None:
    """Show the database's schema, and the newest that this version knows. The exit code is 1 when it is older."""
    schema.current(access_of(context), as_json=as_json)


@app.command("reindex")
def reindex(context: typer.Context, as_json: Json = False) -> None:
    """Make search and analytics anew from the logs, beside running servers. Broken off, the next call goes on."""
    reindexing.reindex(access_of(context), as_json=as_json)
