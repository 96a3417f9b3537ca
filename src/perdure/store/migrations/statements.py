"""Run a migration's SQL file statement by statement (the driver prepares each, so it takes one at a time)."""

from __future__ import annotations

import re
from importlib.resources import files

from alembic import op

_END_OF_STATEMENT = re.compile(r";\s*$", re.MULTILINE)


def execute_file(name: str) -> None:
    """Execute every statement of `migrations/sql/{name}`; each ends with a semicolon at the end of a line."""
    for statement in _END_OF_STATEMENT.split(_script(name)):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)


def execute_whole(name: str) -> None:
    """Execute the one statement of `migrations/sql/{name}`: a function, whose body holds semicolons of its own."""
    op.get_bind().exec_driver_sql(_script(name))


def _script(name: str) -> str:
    return files("perdure.store").joinpath("migrations/sql", name).read_text()
