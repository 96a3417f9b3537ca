"""Appends: what stops one, what must not stop another's, and what outlives a broken connection or a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import UUID

import asyncpg
import msgspec
import pytest

from perdure.domain.errors import (
    AppendRefused,
    CursorMismatch,
    NotStarted,
    RunNotFound,
    StaleFence,
    TerminalRun,
    Unavailable,
    WaitingRun,
)
from perdure.domain.event import MODEL_CALL_CONTEXT, Append, Appended, Segment
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.lease import Held
from perdure.domain.run import Executor, Finish, Park, PendingCall, Status, Waiting, WaitingReason
from perdure.ledger.intake import parse_append
from perdure.services import control, events, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from tests.store.harness import EXTERNAL_ROUTE, PROJECT, ROUTE, WAIT_SECONDS, events_of, new_run, server, whole_log

T = TypeVar("T")

CALL = Waiting(WaitingReason.TOOL, (PendingCall("c", "ask"),))


def numbered(*numbers: int | str) -> tuple[Segment, ...]:
    lines = tuple(msgspec.json.encode({"type": "A", "n": number}).decode() for number in numbers)
    return (Segment(("A",) * len(lines), lines, external=True),)


def private(*numbers: int) -> Segment:
    lines = tuple(msgspec.json.encode({"type": MODEL_CALL_CONTEXT, "n": number}).decode() for number in numbers)
    return Segment((MODEL_CALL_CONTEXT,) * len(lines), lines, public=False)


async def send(
    core: Core,
    key: RunKey,
    *numbers: int | str,
    event_id: int | None = None,
    external: int | None = None,
    fence: int | None = None,
) -> Appended:
    wanted = Append(key, numbered(*numbers), event_id, external, fence)
    async with asyncio.timeout(WAIT_SECONDS):
        return await core.appender.append(wanted)


async def from_outside(core: Core, key: RunKey, *numbers: int, external: int | None = None) -> Appended:
    """As a request does: the first append starts a run that its caller executes."""
    body = {"events": [{"type": "A", "n": number} for number in numbers]}
    request = parse_append(msgspec.json.encode({**body, "expected_previous_external_event_sequence": external}))
    return await events.append(core, key, request)


async def numbers_of(core: Core, key: RunKey) -> list[object]:
    """The numbers in the log; None for what has none."""
    lines = [line for _, line in events_of(await whole_log(core.database, key))]
    return [msgspec.json.decode(line).get("n") for line in lines]


# ── whose append stops whose ──


@pytest.mark.parametrize("poison", ['{"type":"A","x":"\x00"}', '{"type":"A","x":"\ud800"}'], ids=["NUL", "surrogate"])
async def test_an_append_that_cannot_be_stored_fails_alone(database: str, poison: str) -> None:
    """One is refused by the database, the other by the driver; both travelled in a group with others."""
    async with server(database, hints=False, lanes=1) as core:
        keys = [await new_run(core) for _ in range(5)]
        bad = Append(keys[2], (Segment(("A",), (poison,)),))
        done = await asyncio.gather(
            *(core.appender.append(bad) if key is keys[2] else send(core, key, 1) for key in keys),
            return_exceptions=True,
        )
        assert [isinstance(answer, Appended) for answer in done] == [True, True, False, True, True]
        assert not isinstance(done[2], Unavailable), "trying it again would be no use"
        assert (await send(core, keys[2], 2)).latest_event_id == 1


@pytest.mark.parametrize("table", ["run_head", "runs"])
async def test_a_locked_run_delays_no_other(database: str, table: str) -> None:
    async with server(database, hints=False) as core:
        locked, *others = [await new_run(core) for _ in range(4)]
        async with core.database.transaction() as connection:
            await connection.execute(f"SELECT FROM {table} WHERE run_id = $1 FOR UPDATE", locked.run_id)
            waiting = asyncio.create_task(send(core, locked, 1))
            async with asyncio.timeout(2):
                for round_ in range(5):
                    await asyncio.gather(*(send(core, key, round_) for key in others))
        assert (await waiting).latest_event_id == 1


async def test_appends_of_one_process_keep_their_order(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        await asyncio.gather(*(send(core, key, number) for number in range(50)))
        assert await numbers_of(core, key) == list(range(50))


# ── who may append ──


async def test_who_may_not_append_is_told_why(database: str) -> None:
    async with server(database, hints=False) as core:
        with pytest.raises(RunNotFound):
            await send(core, RunKey(PROJECT, RunId("nobody")), 1)
        key = await new_run(core)
        with pytest.raises(RunNotFound):
            await send(core, RunKey(ProjectId(UUID(int=2)), key.run_id), 1)
        await lifecycle.apply(core, key, Park(CALL, None))
        with pytest.raises(WaitingRun):
            await send(core, key, 1)
        ended = await new_run(core)
        await send(core, ended, 1, 2, external=0)
        await lifecycle.finish(core, ended, Finish(Status.COMPLETED))
        for cursors in ({}, {"external": 2}, {"external": 5}, {"event_id": 2}, {"event_id": 0}):
            with pytest.raises(TerminalRun):
                await send(core, ended, 3, **cursors)
        assert await numbers_of(core, ended) == [1, 2, None]
        replayed = await send(core, ended, 1, 2, external=0)
        assert (replayed.appended_count, replayed.latest_event_id, replayed.latest_external_sequence) == (0, 3, 2)
        with pytest.raises(TerminalRun):
            await send(core, ended, 1, 2, 3, external=0)


async def test_a_worker_writes_under_its_fence_only(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        with pytest.raises(StaleFence):
            await send(core, key, 1, fence=0)
        (first,) = await lifecycle.claim(core, "w", [ROUTE], 1, 30)
        await send(core, key, 1, fence=first.fence)
        await lifecycle.give_back(core, Held(key, first.fence), "lost")
        for fence in (first.fence, first.fence + 1):
            with pytest.raises(StaleFence):
                await send(core, key, 2, fence=fence)
        (second,) = await lifecycle.claim(core, "w", [ROUTE], 1, 30)
        with pytest.raises(StaleFence):
            await send(core, key, 2, fence=first.fence)
        await send(core, key, 3, fence=second.fence)
        await lifecycle.apply(core, key, Park(CALL, second.fence))
        with pytest.raises(StaleFence):
            await send(core, key, 4, fence=second.fence)
        assert await numbers_of(core, key) == [None, 1, None, None, 3, None]


# ── a run that its caller executes ──


async def test_the_first_append_starts_the_callers_run_once(database: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        key = await new_run(one, status=Status.PENDING)
        await asyncio.gather(*(from_outside(core, key, n) for core in (one, two) for n in range(5)))
        run = await run_service.get(one, key)
        assert (run.status, run.attempt, run.latest_external_sequence) == (Status.RUNNING, 1, 10)
        assert run.started_at is not None


async def test_a_first_append_whose_answer_got_lost(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core, status=Status.PENDING)
        with pytest.raises(CursorMismatch):
            await from_outside(core, key, 1, external=3)
        assert (await run_service.get(core, key)).status is Status.PENDING
        await from_outside(core, key, 1, 2, external=0)
        assert (await from_outside(core, key, 1, 2, 3, external=0)).appended_count == 1
        await lifecycle.finish(core, key, Finish(Status.FAILED))
        await control.restart(core, key, fresh=False)
        assert (await from_outside(core, key, 2, 3, external=1)).appended_count == 0
        assert (await run_service.get(core, key)).status is Status.PENDING, "a replay starts nothing"
        started = await from_outside(core, key, 2, 3, 4, external=1)
        assert (started.appended_count, started.latest_external_sequence) == (1, 4)
        assert (await run_service.get(core, key)).status is Status.RUNNING
        assert await numbers_of(core, key) == [1, 2, 3, None, None, 4]


async def test_an_external_workers_run(database: str) -> None:
    """It may be executed without a claim from the beginning, but not taken from the queue after a lost lease."""
    async with server(database, hints=False) as core:
        unclaimed, claimed = [await new_run(core, executor=Executor.EXTERNAL, status=Status.PENDING) for _ in range(2)]
        await from_outside(core, unclaimed, 1)
        assert (await run_service.get(core, unclaimed)).executor is Executor.CALLER
        (lease,) = await lifecycle.claim(core, "w", [EXTERNAL_ROUTE], 5, 30)
        assert lease.key == claimed
        await from_outside(core, claimed, 1)
        await lifecycle.give_back(core, Held(claimed, lease.fence), "lost")
        with pytest.raises(NotStarted):
            await from_outside(core, claimed, 2)
        assert [run.key for run in await lifecycle.claim(core, "w", [EXTERNAL_ROUTE], 5, 30)] == [claimed]


# ── replays that a model would rarely draw ──


async def test_a_prefix_is_found_beneath_what_the_server_wrote_since(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        await send(core, key, 1, 2, external=0)
        await control.signal(core, key, "s", None)
        assert (await send(core, key, 1, 2, 3, external=0)).appended_count == 1
        with pytest.raises(CursorMismatch):
            await send(core, key, 1, 2, 3, event_id=0)
        assert await numbers_of(core, key) == [1, 2, None, 3]


async def test_both_cursors_are_checked_however_far_back(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        wanted = Append(key, (private(1),), 0, 0)
        await core.appender.append(wanted)
        await send(core, key, *range(5))
        assert (await core.appender.append(wanted)).appended_count == 0
        with pytest.raises(CursorMismatch):
            await core.appender.append(Append(key, (private(1),), 0, 1))


async def test_a_prefix_may_be_what_the_server_wrote_itself(database: str) -> None:
    """It stands where the writer's own would, says the same, and counts in no external sequence."""
    async with server(database, hints=False) as core:
        key = await new_run(core)
        await core.appender.append(Append(key, tuple(replace(one, external=False) for one in numbered(1))))
        done = await send(core, key, 1, 2, event_id=0, external=0)
        assert (done.appended_count, done.latest_event_id, done.latest_external_sequence) == (1, 2, 1)
        assert await numbers_of(core, key) == [1, 2]


async def test_equal_json_is_a_replay_however_it_is_written(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        ways = ['{"type":"A","a":1,"b":"é"}', '{ "b":"\\u00e9", "a":1, "type":"A" }', '{"type":"A","a":1.0,"b":"é"}']
        done = []
        for way in ways:
            try:
                done.append((await events.append(core, key, parse_append(body_of(way)))).appended_count)
            except AppendRefused:
                done.append(-1)
        assert done == [1, 0, -1]


def body_of(event: str) -> bytes:
    return b'{"events":[' + event.encode() + b'],"expected_previous_event_id":0}'


# ── broken connections, cancelled writers, a server that stops ──


async def write_through(core: Core, key: RunKey, count: int, by_event_id: bool) -> None:
    """A client: one event after the other, each sent again at the same cursor until there is an answer."""
    for number in range(count):
        while True:
            try:
                cursor = {"event_id": number} if by_event_id else {"external": number}
                done = await send(core, key, number, **cursor)
            except Unavailable:
                await asyncio.sleep(0.001)
                continue
            assert done.latest_external_sequence == number + 1
            break


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """What a client is told that asks again while the database is away: an idle connection may have been cut too."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                return await call()
            except Unavailable:
                await asyncio.sleep(0.001)


async def test_connections_are_cut_under_writers(database: str) -> None:
    """Whatever was committed stays, once; whatever was not is sent again; afterwards appends just work."""
    async with server(database) as one, server(database) as two:
        keys = [await new_run(one) for _ in range(6)]
        admin = await asyncpg.connect(database)
        cuts = 0
        async with asyncio.TaskGroup() as group:
            writers = [
                group.create_task(write_through((one, two)[place % 2], key, 40, place % 3 == 0))
                for place, key in enumerate(keys)
            ]
            while not all(writer.done() for writer in writers):
                cuts += await admin.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await asyncio.wait(writers, timeout=0.1)
        await admin.close()
        assert cuts > 0
        for key in keys:
            assert await answered(partial(numbers_of, two, key)) == list(range(40))
            assert (await answered(partial(send, one, key, 40, external=40))).latest_event_id == 41


async def test_cancelled_appends_are_stored_whole_or_not_at_all(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        for attempt in range(20):
            names = [f"{attempt}.{place}" for place in range(10)]
            writer = asyncio.create_task(send(core, key, *names))
            for _ in range(attempt % 7):
                await asyncio.sleep(0)
            if attempt % 3 == 0:
                await asyncio.sleep(0.001 * (attempt % 5))
            writer.cancel()
            await asyncio.wait([writer])
            await send(core, key, "between")
        stored = await numbers_of(core, key)
        assert stored.count("between") == 20
        for attempt in range(20):
            own = [name for name in stored if str(name).startswith(f"{attempt}.")]
            assert own in ([], [f"{attempt}.{place}" for place in range(10)])


async def test_a_stopped_appender_refuses_and_keeps_nobody_waiting(database: str) -> None:
    async with server(database, hints=False, lanes=1) as core:
        keys = [await new_run(core) for _ in range(3)]
        locked = await new_run(core)
        async with core.database.transaction() as connection:
            await connection.execute("SELECT FROM run_head WHERE run_id = $1 FOR UPDATE", locked.run_id)
            retrying = asyncio.create_task(send(core, locked, 1))
            await send(core, keys[0], 1)
            under_way = [asyncio.create_task(send(core, key, number)) for key in keys for number in range(3)]
            await asyncio.sleep(0)
            await core.appender.stop()
            await core.appender.stop()
            async with asyncio.timeout(WAIT_SECONDS):
                done = await asyncio.gather(retrying, *under_way, return_exceptions=True)
        assert all(isinstance(answer, Appended | Unavailable) for answer in done)
        assert isinstance(done[0], Unavailable)
        with pytest.raises(Unavailable):
            await send(core, keys[0], 9)
        await core.appender.start()
        assert (await send(core, locked, 9)).latest_event_id == 1
