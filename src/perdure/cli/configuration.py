"""The settings, for commands that need them, and the database that they name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from perdure.cli.access import Access
from perdure.cli.output import fail
from perdure.settings import Settings
from perdure.store.embedded import start_embedded
from perdure.telemetry.logs import configure_logging


def read_settings(access: Access, **changes: Any) -> Settings:
    """The settings, with what the command line says instead (None: nothing). Ends the command where one is wrong."""
    said = {name: value for name, value in changes.items() if value is not None}
    try:
        return Settings(data_dir=access.data_dir, **said)
    except ValidationError as error:
        wrong = "; ".join(f"{_named(one['loc'])}: {one['msg']}" for one in error.errors(include_input=False))
        fail(f"These settings do not fit: {wrong}.", "docs/settings.md lists all of them.")


def local_settings(access: Access) -> Settings:
    """The settings for a command that works on the database itself: its log says what is wrong, and nothing else."""
    configure_logging(level="warning", pretty=True, stream=sys.stderr)
    return read_settings(access)


@contextmanager
def database_of(settings: Settings) -> Iterator[str]:
    """The DSN of the database; the embedded one runs meanwhile. Raises EmbeddedPostgresError."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with start_embedded(settings.data_dir) as embedded:
        yield embedded.dsn


def _named(place: tuple[int | str, ...]) -> str:
    return ".".join(f"PERDURE_{str(step).upper()}" if index == 0 else str(step) for index, step in enumerate(place))
