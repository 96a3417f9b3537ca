"""`perdure schedules`: runs that start by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Json, Project
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import clockwork
else:
    clockwork = Lazy("perdure.cli.clockwork")

app = typer.Typer(name="schedules", no_args_is_help=True, help="Start agents by the clock.")

ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its id.", show_default=False)]


@app.command("list")
def list_(context: typer.Context, project: Project = None, as_json: Json = False) -> None:
    """List a project's schedules."""
    clockwork.list_schedules(context, project, as_json=as_json)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call it.", show_default=False)],
    cron: Annotated[str, typer.Argument(help='Five fields: "0 8 * * 1-5".', show_default=False)],
    agent: Annotated[str, typer.Argument(help="The agent to start.", show_default=False)],
    time_zone: Annotated[str | None, typer.Option(help="Such as Europe/Lisbon; UTC if unset.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What the user says in each run.")] = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Start an agent by the clock."""
    wanted = clockwork.Wanted(name, cron, agent, time_zone, prompt)
    clockwork.create_schedule(context, wanted, project, as_json=as_json)


@app.command("trigger")
def trigger(context: typer.Context, schedule: ScheduleId, project: Project = None, as_json: Json = False) -> None:
    """Start a run now. Its id is written."""
    clockwork.trigger(context, schedule, project, as_json=as_json)


@app.command("pause")
def pause(context: typer.Context, schedule: ScheduleId, project: Project = None, as_json: Json = False) -> None:
    """Let it start nothing until it is resumed."""
    clockwork.pause(context, schedule, project, as_json=as_json)


@app.command("resume")
def resume(context: typer.Context, schedule: ScheduleId, project: Project = None, as_json: Json = False) -> None:
    """Let it go on."""
    clockwork.resume(context, schedule, project, as_json=as_json)


@app.command("delete")
def delete(context: typer.Context, schedule: ScheduleId, project: Project = None) -> None:
    """End a schedule. Its runs stay."""
    clockwork.delete(context, schedule, project)
