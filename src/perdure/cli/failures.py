"""What stops a command that works on this machine: the database, the user's code, the network."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from perdure.cli.output import fail, note
from perdure.domain.errors import PerdureError, Unavailable
from perdure.execution.app_not_loaded import AppNotLoaded


@contextmanager
def told() -> Iterator[None]:
    """End the command with a sentence instead of a traceback, for everything that may go wrong without our doing."""
    try:
        yield
    except AppNotLoaded as error:
        if error.__cause__ is not None:
            note("".join(traceback.format_exception(error.__cause__)).rstrip(), "")
        fail(error.detail)
    except Unavailable as error:
        fail(error.detail, "`perdure doctor` looks at what is missing.")
    except PerdureError as error:
        fail(f"{error.detail} [{error.code}]")
    except asyncpg.UndefinedTableError:
        fail("The database has no tables of Perdure's.", "Make them: perdure db upgrade")
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        fail(f"The database refuses: {error}", "Look at PERDURE_DATABASE_URL; `perdure doctor` says more.")
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        fail(f"{error.strerror or error}{where}")
