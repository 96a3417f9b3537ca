"""Runs that take longer than their timeout_seconds: failed once, whoever executes them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from perdure.domain.errors import TerminalRun
from perdure.domain.event import RUN_ERROR
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import (
    Executor,
    Finish,
    Kind,
    Park,
    PendingCall,
    Restart,
    Status,
    Waiting,
    WaitingReason,
    Yield,
)
from perdure.domain.stored_run import NewRun, Run, RunSpec
from perdure.ledger.intake import parse_append
from perdure.services import deadlines, events, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import runs
from tests.store.harness import PROJECT, ManualClock, events_of, new_run, server, whole_log

ROUTE = "task:t"
SECONDS = 60
LATER_MS = SECONDS * 1000
GRACE_MS = round(deadlines.TASK_GRACE_SECONDS * 1000)


async def timed(core: Core, run_id: str, executor: Executor, seconds: int | None = SECONDS) -> RunKey:
    """A run with a timeout: a caller's is running, others are pending."""
    key = RunKey(PROJECT, RunId(run_id))
    new = NewRun(
        key=key,
        kind=Kind.TASK,
        owner_kind="project",
        owner_id=PROJECT,
        status=Status.RUNNING if executor is Executor.CALLER else Status.PENDING,
        executor=executor,
        spec=RunSpec(timeout_seconds=seconds),
        request_hash=b"",
        created_at=runs.at(core.clock()),
        target="task:t",
        route=None if executor is Executor.CALLER else ROUTE,
    )
    assert await runs.create(core.database, new)
    return key


async def claimed(core: Core, key: RunKey) -> None:
    taken = await lifecycle.claim(core, "w", [ROUTE], 10, 3600)
    assert key in [one.key for one in taken]


async def read(core: Core, key: RunKey) -> Run:
    return await run_service.get(core, key)


async def test_whoever_executes_it(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock) as core:
        await new_run(core)  # the project; it has no timeout
        caller = await timed(core, "caller", Executor.CALLER)
        engine = await timed(core, "engine", Executor.ENGINE)
        external = await timed(core, "external", Executor.EXTERNAL)
        await claimed(core, engine)
        queued = await timed(core, "queued", Executor.ENGINE)
        longer = await timed(core, "longer", Executor.CALLER, SECONDS + 1)
        endless = await timed(core, "endless", Executor.CALLER, None)
        waiting = await timed(core, "waiting", Executor.CALLER)
        waits = Waiting(WaitingReason.TOOL, (PendingCall("c", "ask"),))
        await lifecycle.apply(core, waiting, Park(waits, None))
        clock.now += LATER_MS - 1
        assert await deadlines.fail_overdue(core) == 0
        clock.now += 1
        assert sum(await asyncio.gather(*(deadlines.fail_overdue(core) for _ in range(3)))) == 3
        assert not (await read(core, engine)).status.terminal, "its worker ends the process first"
        clock.now += GRACE_MS
        assert sum(await asyncio.gather(*(deadlines.fail_overdue(core) for _ in range(3)))) == 2
        for key in (caller, engine, external, waiting, longer):
            run = await read(core, key)
            assert run.status is Status.FAILED
            assert run.error is not None
            assert run.error.code == "TIMEOUT"
            last = msgspec.json.decode(events_of(await whole_log(core.database, key))[-1][1])
            assert (last["type"], last["code"]) == (RUN_ERROR, "TIMEOUT")
        for key in (queued, endless):
            assert not (await read(core, key)).status.terminal
        with pytest.raises(TerminalRun):
            await events.append(core, caller, parse_append(b'{"events":[{"type":"X"}]}'))
        clock.now += 10 * LATER_MS
        assert await deadlines.fail_overdue(core) == 0, "what nobody began is not late"
        assert not (await read(core, queued)).status.terminal


async def test_a_run_that_goes_back_to_the_queue_keeps_its_time(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock) as core:
        await new_run(core)
        key = await timed(core, "r", Executor.ENGINE)
        await claimed(core, key)
        await lifecycle.apply(core, key, Yield("drained", None))
        clock.now += LATER_MS
        assert await deadlines.fail_overdue(core) == 1
        assert (await read(core, key)).status is Status.FAILED
        assert await lifecycle.claim(core, "w", [ROUTE], 10, 3600) == []


async def test_a_restart_begins_anew(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock) as core:
        await new_run(core)
        key = await timed(core, "r", Executor.ENGINE)
        await claimed(core, key)
        await lifecycle.apply(core, key, Finish(Status.FAILED))
        clock.now += 5 * LATER_MS
        await lifecycle.apply(core, key, Restart(fresh=False))
        assert await deadlines.fail_overdue(core) == 0
        await claimed(core, key)
        assert (await read(core, key)).started_at == runs.at(clock.now)
        clock.now += LATER_MS + GRACE_MS - 1
        assert await deadlines.fail_overdue(core) == 0
        clock.now += 1
        assert await deadlines.fail_overdue(core) == 1
