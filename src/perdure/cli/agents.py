"""`perdure agents`: agents that are reached by a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Json, Project
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import remote_agents
else:
    remote_agents = Lazy("perdure.cli.remote_agents")

app = typer.Typer(
    name="agents", no_args_is_help=True, help="Add, list and remove AG-UI endpoints that the server's workers serve."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What runs call it.", show_default=False)]


@app.command("add")
def add(
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Option("--url", help="The AG-UI endpoint.", show_default=False)],
    header: Annotated[
        list[str] | None,
        typer.Option(help='A header for each request, "Name: value"; may be repeated. It is never shown again.'),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Add an agent, or replace the one of that name."""
    wanted = remote_agents.Wanted(name, url, tuple(header or ()), description)
    remote_agents.add(context, wanted, project, as_json=as_json)


@app.command("list")
def list_(context: typer.Context, project: Project = None, as_json: Json = False) -> None:
    """List a project's agents that are reached by a URL."""
    remote_agents.list_agents(context, project, as_json=as_json)


@app.command("remove")
def remove(context: typer.Context, name: Name, project: Project = None) -> None:
    """Forget an agent. Its runs stay."""
    remote_agents.remove(context, name, project)
