"""What commands write: results to standard output, everything about them to standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perdure.cli.custom_lines import Piece
from perdure.cli.exits import ExitCode
from perdure.cli.folding import printable

_WIDTH_OF_FILES: Final = 240
"""Columns of a table that goes into a file or a pipe: wide enough that nothing is cut."""


def console(*, errors: bool = False) -> Console:
    """A terminal, or what standard output (or standard error) is instead."""
    stream = sys.stderr if errors else sys.stdout
    wide = None if stream.isatty() else _WIDTH_OF_FILES
    return Console(file=stream, width=wide, highlight=False, markup=False, emoji=False, soft_wrap=True)


def write_json(value: object) -> None:
    """A value for scripts: JSON, indented."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def write_json_line(value: object) -> None:
    """One of many values for scripts: JSON on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def write_line(text: str, style: str = "") -> None:
    """A line of the result."""
    console().print(Text(printable(text), style))


def note(text: str, style: str = "dim") -> None:
    """A line about the result, which does not belong to it."""
    console(errors=True).print(Text(printable(text), style))


def fail(text: str, advice: str | None = None, *, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Say what went wrong and what to do, and end the command."""
    note(f"Error: {text}", "red")
    if advice is not None:
        note(advice, "")
    raise typer.Exit(code)


def write_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table; `empty` is said instead where there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold", no_wrap=name in head[:1])
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if table.row_count:
        console().print(table, soft_wrap=False)
    else:
        note(empty)


class Screen:
    """Where a run is shown as it goes on."""

    def __init__(self) -> None:
        self._console = console()

    def write(self, pieces: Iterable[Piece]) -> None:
        """Write pieces one after the other, at once."""
        for piece in pieces:
            self._console.out(printable(piece.text), style=piece.style or None, highlight=False, end="")
        self._console.file.flush()
