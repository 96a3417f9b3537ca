"""Following a run: from any cursor, at any pace, through lost hints, cut connections and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from structlog.testing import capture_logs

from perdure.domain.errors import Unavailable
from perdure.domain.event import Append, Segment
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.run import Executor, Finish, Status
from perdure.ledger.hub import Delivery
from perdure.services import control, lifecycle, runs
from perdure.services.core import Core
from perdure.telemetry import LogLine
from tests.store.harness import PROJECT, WAIT_SECONDS, events_of, eventually, new_run, server, whole_log

MANY_ROWS = 150
"""More than the hub reads at once."""


class Reader:
    """Follows in a task of its own, and keeps what came. It stops after `hold_at` rows until it is let go."""

    def __init__(self, core: Core, key: RunKey, after: int = 0, hold_at: int | None = None) -> None:
        self.seen: list[tuple[int, str]] = []
        self.go_on = asyncio.Event()
        self._hold_at = hold_at
        self.task = asyncio.create_task(self._follow(core.hub.follow(key, after)))

    async def _follow(self, deliveries: AsyncGenerator[Delivery, None]) -> None:
        rows = 0
        async for delivery in deliveries:
            self.seen.extend(events_of([delivery.events]))
            rows += 1
            if rows == self._hold_at:
                await self.go_on.wait()

    async def has(self, count: int) -> None:
        """Return when it has seen so many events."""
        await eventually(lambda: len(self.seen) >= count)

    async def end(self) -> list[tuple[int, str]]:
        """Wait for the end of the stream."""
        async with asyncio.timeout(WAIT_SECONDS):
            await self.task
        return self.seen


def more(key: RunKey, size: int) -> Append:
    lines = tuple(f'{{"type":"A","n":{n}}}' for n in range(size))
    return Append(key, (Segment(("A",) * size, lines, external=True),))


async def grow(core: Core, key: RunKey, *sizes: int) -> None:
    """One append for each size."""
    for size in sizes:
        await core.appender.append(more(key, size))


async def finish(core: Core, key: RunKey) -> None:
    await lifecycle.finish(core, key, Finish(Status.COMPLETED))


async def log_after(core: Core, key: RunKey, after: int) -> list[tuple[int, str]]:
    return [event for event in events_of(await whole_log(core.database, key)) if event[0] > after]


@pytest.mark.parametrize("after", range(8))
async def test_from_any_cursor_and_to_the_end(database: str, after: int) -> None:
    """Also from the middle of an append, from the end, and from ahead of the end."""
    async with server(database) as core:
        key = await new_run(core)
        await grow(core, key, 3, 2)
        early = Reader(core, key, after)
        await grow(core, key, 2)
        await finish(core, key)
        late = Reader(core, key, after)
        wanted = await log_after(core, key, after)
        assert await early.end() == wanted
        assert await late.end() == wanted


async def test_a_slow_start_beside_a_live_follower(database: str) -> None:
    """While one reads the past, the feed moves on: it must not be declared live before it is there."""
    async with server(database) as core:
        key = await new_run(core)
        await grow(core, key, 1, 1, 1)
        live = Reader(core, key)
        await live.has(3)
        slow = Reader(core, key, hold_at=1)
        await slow.has(1)
        await grow(core, key, 1, 1)
        await live.has(5)
        slow.go_on.set()
        await slow.has(5)
        await grow(core, key, 1)
        await finish(core, key)
        assert await slow.end() == await live.end() == await log_after(core, key, 0)


async def test_a_long_past_is_read_in_pieces(database: str) -> None:
    async with server(database) as core:
        key = await new_run(core)
        await grow(core, key, *[1] * MANY_ROWS)
        reader = Reader(core, key, 3)
        await grow(core, key, *[1] * MANY_ROWS)
        await finish(core, key)
        assert await reader.end() == await log_after(core, key, 3)


async def test_one_that_does_not_keep_up_reads_the_store_and_holds_up_nobody(database: str) -> None:
    async with server(database, room=100) as core:
        key = await new_run(core)
        await grow(core, key, 1)
        slow, quick = Reader(core, key, hold_at=2), Reader(core, key)
        await slow.has(1)
        await quick.has(1)
        await grow(core, key, *[1] * MANY_ROWS)
        await quick.has(1 + MANY_ROWS)
        assert len(slow.seen) == 2
        slow.go_on.set()
        await slow.has(1 + MANY_ROWS)
        await grow(core, key, 3)
        await finish(core, key)
        assert await slow.end() == await quick.end() == await log_after(core, key, 0)


async def test_followers_of_one_run_get_the_same_row(database: str) -> None:
    """So that what a dialect makes of it is made once."""
    async with server(database) as core:
        key = await new_run(core)
        one, two = core.hub.follow(key, 0), core.hub.follow(key, 0)
        first = asyncio.create_task(anext(one)), asyncio.create_task(anext(two))
        await eventually(lambda: b"perdure_followers 2.0" in core.metrics.render())
        await grow(core, key, 1)
        await asyncio.gather(*first)
        shared = asyncio.create_task(anext(one)), asyncio.create_task(anext(two))
        await grow(core, key, 1)
        assert await shared[0] is await shared[1]
        await one.aclose()
        await two.aclose()


async def test_through_another_server(database: str) -> None:
    async with server(database) as one, server(database) as two:
        key = await new_run(one)
        reader = Reader(two, key)
        await grow(one, key, 2)
        async with asyncio.timeout(1.0):
            await reader.has(2)
        await finish(one, key)
        assert await reader.end() == await log_after(one, key, 0)


async def test_without_any_hint(database: str) -> None:
    """NOTIFY is a hint: a follower that gets none finds out by itself, within seconds."""
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        key = await new_run(one)
        reader = Reader(two, key)
        await grow(one, key, 2)
        await reader.has(2)
        await finish(one, key)
        assert await reader.end() == await log_after(one, key, 0)


async def test_a_restarted_run_goes_on_for_those_who_are_still_there(database: str) -> None:
    """A slow follower that has not been told of the end yet learns of the restart instead."""
    async with server(database) as core:
        key = await new_run(core)
        await grow(core, key, 1)
        reader = Reader(core, key, hold_at=2)
        await reader.has(1)
        quick = Reader(core, key)
        await grow(core, key, 1)
        await reader.has(2)
        await finish(core, key)
        await quick.end()
        await control.restart(core, key, fresh=False)
        third = Reader(core, key)
        await third.has(4)
        run = await runs.get(core, key)
        assert await lifecycle.start_with(core, run, more(key, 1))
        await third.has(5)  # live by now: what comes to it comes to the slow one, too
        reader.go_on.set()
        await reader.has(5)
        await finish(core, key)
        assert await reader.end() == await third.end() == await log_after(core, key, 0)


async def test_rows_may_be_merged_under_a_follower(database: str) -> None:
    """A finished run's rows may be compacted while somebody stands between two of them."""
    async with server(database) as core:
        key = await new_run(core)
        await grow(core, key, 1, 1)
        reader = Reader(core, key)
        await reader.has(2)
        async with core.database.transaction() as connection:
            await connection.execute("DELETE FROM run_events")
            await connection.execute(
                "INSERT INTO run_events"
                " (project_id, run_id, first_event_id, last_event_id, first_ts, public, types, events)"
                " VALUES ($1, $2, 1, 3, 1, true, ARRAY['A', 'A', 'B'], $3)",
                *key,
                '[{"type":"A","n":0},\n{"type":"A","n":0},\n{"type":"B"}]',
            )
            await connection.execute("UPDATE run_head SET latest_event_id = 3")
        core.hub.grew([key])
        await reader.has(3)
        await finish(core, key)
        assert await reader.end() == await log_after(core, key, 0)


async def test_a_run_that_is_not_there_or_goes_away(database: str) -> None:
    async with server(database) as core:
        nobody = Reader(core, RunKey(ProjectId(PROJECT), RunId("nobody")))
        assert await nobody.end() == []
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        reader = Reader(core, key)
        await grow(core, key, 1)
        await reader.has(1)
        await core.database.execute("DELETE FROM runs")
        core.hub.grew([key])
        assert len(await reader.end()) == 1


async def test_the_feed_survives_an_error_of_ours(database: str) -> None:
    async with server(database) as core:
        key = await new_run(core)
        reader = Reader(core, key)
        await grow(core, key, 1)
        await reader.has(1)
        await core.database.execute("ALTER TABLE run_events RENAME TO hidden")
        with capture_logs() as lines:
            core.hub.grew([key])
            await eventually(lambda: any(line["event"] == LogLine.FOLLOW_FAILED for line in lines))
        await core.database.execute("ALTER TABLE hidden RENAME TO run_events")
        await grow(core, key, 1)
        await finish(core, key)
        assert await reader.end() == await log_after(core, key, 0)


async def test_connections_are_cut_under_followers(database: str) -> None:
    async with server(database) as one, server(database) as two:
        key = await new_run(one)
        readers = [Reader(core, key) for core in (one, two)]
        for _ in range(5):
            await one.database.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await append_patiently(one, key)
        await finish(one, key)
        wanted = await log_after(one, key, 0)
        assert [await reader.end() for reader in readers] == [wanted, wanted]


async def append_patiently(core: Core, key: RunKey) -> None:
    """Append through a broken connection; what was stored although the answer got lost is not sent again."""
    before = len(await whole_log(core.database, key))
    while len(await whole_log(core.database, key)) == before:
        try:
            await grow(core, key, 2)
        except Unavailable:
            continue


async def test_a_server_stops_under_its_followers_while_the_database_is_away(database: str) -> None:
    async with server(database) as core:
        key = await new_run(core)
        live = Reader(core, key)
        await grow(core, key, 1)
        await live.has(1)
        await core.database.close()
        late = Reader(core, key)
        await eventually(lambda: b"perdure_followers 2.0" in core.metrics.render())
        async with asyncio.timeout(WAIT_SECONDS):
            await core.hub.stop()
        assert len(await live.end()) == 1
        assert await late.end() == []
        assert await Reader(core, key).end() == []
