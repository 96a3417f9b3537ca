"""The checks of `perdure doctor`: each looks at one thing, and says what to do about it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from perdure.cli.spans import seconds
from perdure.store import catalog, run_queue, schema, server
from perdure.store.catalog import WorkerRow
from perdure.store.database import Database

OLDEST_POSTGRESQL: Final = 15

_LEAST_FREE_BYTES: Final = 500 * 1024 * 1024
_MOST_CLOCK_SECONDS: Final = 2.0
_WORKER_SILENCE: Final = timedelta(seconds=60)
_MOST_WAITING: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found. `advice` says what to do about a problem."""

    name: str
    state: Literal["ok", "problem", "skipped"]
    detail: str
    advice: str | None = None


def good(name: str, detail: str) -> Check:
    """A check that found everything well."""
    return Check(name, "ok", detail)


def bad(name: str, detail: str, advice: str) -> Check:
    """A check that found a problem."""
    return Check(name, "problem", detail, advice)


def skipped(names: Iterable[str], detail: str) -> list[Check]:
    """Checks that could not be made."""
    return [Check(name, "skipped", detail) for name in names]


def data_folder(folder: Path) -> Check:
    """Whether the data folder can be written, or made."""
    name = "data folder"
    there = _existing(folder)
    other = "Choose another PERDURE_DATA_DIR, or run as the user that it belongs to."
    if there != folder and not os.access(there, os.W_OK | os.X_OK):
        return bad(name, f"{folder} is missing, and cannot be made in {there}.", other)
    if there != folder:
        return good(name, f"{folder} will be made.")
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            return good(name, f"{folder} is writable.")
    except OSError as error:
        return bad(name, f"{folder} is not writable: {error.strerror}.", other)


def disk(folder: Path) -> Check:
    """Whether there is room on the data folder's disk."""
    free = shutil.disk_usage(_existing(folder)).free
    words = f"{free / 1024**3:.1f} GB are free for {folder}."
    if free < _LEAST_FREE_BYTES:
        return bad("disk", words, "Make room: PostgreSQL stops when its disk is full.")
    return good("disk", words)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def version(facts: server.ServerFacts) -> Check:
    """Whether PostgreSQL is new enough."""
    major, minor = divmod(facts.version, 10_000)
    if major < OLDEST_POSTGRESQL:
        return bad("version", f"PostgreSQL {major}.{minor}.", f"Perdure needs PostgreSQL {OLDEST_POSTGRESQL} or newer.")
    return good("version", f"PostgreSQL {major}.{minor}.")


def clock(facts: server.ServerFacts, now: datetime) -> Check:
    """Whether this machine and the database agree on the time: leases and expiry depend on it."""
    apart = abs((facts.now - now) / timedelta(seconds=1))
    words = f"This machine and the database are {apart:.1f} s apart."
    if apart > _MOST_CLOCK_SECONDS:
        return bad("clock", words, "Synchronise the clocks (NTP): leases are measured with them.")
    return good("clock", words)


async def migrations(database: Database, newest: str) -> Check:
    """Whether the schema is the one that this code needs."""
    revision = await schema.current_revision(database)
    if revision is None:
        return bad("migrations", "The database has no tables of Perdure's.", "Make them: perdure db upgrade")
    if revision < newest:
        return bad("migrations", f"The schema is at {revision}, the newest is {newest}.", "Run: perdure db upgrade")
    return good("migrations", f"The schema is at {revision}.")


async def keys(database: Database, now: datetime) -> Check:
    """Whether some API key opens anything."""
    count = await server.count_usable_keys(database, now)
    if count == 0:
        return bad("keys", "No API key opens anything.", "Make one: perdure keys create NAME --admin --direct")
    return good("keys", f"{count} usable API key{'s' if count > 1 else ''}.")


async def workers(database: Database, now: datetime) -> Check:
    """Whether some worker is alive to execute runs."""
    heard = await catalog.workers(database)
    alive = [worker for worker in heard if now - worker.heartbeat_at < _WORKER_SILENCE]
    if not alive:
        return bad(
            "workers", "No worker is alive: runs stay pending.", "Start one: perdure worker app.py (or perdure dev)"
        )
    return good("workers", f"{len(alive)} alive, for {', '.join(_served(alive))}.")


def _served(alive: list[WorkerRow]) -> list[str]:
    return sorted({route for worker in alive for route in worker.routes})


async def queue(database: Database, now: datetime) -> Check:
    """Whether runs get a worker in time."""
    depth = await run_queue.depth(database, now)
    words = f"{depth.pending} pending, {depth.leased} with a worker."
    if depth.oldest is not None and now - depth.oldest > _MOST_WAITING:
        waiting = seconds((now - depth.oldest) / timedelta(seconds=1))
        advice = "Start workers that serve these runs' agents: perdure runs list --status pending"
        return bad("queue", f"{words} The oldest has waited for {waiting}.", advice)
    return good("queue", words)
