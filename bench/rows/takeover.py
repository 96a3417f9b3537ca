"""Row `takeover`: a worker is killed, and another one goes on with its run."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import asyncpg
import uvloop

from bench.load.runs import create, create_body
from bench.load.wire import Client, EventStream, connect, get, post
from bench.options import RowName, Sizes
from bench.processes import BenchError, Process
from bench.report import Row, figure
from bench.server import Place, Server, serving, working
from bench.spread import Spread

TARGET_SECONDS = 1.0
TICKS = 100_000
EVENTS_BEFORE = 10
LIMIT_SECONDS = 60.0


def measure(place: Place, sizes: Sizes) -> list[Row]:
    """The row: a server and two workers in three processes; the worker that holds the run is killed."""
    settings = {"PERDURE_LEASE_SECONDS": str(sizes.lease_seconds)}
    with serving(place, "serve", settings=settings) as server:
        beyond, silent = _rounds(server, sizes.takeovers, settings)
    delay = Spread.of(beyond)
    return [
        Row(
            RowName.TAKEOVER,
            "a killed worker's run goes on, after its lease",
            delay,
            "s",
            target=f"within {TARGET_SECONDS:.0f} s",
            met=delay.high <= TARGET_SECONDS,
            reference=f"{figure(Spread.of(silent).median)} s after the kill",
            details=f"kill -9, a lease of {sizes.lease_seconds} s, the other worker waiting; {sizes.takeovers} times",
        )
    ]


def _rounds(server: Server, count: int, settings: dict[str, str]) -> tuple[list[float], list[float]]:
    """Seconds from the end of the lease, and from the kill, until the first event of the next attempt."""
    beyond: list[float] = []
    silent: list[float] = []
    for _ in range(count):
        with working(server.place, settings) as victim, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_registered(server.place.postgres.dsn, victim))
            watched = runner.run(_Watched.start(server))
            with working(server.place, settings) as heir:
                runner.run(_registered(server.place.postgres.dsn, heir))
                victim.kill()
                killed = time.time()
                expires = runner.run(_lease_end(server.place.postgres.dsn, watched.run_id))
                went_on = runner.run(watched.next_attempt())
                server.ask("POST", f"/runs/{watched.run_id}/cancel")
        beyond.append(went_on - expires.timestamp())
        silent.append(went_on - killed)
    return beyond, silent


class _Watched:
    """A run that streams, and its follower."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._enough = asyncio.Event()
        self._resumed: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._stream = EventStream(self._saw)
        self._ended: asyncio.Future[None] | None = None

    @classmethod
    async def start(cls, server: Server) -> _Watched:
        """Start a run and wait until it streams."""
        client = await connect(server.target, Client)
        body = create_body(server.project_id, "ticks", {"tokens": TICKS})
        watched = cls(await create(client, post(server.target, "/runs", body)))
        await connect(server.target, lambda: watched._stream)
        watched._ended = watched._stream.start(get(server.target, f"/runs/{watched.run_id}/stream"))
        await asyncio.wait_for(watched._enough.wait(), LIMIT_SECONDS)
        return watched

    async def next_attempt(self) -> float:
        """When the first event of the next attempt came (`time.time()`)."""
        return await asyncio.wait_for(self._resumed, LIMIT_SECONDS)

    def _saw(self, last_id: int, count: int) -> None:
        if last_id >= EVENTS_BEFORE:
            self._enough.set()
        if b"perdure.run.attempt" in self._stream.last_frames and not self._resumed.done():
            self._resumed.set_result(time.time())


async def _registered(dsn: str, worker: Process) -> None:
    """Wait until a worker is there: its id holds its process id."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await connection.fetchval("SELECT count(*) FROM workers WHERE id LIKE $1", f"%:{worker.pid}:%"):
                worker.check()
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def _lease_end(dsn: str, run_id: str) -> datetime:
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchval("SELECT lease_expires_at FROM run_queue WHERE run_id = $1", run_id)
    finally:
        await connection.close()
    if not isinstance(found, datetime):
        raise BenchError(f"Nobody holds run {run_id}.")
    return found
