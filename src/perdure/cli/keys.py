"""`perdure keys`: make, list and revoke API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Direct, Json, Project
from perdure.domain.api_key import KeyKind
from perdure.domain.principal import Scope
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import administration
else:
    administration = Lazy("perdure.cli.administration")

app = typer.Typer(
    name="keys",
    no_args_is_help=True,
    help="Make, list and revoke API keys. Over HTTP with an administrator's key, or --direct on the database.",
)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.", show_default=False)],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do; may be repeated. Unset: everything but administration."),
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="The key of an administrator: everything, everywhere.")
    ] = False,
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="The key ends after so many days.")] = None,
    imported: Annotated[
        str | None,
        typer.Option(
            "--import", help="Import this key (`vf_<prefix>_<secret>`) instead of making one; `-` reads it from input."
        ),
    ] = None,
    kind: Annotated[
        KeyKind | None,
        typer.Option(help="How the key begins: `pd_` (unset), or `sk-` for clients of the Agent Runs API."),
    ] = None,
    project: Project = None,
    direct: Direct = False,
    as_json: Json = False,
) -> None:
    """Make or import a key. It is written to standard output, this once."""
    scopes = ("admin",) if admin else tuple(scope) if scope else None
    wanted = administration.WantedKey(name, scopes, expires_in_days, imported, kind)
    administration.create_key(context, wanted, project, direct=direct, as_json=as_json)


@app.command("list")
def list_(context: typer.Context, project: Project = None, direct: Direct = False, as_json: Json = False) -> None:
    """List a project's keys, without their secrets."""
    administration.list_keys(context, project, direct=direct, as_json=as_json)


@app.command("rotate-signing")
def rotate_signing(context: typer.Context, as_json: Json = False) -> None:
    """Replace the key that the server's own tokens are signed with. Works on the database itself.

    Running servers notice it by themselves, and tokens that were made before stay good until they end.
    """
    administration.rotate_signing_key(context, as_json=as_json)


@app.command("revoke")
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The key's id or prefix.", show_default=False)],
    project: Project = None,
    direct: Direct = False,
    as_json: Json = False,
) -> None:
    """End a key: it opens nothing from now on."""
    administration.revoke_key(context, key, project, direct=direct, as_json=as_json)
