"""What `perdure db` does."""

from __future__ import annotations

import asyncio

import typer

from perdure.cli.access import Access
from perdure.cli.configuration import database_of, local_settings
from perdure.cli.exits import ExitCode
from perdure.cli.failures import told
from perdure.cli.output import note, write_json, write_line
from perdure.store import migrate
from perdure.store.schema import newest_revision


def upgrade(access: Access, *, as_json: bool) -> None:
    """Apply what is missing."""
    settings = local_settings(access)

    async def work(dsn: str) -> tuple[str | None, str | None]:
        before = await migrate.current_revision(dsn)
        await migrate.upgrade(dsn)
        return before, await migrate.current_revision(dsn)

    with told(), database_of(settings) as dsn:
        before, after = asyncio.run(work(dsn))
    if as_json:
        write_json({"before": before, "revision": after})
    elif before == after:
        note(f"Nothing to do: the schema is at {after}.")
    else:
        note(f"The schema is at {after}; it was {'empty' if before is None else f'at {before}'}.")


def current(access: Access, *, as_json: bool) -> None:
    """Show the revision; exit code 1 when the database is behind."""
    settings = local_settings(access)
    newest = newest_revision()
    with told(), database_of(settings) as dsn:
        revision = asyncio.run(migrate.current_revision(dsn))
    behind = revision is None or revision < newest
    if as_json:
        write_json({"revision": revision, "newest": newest, "behind": behind})
    else:
        write_line(revision or "none")
        if behind:
            note(f"The newest is {newest}: perdure db upgrade")
    raise typer.Exit(ExitCode.FAILED if behind else ExitCode.DONE)
