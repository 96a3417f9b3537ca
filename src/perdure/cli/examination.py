"""What `perdure doctor` does: all checks, in an order in which each may rely on those before it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from time import time
from typing import Final

import asyncpg
import httpx
import typer

from perdure.cli import checks
from perdure.cli.access import Access, target_of
from perdure.cli.checks import Check, bad, good, skipped
from perdure.cli.configuration import database_of, local_settings
from perdure.cli.exits import ExitCode
from perdure.cli.output import write_json, write_line
from perdure.domain.errors import PerdureError
from perdure.settings import Settings
from perdure.store import server
from perdure.store.database import Database
from perdure.store.schema import newest_revision

_ON_DATABASE: Final = ("version", "clock")
_ON_SCHEMA: Final = ("keys", "workers", "queue")
_MARKS: Final = {"ok": ("✔", "green"), "problem": ("✖", "red"), "skipped": ("·", "dim")}
_SERVER_SECONDS: Final = 5.0


def examine(access: Access, *, as_json: bool) -> None:
    """Make all checks; exit code 1 when one finds a problem."""
    settings = local_settings(access)
    found = [
        checks.data_folder(settings.data_dir),
        checks.disk(settings.data_dir),
        *_database(settings),
        _server(target_of(access).url),
    ]
    well = all(check.state == "ok" for check in found)
    if as_json:
        write_json({"ok": well, "checks": found})
    else:
        _tell(found)
    raise typer.Exit(ExitCode.DONE if well else ExitCode.FAILED)


def _tell(found: list[Check]) -> None:
    for check in found:
        mark, style = _MARKS[check.state]
        write_line(f"{mark} {check.name:<12} {check.detail}", style if check.state != "ok" else "")
        if check.advice is not None:
            write_line(f"  {'':<12} → {check.advice}")


def _database(settings: Settings) -> list[Check]:
    """The checks that need the database; an embedded one runs meanwhile, and is not made for this."""
    rest = ("migrations", *_ON_DATABASE, *_ON_SCHEMA)
    if settings.database_url is None and not (settings.data_dir / "postgres").exists():
        words = f"There is no embedded PostgreSQL in {settings.data_dir} yet, and PERDURE_DATABASE_URL is not set."
        missing = bad("database", words, "`perdure dev` or `perdure db upgrade` makes one.")
        return [missing, *skipped(rest, "There is no database.")]
    try:
        with database_of(settings) as dsn:
            return asyncio.run(_on_database(dsn))
    except (PerdureError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        advice = "Look at its log in the data folder." if settings.database_url is None else _ADVICE
        return [bad("database", _words(error), advice), *skipped(rest, "The database does not answer.")]


_ADVICE: Final = "Is it running, and is PERDURE_DATABASE_URL right (host, port, user, password, database)?"


async def _on_database(dsn: str) -> list[Check]:
    database = await Database.open(dsn, size=1, name="perdure-doctor")
    try:
        facts = await server.facts(database)
        now = datetime.fromtimestamp(time(), UTC)
        found = [
            good("database", "It answers."),
            checks.version(facts),
            checks.clock(facts, now),
            await checks.migrations(database, newest_revision()),
        ]
        if found[-1].state != "ok":
            return [*found, *skipped(_ON_SCHEMA, "The schema is not there.")]
        on_schema = (await checks.keys(database, now), await checks.workers(database, now))
        return [*found, *on_schema, await checks.queue(database, now)]
    finally:
        await database.close()


def _server(url: str) -> Check:
    """Whether the server that commands would ask is ready."""
    advice = "Start it (perdure dev, or perdure serve), or say where it is: PERDURE_API_URL"
    try:
        with httpx.Client(timeout=_SERVER_SECONDS, trust_env=False) as http:
            answer = http.get(f"{url.rstrip('/')}/readyz")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return bad("server", f"{url} does not answer: {error}.", advice)
    if answer.status_code != 200:
        return bad("server", f"{url} is not ready (HTTP {answer.status_code}).", f"See what is amiss: {url}/readyz")
    return good("server", f"{url} is ready.")


def _words(error: Exception) -> str:
    return error.detail if isinstance(error, PerdureError) else str(error)
