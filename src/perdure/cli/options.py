"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Write JSON, for scripts.")]

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", show_default=False)]

Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Show the run as it goes on, until it ends or waits for somebody.")
]

Wait = Annotated[bool, typer.Option("--wait", help="With --follow: stay while the run waits for somebody.")]

Project = Annotated[
    str | None,
    typer.Option(
        "--project", envvar="PERDURE_PROJECT", help="Id or slug of the project; your own if unset.", show_default=False
    ),
]

Direct = Annotated[
    bool,
    typer.Option("--direct", help="Work on the database itself instead of asking a server; needs no key."),
]
