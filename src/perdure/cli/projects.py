"""`perdure projects`: create, limit and list projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Direct, Json
from perdure.domain.project import MOST_RUNNING
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import administration
else:
    administration = Lazy("perdure.cli.administration")

app = typer.Typer(
    name="projects",
    no_args_is_help=True,
    help="Create, limit and list projects. Over HTTP with an administrator's key, or --direct on the database.",
)


@app.command("create")
def create(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="Its name in URLs.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="What people call it; the slug if unset.")] = None,
    project_id: Annotated[str | None, typer.Option("--id", help="A UUID of your choice.")] = None,
    direct: Direct = False,
    as_json: Json = False,
) -> None:
    """Create a project."""
    administration.create_project(context, slug, name, project_id, direct=direct, as_json=as_json)


@app.command("limit")
def limit(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Its slug or id.", show_default=False)],
    max_running: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_RUNNING, help="How many of its runs are executed at once; any number if unset."),
    ] = None,
    direct: Direct = False,
    as_json: Json = False,
) -> None:
    """Say how many runs of a project may be executed at once. Without --max-running the limit is lifted."""
    administration.limit_project(context, project, max_running, direct=direct, as_json=as_json)


@app.command("list")
def list_(context: typer.Context, direct: Direct = False, as_json: Json = False) -> None:
    """List the projects that you may act in."""
    administration.list_projects(context, direct=direct, as_json=as_json)
