"""`perdure batches`: many task runs at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Deadline, Json, Priority, Project, RunAfter
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import batch_handling, inputs
else:
    inputs = Lazy("perdure.cli.inputs")
    batch_handling = Lazy("perdure.cli.batch_handling")

app = typer.Typer(name="batches", no_args_is_help=True, help="Start, watch and cancel many task runs at once.")

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="Its id.", show_default=False)]
WaitForAll = Annotated[bool, typer.Option("--wait", help="Stay until all runs have ended.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Seconds after which it is not waited for any longer.")]


@app.command("create")
def create(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="Up to 10,000 task requests as JSON Lines or a JSON array, `{target, config, …}` each; `-` reads them "
            "from standard input.",
            show_default=False,
        ),
    ],
    batch_id: Annotated[
        str | None,
        typer.Option("--id", help="Its id, a UUID. The same id and file again answer the same batch."),
    ] = None,
    wait: WaitForAll = False,
    project: Project = None,
    priority: Priority = None,
    run_after: RunAfter = None,
    deadline: Deadline = None,
    as_json: Json = False,
) -> None:
    """Start a batch, all of its runs or none. Its id is written."""
    scheduling = inputs.scheduling_of(priority, run_after, deadline)
    batch_handling.create(context, file, batch_id, project, scheduling, wait=wait, as_json=as_json)


@app.command("show")
def show(context: typer.Context, batch: BatchId, as_json: Json = False) -> None:
    """Show how far a batch is."""
    batch_handling.show(context, batch, as_json=as_json)


@app.command("cancel")
def cancel(context: typer.Context, batch: BatchId, wait: WaitForAll = False, as_json: Json = False) -> None:
    """Cancel all live runs of a batch."""
    batch_handling.cancel(context, batch, wait=wait, as_json=as_json)


@app.command("wait")
def wait(context: typer.Context, batch: BatchId, timeout: Timeout = None, as_json: Json = False) -> None:
    """Wait until all runs of a batch have ended. The exit code says how it stands, as for a run."""
    batch_handling.wait(context, batch, timeout, as_json=as_json)
