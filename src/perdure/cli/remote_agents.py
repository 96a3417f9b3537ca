"""What `perdure agents` does."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from perdure.cli.output import note, write_json, write_line, write_table
from perdure.cli.remote import ask


@dataclass(frozen=True, slots=True)
class Wanted:
    """The agent to add, as it was said."""

    name: str
    url: str
    headers: tuple[str, ...]
    description: str | None


def add(context: typer.Context, wanted: Wanted, project: str | None, *, as_json: bool) -> None:
    """Add an agent."""
    headers = dict(_header(text) for text in wanted.headers)
    made = ask(
        context,
        lambda client: client.remote_agents.put(
            wanted.name, wanted.url, headers=headers, description=wanted.description, project=project
        ),
    )
    if as_json:
        write_json(made)
        return
    write_line(made.name)
    note(f"Workers serve it from {made.url}.")


def list_agents(context: typer.Context, project: str | None, *, as_json: bool) -> None:
    """List agents."""
    found = ask(context, lambda client: client.remote_agents.list(project=project))
    if as_json:
        write_json({"agents": found})
        return
    write_table(
        ("NAME", "URL", "HEADERS", "DESCRIPTION"),
        ((one.name, one.url, ", ".join(one.header_names) or "-", one.description or "-") for one in found),
        empty="The project has no agents that are reached by a URL.",
    )


def remove(context: typer.Context, name: str, project: str | None) -> None:
    """Forget an agent."""
    ask(context, lambda client: client.remote_agents.delete(name, project=project))
    note("The agent is gone; its runs stay.")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter("A header is written as `Name: value`.", param_hint="--header")
    return name.strip(), value.strip()
