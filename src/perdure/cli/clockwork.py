"""What `perdure schedules` does."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from perdure.cli.output import note, write_json, write_line, write_table
from perdure.cli.remote import ask
from perdure.client import Schedule


@dataclass(frozen=True, slots=True)
class Wanted:
    """The schedule to make, as it was said."""

    name: str
    cron: str
    agent: str
    time_zone: str | None
    prompt: str | None


def list_schedules(context: typer.Context, project: str | None, *, as_json: bool) -> None:
    """List schedules."""
    found = ask(context, lambda client: client.schedules.list(project=project))
    if as_json:
        write_json({"schedules": found})
        return
    write_table(
        ("ID", "NAME", "STATUS", "CRON", "ZONE", "RUNS", "NEXT"),
        ((one.id, one.name, one.status, one.cron, one.time_zone, str(one.run_count), _next(one)) for one in found),
        empty="The project has no schedules.",
    )


def create_schedule(context: typer.Context, wanted: Wanted, project: str | None, *, as_json: bool) -> None:
    """Make a schedule."""
    said = None if wanted.prompt is None else {"messages": [{"role": "user", "content": wanted.prompt}]}
    made = ask(
        context,
        lambda client: client.schedules.create(
            wanted.name, wanted.cron, agent=wanted.agent, time_zone=wanted.time_zone, input=said, project=project
        ),
    )
    _tell(made, as_json=as_json)


def trigger(context: typer.Context, schedule: str, project: str | None, *, as_json: bool) -> None:
    """Start a run now."""
    started = ask(context, lambda client: client.schedules.trigger(schedule, project=project))
    if as_json:
        write_json(started)
    else:
        write_line(started.run_id)


def pause(context: typer.Context, schedule: str, project: str | None, *, as_json: bool) -> None:
    """Pause a schedule."""
    _tell(ask(context, lambda client: client.schedules.pause(schedule, project=project)), as_json=as_json)


def resume(context: typer.Context, schedule: str, project: str | None, *, as_json: bool) -> None:
    """Let a schedule go on."""
    _tell(ask(context, lambda client: client.schedules.resume(schedule, project=project)), as_json=as_json)


def delete(context: typer.Context, schedule: str, project: str | None) -> None:
    """End a schedule."""
    ask(context, lambda client: client.schedules.delete(schedule, project=project))
    note("The schedule is gone; its runs stay.")


def _tell(schedule: Schedule, *, as_json: bool) -> None:
    if as_json:
        write_json(schedule)
        return
    write_line(schedule.id)
    note(f"{schedule.name}: {schedule.status}, next {_next(schedule)}.")


def _next(schedule: Schedule) -> str:
    if schedule.status != "active" or schedule.next_fire_at is None:
        return "-"
    return f"{schedule.next_fire_at:%Y-%m-%d %H:%M}Z"
