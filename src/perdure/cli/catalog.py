"""`perdure catalog`: what can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Json
from perdure.domain.run import Kind
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import catalog_reading
else:
    catalog_reading = Lazy("perdure.cli.catalog_reading")


def catalog(
    context: typer.Context,
    kind: Annotated[Kind | None, typer.Option(help="What is of this kind.")] = None,
    as_json: Json = False,
) -> None:
    """List what can be run: agents, workflows, tasks and evals, what they take, and the workers that serve them.

    A member of the input that must be there ends with `*`. With --json the whole schemas are written.
    """
    catalog_reading.show(context, kind, as_json=as_json)
