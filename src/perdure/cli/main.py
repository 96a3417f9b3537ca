"""`perdure`: the root of the command line."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli import (
    agents,
    batches,
    catalog,
    conversations,
    database,
    doctor,
    forms,
    keys,
    process,
    projects,
    runs,
    schedules,
    steer,
)
from perdure.cli.access import DEFAULT_DATA_DIR, DEFAULT_URL, Access
from perdure.cli.options import Json

app = typer.Typer(
    name="perdure",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Durable agent runs: start them over HTTP, watch them live, lose nothing when a process dies.",
)


@app.callback()
def root(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option("--url", envvar="PERDURE_API_URL", help="The server to ask.", show_default=DEFAULT_URL),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="PERDURE_API_KEY",
            help="API key or token; that of the dev server in the data folder if unset.",
        ),
    ] = None,
    data_dir: Annotated[
        Path,
        typer.Option("--data-dir", envvar="PERDURE_DATA_DIR", help="Folder for the embedded PostgreSQL and files."),
    ] = DEFAULT_DATA_DIR,
) -> None:
    """Options that come before the command hold for every command; most are rather set in the environment."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # A terminal that cannot show a character must not end a command.
    context.obj = Access(url or None, api_key or None, data_dir)


@app.command("version")
def version(as_json: Json = False) -> None:
    """Show the installed version."""
    number = installed_version("perdure")
    typer.echo(f'{{"version": "{number}"}}' if as_json else number)


app.command("dev")(process.dev)
app.command("serve")(process.serve)
app.command("worker")(process.worker)
app.add_typer(database.app)
runs.app.add_typer(steer.app)
app.add_typer(runs.app)
app.add_typer(batches.app)
app.command("catalog")(catalog.catalog)
app.add_typer(conversations.app)
app.add_typer(forms.app)
app.add_typer(schedules.app)
app.add_typer(agents.app)
app.add_typer(keys.app)
app.add_typer(projects.app)
app.command("doctor")(doctor.doctor)
