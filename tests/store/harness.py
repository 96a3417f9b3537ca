"""Server processes in miniature, for the tests of store, ledger and lifecycle: real parts, a real database, no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg

from perdure.blobs.blobs import Blobs
from perdure.domain.event import StoredEvents
from perdure.domain.ids import Clock, ProjectId, RunId, RunKey
from perdure.domain.run import Executor, Kind, Status
from perdure.domain.stored_run import About, NewRun, RunSpec
from perdure.ledger.appender import Appender
from perdure.ledger.hub import Hub
from perdure.ledger.notify import CHANNELS, LOG_CHANNEL, Notifier, Router, run_item, run_of
from perdure.services.core import Core
from perdure.store import run_events, runs
from perdure.store.database import Database
from perdure.store.notifications import Listener
from perdure.telemetry import Metrics

PROJECT = ProjectId(UUID(int=1))
START_MS = 1_700_000_000_000
ROUTE = "agent:echo"
"""Where the runs that an engine executes are queued."""
EXTERNAL_ROUTE = "external:echo"
"""Where the runs of external workers are queued."""
WAIT_SECONDS = 20.0
"""How long a test waits for what must happen, before it fails."""


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: int = START_MS) -> None:
        self.now = now

    def __call__(self) -> int:
        """Integer milliseconds since 1970."""
        return self.now


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of one server process that store, ledger and services need."""

    core: Core
    listener: Listener | None

    async def stop(self) -> None:
        """End it, as a clean shutdown does."""
        if self.listener is not None:
            await self.listener.stop()
        await self.core.appender.stop()
        await self.core.hub.stop()
        await self.core.notifier.stop()
        await self.core.database.close()


async def start_server(
    dsn: str,
    *,
    clock: Clock,
    room: int = 4 * 1024 * 1024,
    hints: bool = True,
    lanes: int = 2,
    blobs: Blobs | None = None,
) -> Server:
    """Start the parts. `room`: a follower's buffer in bytes. Without `hints` it neither sends nor hears any NOTIFY.

    `blobs`: where files go; the memory unless it is given.
    """
    origin = uuid4().hex
    database = await Database.open(dsn, size=lanes + 3)
    metrics = Metrics()
    hub = Hub(database, metrics, room)
    router = Router(origin)
    notifier = Notifier(database, origin)

    def published(keys: Iterable[RunKey]) -> None:
        grown = list(keys)
        hub.grew(grown)
        notifier.say(LOG_CHANNEL, map(run_item, grown))

    router.on(LOG_CHANNEL, lambda items: hub.grew(key for key in map(run_of, items) if key is not None))
    router.after_gap(hub.all_grew)
    appender = Appender(database, clock, published, metrics, lanes)
    core = Core(dsn, database, appender, hub, notifier, router, metrics, clock, blobs=blobs or Blobs())
    listener = Listener(dsn, CHANNELS, router.heard, router.lost) if hints else None
    await appender.start()
    await hub.start()
    if listener is not None:
        await notifier.start()
        await listener.start()
    return Server(core, listener)


@asynccontextmanager
async def server(
    dsn: str,
    *,
    clock: Clock | None = None,
    room: int = 4 * 1024 * 1024,
    hints: bool = True,
    lanes: int = 2,
    blobs: Blobs | None = None,
) -> AsyncIterator[Core]:
    """A running server's core; stopped at the end of the block."""
    started = await start_server(dsn, clock=clock or ManualClock(), room=room, hints=hints, lanes=lanes, blobs=blobs)
    try:
        yield started.core
    finally:
        await started.stop()


_run_numbers = count(1)


async def new_run(
    core: Core,
    *,
    executor: Executor = Executor.CALLER,
    status: Status = Status.RUNNING,
    run_id: str | None = None,
    created_by: str | None = None,
    about: About | None = None,
) -> RunKey:
    """A run of the project PROJECT, queued where it is for an engine or an external worker."""
    async with core.database.connection() as connection:
        await connection.execute(
            "INSERT INTO projects (id, slug, name, created_at) VALUES ($1, 'p', 'P', now()) ON CONFLICT DO NOTHING",
            PROJECT,
        )
    key = RunKey(PROJECT, RunId(run_id or f"run-{next(_run_numbers)}"))
    created = await runs.create(
        core.database,
        NewRun(
            key=key,
            kind=Kind.AGENT,
            owner_kind="project",
            owner_id=PROJECT,
            status=status,
            executor=executor,
            spec=RunSpec(implementation_kind="echo" if executor is Executor.EXTERNAL else None),
            request_hash=b"",
            created_at=runs.at(core.clock()),
            agent_id="echo",
            route={Executor.ENGINE: ROUTE, Executor.EXTERNAL: EXTERNAL_ROUTE}.get(executor),
            created_by=created_by,
            about=about or About(),
        ),
    )
    assert created
    return key


async def whole_log(database: Database, key: RunKey) -> list[StoredEvents]:
    """Every row of a run's log, private ones too."""
    return await run_events.read(database, key, 0, public_only=False, limit=100_000)


def events_of(rows: Iterable[StoredEvents]) -> list[tuple[int, str]]:
    """Each event's id and JSON."""
    return [(row.first_event_id + place, line) for row in rows for place, line in enumerate(row.lines())]


async def eventually(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Return when the condition holds; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.002)


@contextmanager
def copied_database(admin: str, template: str, *statements: str) -> Iterator[str]:
    """A database for longer than one test, in which the statements were run."""
    name = f"test_{uuid4().hex}"
    dsn = urlsplit(admin)._replace(path=f"/{name}").geturl()
    asyncio.run(_execute(admin, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        asyncio.run(_execute(dsn, *statements))
        yield dsn
    finally:
        asyncio.run(_execute(admin, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
