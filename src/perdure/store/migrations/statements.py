"""Run a migration's SQL file statement by statement (the driver prepares each, so it takes one at a time)."""

from __future__ import annotations

import re
from importlib.resources import files

from alembic import op

_END_OF_STATEMENT = re.compile(r";\s*$", re.MULTILINE)


def execute_file(name: str) -> None:
    """Execute every statement of `migrations/sql/{name}`; each ends with a semicolon at the end of a line."""
    script = files("perdure.store").joinpath("migrations/sql", name).read_text()
    for statement in _END_OF_STATEMENT.split(script):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
