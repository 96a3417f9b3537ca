"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.domain.scheduling import HIGHEST_PRIORITY, LOWEST_PRIORITY

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

Priority = Annotated[
    int | None,
    typer.Option(
        min=LOWEST_PRIORITY, max=HIGHEST_PRIORITY, help="A higher one goes first among the project's runs; 0 if unset."
    ),
]

RunAfter = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="No worker gets it before (2030-01-31T12:00, local time if it has no offset)."),
]

Deadline = Annotated[str | None, typer.Option(metavar="TIME", help="It fails when it has not ended by then.")]
