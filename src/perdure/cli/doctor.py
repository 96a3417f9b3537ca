"""`perdure doctor`: is everything there that runs need?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from perdure.cli.access import access_of
from perdure.cli.options import Json
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import examination
else:
    examination = Lazy("perdure.cli.examination")


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check database, schema, keys, workers, disk and clock, and say what to do. The exit code is 1 if one fails."""
    examination.examine(access_of(context), as_json=as_json)
