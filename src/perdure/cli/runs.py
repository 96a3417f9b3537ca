"""`perdure runs`: start, list, read and follow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Deadline, Follow, Json, Priority, Project, RunAfter, RunId, Wait
from perdure.domain.run import Kind, Status
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import inputs, run_reading, run_starting, run_tree
else:
    inputs = Lazy("perdure.cli.inputs")
    run_starting = Lazy("perdure.cli.run_starting")
    run_reading = Lazy("perdure.cli.run_reading")
    run_tree = Lazy("perdure.cli.run_tree")

app = typer.Typer(name="runs", no_args_is_help=True, help="Start, watch and steer runs.")


@app.command("create")
def create(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            help="An agent's name, or `agent:`, `workflow:`, `task:` or `eval:` and a name.", show_default=False
        ),
    ],
    prompt: Annotated[
        str | None, typer.Argument(help="What the user says to an agent; `-` reads it from standard input.")
    ] = None,
    follow: Follow = False,
    wait: Wait = False,
    conversation: Annotated[
        str | None, typer.Option(help="`new`, or the id of a conversation that the run belongs to.")
    ] = None,
    given: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="A JSON object, or the file that holds it (`-`: standard input): a workflow's input, a task's or an "
            "eval's config, and for an agent more of its input: messages, tools, model, runtime_overrides …",
        ),
    ] = None,
    public_id: Annotated[
        str | None, typer.Option("--id", help="The run's id. The same id again answers the same run.")
    ] = None,
    project: Project = None,
    priority: Priority = None,
    run_after: RunAfter = None,
    deadline: Deadline = None,
    as_json: Json = False,
) -> None:
    """Start a run of an agent, a workflow, a task or an eval. `perdure catalog` lists them."""
    scheduling = inputs.scheduling_of(priority, run_after, deadline)
    wanted = run_starting.Wanted(target, prompt, given, conversation, public_id, project, scheduling)
    run_starting.create(context, wanted, follow=follow, wait=wait, as_json=as_json)


@app.command("list")
def list_(
    context: typer.Context,
    status: Annotated[list[Status] | None, typer.Option(help="Runs in this state; may be repeated.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Runs of this kind.")] = None,
    agent: Annotated[str | None, typer.Option(help="Runs of this agent.")] = None,
    target: Annotated[str | None, typer.Option(help="Runs of this target.")] = None,
    tag: Annotated[str | None, typer.Option(help="Runs with this tag.")] = None,
    parent: Annotated[str | None, typer.Option(help="Runs that this run started.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    wanted = run_reading.Wanted(tuple(status or ()), kind, agent, target, tag, parent, project)
    run_reading.list_runs(context, wanted, limit=limit, as_json=as_json)


@app.command("get")
def get(context: typer.Context, run: RunId, as_json: Json = False) -> None:
    """Show how a run stands, and what came out of it."""
    run_reading.get(context, run, as_json=as_json)


@app.command("tree")
def tree(
    context: typer.Context,
    run: RunId,
    root: Annotated[bool, typer.Option("--root", help="Begin at the topmost run above it: the whole tree.")] = False,
    as_json: Json = False,
) -> None:
    """Draw a run with the runs that it started, and theirs."""
    run_tree.show(context, run, root=root, as_json=as_json)


@app.command("tail")
def tail(
    context: typer.Context,
    run: RunId,
    follow: Follow = False,
    wait: Wait = False,
    after: Annotated[int, typer.Option(min=0, help="Show what came after the event with this id.")] = 0,
    as_json: Json = False,
) -> None:
    """Show a run's events: its text as it streams, tool calls, state, what it waits for.

    With --follow it reconnects by itself and goes on where it was. The exit code says how the run stands.
    """
    run_reading.tail(context, run, follow=follow, wait=wait, after=after, as_json=as_json)
