"""`perdure runs`: cancel, restart, signal, approve and resume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Follow, Json, RunId, Wait
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import run_steering
else:
    run_steering = Lazy("perdure.cli.run_steering")

app = typer.Typer()

Call = Annotated[str | None, typer.Argument(metavar="CALL", help="The tool call's id, where several wait.")]


@app.command("cancel")
def cancel(
    context: typer.Context,
    run: RunId,
    reason: Annotated[str | None, typer.Option(help="What the run's log says.")] = None,
    tree: Annotated[
        bool, typer.Option("--tree", help="Say how many runs were cancelled, and wait for none of them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Cancel a run and everything below it: the runs that it started, and theirs."""
    cancel_it = run_steering.cancel_tree if tree else run_steering.cancel
    cancel_it(context, run, reason=reason, as_json=as_json)


@app.command("restart")
def restart(
    context: typer.Context,
    run: RunId,
    fresh: Annotated[
        bool | None,
        typer.Option(
            "--fresh/--keep",
            help="Forget the recorded steps, or go on with them. Unset: forget them when the run had completed.",
            show_default=False,
        ),
    ] = None,
    follow: Follow = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Start a run again that has ended: the same run, its next attempt."""
    run_steering.restart(context, run, fresh=fresh, after=run_steering.After(follow, wait, as_json))


@app.command("signal")
def signal(
    context: typer.Context,
    run: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.", show_default=False)],
    payload: Annotated[str | None, typer.Argument(help="JSON, or text.")] = None,
    as_json: Json = False,
) -> None:
    """Send a signal to a run; one that waits for a signal goes on."""
    run_steering.signal(context, run, name, payload, as_json=as_json)


@app.command("approve")
def approve(
    context: typer.Context,
    run: RunId,
    call: Call = None,
    deny: Annotated[bool, typer.Option("--deny", help="Do not let the call run.")] = False,
    message: Annotated[str | None, typer.Option(help="What the model is told when a call is denied.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Decide about all calls that wait for approval.")] = False,
    follow: Follow = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Let a tool call run that waits for approval, or not."""
    decision = run_steering.Decision(approved=not deny, message=message, every=every)
    run_steering.approve(context, run, call, decision, run_steering.After(follow, wait, as_json))


@app.command("resume")
def resume(
    context: typer.Context,
    run: RunId,
    call: Annotated[str, typer.Argument(metavar="CALL", help="The tool call's id.", show_default=False)],
    result: Annotated[str | None, typer.Argument(help="JSON, or text.")] = None,
    result_file: Annotated[
        Path | None,
        typer.Option("--file", help="File with the result (JSON or text); `-`: standard input."),
    ] = None,
    is_error: Annotated[bool, typer.Option("--error", help="The result says why the call failed.")] = False,
    follow: Follow = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Give a waiting run the result of a tool call."""
    result_of = run_steering.ToolResult(call, result, result_file, is_error)
    run_steering.resume(context, run, result_of, run_steering.After(follow, wait, as_json))
