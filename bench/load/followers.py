"""Many followers of one run: how long until an event has reached the last of them."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter

import msgspec

from bench.load.append import Log, event
from bench.load.scenario import Begin, Scenario
from bench.load.wire import Client, LoadError, Target, connect, get, post

CONNECT_AT_ONCE = 50
SETTLE_SECONDS = 0.2
LIMIT_SECONDS = 30.0
_TAIL = 32


class FollowersParams(msgspec.Struct, frozen=True):
    """`log`: the run; `rounds` of `fan_outs` events each are appended one by one while `followers` follow it."""

    target: Target
    log: Log
    followers: int
    rounds: int
    fan_outs: int
    warm_up: int


class FollowersResult(msgspec.Struct, frozen=True):
    """Milliseconds from sending an append until its answer, until the first follower and until the last had its event;
    for each event, round by round."""

    answered: list[list[float]]
    first: list[list[float]]
    last: list[list[float]]


class _Race:
    """One event on its way to everybody."""

    def __init__(self) -> None:
        self.marker = b"\x00"
        self.missing = 0
        self.first = 0.0
        self.over = asyncio.Event()
        self.failed: LoadError | None = None

    def start(self, event_id: int, runners: int) -> None:
        """Get ready for the event with that id."""
        self.marker = b"\nid: %d\n" % event_id
        self.missing = runners
        self.first = 0.0
        self.over.clear()

    def arrived(self) -> None:
        """One more has it."""
        if not self.first:
            self.first = perf_counter()
        self.missing -= 1
        if not self.missing:
            self.over.set()

    def fail(self, error: LoadError) -> None:
        """Somebody dropped out."""
        self.failed = error
        self.over.set()


class _Follower(asyncio.Protocol):
    """Looks for the race's event in what comes, and for nothing else."""

    def __init__(self, race: _Race) -> None:
        self._race = race
        self._tail = b""
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Look."""
        data = self._tail + data
        if self._race.marker in data:
            self._tail = b""
            self._race.arrived()
            return
        self._tail = data[-_TAIL:]
        if not self.open.done():
            if data.startswith(b"HTTP/1.1 200 "):
                self.open.set_result(None)
            else:
                self.open.set_exception(LoadError(f"The server answered a stream with {data[:300]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """A follower must never be lost."""
        error = LoadError(f"The server closed a follower's stream: {exc}")
        self._race.fail(error)
        if not self.open.done():
            self.open.set_exception(error)


class _Writer:
    """Appends one event and waits until everybody has it."""

    def __init__(self, params: FollowersParams, client: Client, race: _Race) -> None:
        self._params = params
        self._client = client
        self._race = race
        self._path = f"/conversations/{params.log.conversation_id}/runs/{params.log.run_id}/events"
        self._next = params.log.sequence + 1

    async def once(self) -> tuple[float, float, float]:
        """Milliseconds until answered, first, last."""
        body = json.dumps({"events": [event(self._next)]}, separators=(",", ":")).encode()
        self._race.start(self._next, self._params.followers)
        self._next += 1
        began = perf_counter()
        answer = await self._client.ask(post(self._params.target, self._path, body))
        answered = perf_counter()
        answer.read(200)
        await asyncio.wait_for(self._race.over.wait(), LIMIT_SECONDS)
        last = perf_counter()
        if self._race.failed is not None:
            raise self._race.failed
        return (answered - began) * 1000, (self._race.first - began) * 1000, (last - began) * 1000


async def _measure(params: FollowersParams, begin: Begin) -> FollowersResult:
    race = _Race()
    await _follow(params, race)
    writer = _Writer(params, await connect(params.target, Client), race)
    for _ in range(params.warm_up):
        await writer.once()
    begin()
    rounds: list[list[tuple[float, float, float]]] = []
    for _ in range(params.rounds):
        times = []
        for _ in range(params.fan_outs):
            times.append(await writer.once())
            await asyncio.sleep(0.05)
        rounds.append(times)
    return FollowersResult(
        answered=[[answered for answered, _, _ in times] for times in rounds],
        first=[[first for _, first, _ in times] for times in rounds],
        last=[[last for _, _, last in times] for times in rounds],
    )


async def _follow(params: FollowersParams, race: _Race) -> None:
    """Connect everybody, some at once, and wait until each has the beginning of its stream."""
    request = get(params.target, f"/runs/{params.log.run_id}/stream?after={params.log.sequence}")
    gate = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def one() -> None:
        async with gate:
            loop = asyncio.get_running_loop()
            transport, follower = await loop.create_connection(
                lambda: _Follower(race), params.target.host, params.target.port
            )
            transport.write(request)
            await asyncio.wait_for(follower.open, LIMIT_SECONDS)

    async with asyncio.TaskGroup() as group:
        for _ in range(params.followers):
            group.create_task(one())
    await asyncio.sleep(SETTLE_SECONDS)


FOLLOWERS = Scenario("followers", FollowersParams, FollowersResult, _measure)
