"""What `perdure catalog` does."""

from __future__ import annotations

import typer

from perdure.cli.folding import folded
from perdure.cli.output import write_json, write_table
from perdure.cli.remote import ask
from perdure.client import CatalogEntry

_WIDTH = 60


def show(context: typer.Context, kind: str | None, *, as_json: bool) -> None:
    """List what can be run, of one kind or of all."""
    found = [entry for entry in ask(context, lambda client: client.catalog.list()) if kind in (None, entry.kind)]
    if as_json:
        write_json({"data": found})
        return
    write_table(
        ("TARGET", "VERSION", "WORKERS", "TAKES", "DESCRIPTION"),
        (
            (
                entry.target,
                entry.version or "-",
                str(len(entry.workers)),
                _taken(entry),
                folded((entry.description or "-").partition("\n")[0], _WIDTH),
            )
            for entry in found
        ),
        empty="Nothing can be run: start a worker, `perdure worker app.py`.",
    )


def _taken(entry: CatalogEntry) -> str:
    if entry.input_schema is None:
        return "messages" if entry.kind == "agent" else "any object"
    properties = entry.input_schema.get("properties", {})
    required = entry.input_schema.get("required", ())
    return ", ".join(f"{name}*" if name in required else name for name in properties) or "{}"
