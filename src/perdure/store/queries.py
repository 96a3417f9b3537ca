"""Named queries: SQL stays in `.sql` files, one file for each noun.

A query is `-- name: …`, then a one-line description comment, then one statement. A description that begins with
`System:` marks a query that no caller's request reaches; every other names project_id (a test holds both).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

_HEADER = re.compile(r"^-- name: (\w+)\n-- (.+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement."""

    name: str
    description: str
    sql: str

    @property
    def system(self) -> bool:
        """Whether it runs for the server itself, across projects."""
        return self.description.startswith("System:")


def load_all() -> Mapping[str, Mapping[str, Query]]:
    """Every query of the package by noun (file name) and name."""
    folder = files("perdure.store").joinpath("sql")
    nouns = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return MappingProxyType(
        {noun: parse(files("perdure.store").joinpath("sql", f"{noun}.sql").read_text()) for noun in nouns}
    )


def load(noun: str) -> Mapping[str, str]:
    """The statements of `sql/{noun}.sql` by name."""
    queries = parse(files("perdure.store").joinpath("sql", f"{noun}.sql").read_text())
    return MappingProxyType({name: query.sql for name, query in queries.items()})


def parse(text: str) -> Mapping[str, Query]:
    """Split one file into its queries. Raises ValueError where a name stands twice or a header is incomplete."""
    pieces = _HEADER.split(text)
    if text.count("-- name:") != len(pieces) // 3:
        raise ValueError("each '-- name: …' line needs a '-- description' line below it")
    found: dict[str, Query] = {}
    for name, description, sql in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        if name in found:
            raise ValueError(f"query {name} stands twice")
        found[name] = Query(name, description, sql.strip())
    return MappingProxyType(found)
