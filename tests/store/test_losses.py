"""A run that is lost again and again ends: one rule for the engine's workers and for external ones."""

from __future__ import annotations

import msgspec
import pytest

from perdure.domain.ids import RunKey
from perdure.domain.lease import Held
from perdure.domain.run import (
    Answer,
    Cancel,
    Executor,
    Finish,
    Park,
    PendingCall,
    Restart,
    Status,
    Waiting,
    WaitingReason,
)
from perdure.domain.stored_run import Run
from perdure.ledger.intake import parse_append
from perdure.services import events, lifecycle, losses
from perdure.services import runs as run_service
from perdure.services.core import Core
from tests.store.harness import EXTERNAL_ROUTE, PROJECT, ROUTE, ManualClock, events_of, new_run, server, whole_log

LEASE_SECONDS = 30.0
WAITING = Waiting(WaitingReason.TOOL, (PendingCall("call", "look"),))


async def claimed(core: Core, executor: Executor) -> Held:
    if executor is Executor.EXTERNAL:
        taken = await lifecycle.claim_external(core, PROJECT, "worker", [EXTERNAL_ROUTE], LEASE_SECONDS)
        assert taken is not None
    else:
        (taken,) = await lifecycle.claim(core, "worker", [ROUTE], 1, LEASE_SECONDS)
    return Held(taken.key, taken.fence)


async def lose(core: Core, clock: ManualClock, executor: Executor) -> Run:
    """One attempt whose lease expires."""
    held = await claimed(core, executor)
    clock.now += int(LEASE_SECONDS * 1000) + 1
    assert await lifecycle.recover_expired(core) == 1
    return await run_service.get(core, held.key)


async def last_event(core: Core, key: RunKey) -> dict[str, object]:
    line: dict[str, object] = msgspec.json.decode(events_of(await whole_log(core.database, key))[-1][1])
    return line


@pytest.mark.parametrize("executor", [Executor.ENGINE, Executor.EXTERNAL])
async def test_a_run_that_is_lost_too_often_fails(database: str, executor: Executor) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        key = await new_run(core, executor=executor, status=Status.PENDING)
        for _ in range(losses.MAX_LOSSES):
            assert (await lose(core, clock, executor)).status is Status.PENDING
        ended = await lose(core, clock, executor)
        assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, losses.EXHAUSTED)
        assert await last_event(core, key) == {
            "type": "RUN_ERROR",
            "message": f"The run was lost {losses.MAX_LOSSES + 1} times in a row: no worker brought it to an end.",
            "code": losses.EXHAUSTED,
        }
        clock.now += 1_000_000
        assert await lifecycle.recover_expired(core) == 0
        await lifecycle.apply(core, key, Restart(fresh=False))
        assert (await lose(core, clock, executor)).status is Status.PENDING, "a restart begins anew"


async def test_only_losses_in_a_row_count(database: str) -> None:
    """Neither a worker that stops, nor what outsiders write, nor losses before the run waited for somebody."""
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        for _ in range(losses.MAX_LOSSES):
            await lose(core, clock, Executor.ENGINE)
            await lifecycle.give_back(core, await claimed(core, Executor.ENGINE), "worker_stopped")
        held = await claimed(core, Executor.ENGINE)
        forged = {"type": "CUSTOM", "name": "perdure.run.waiting", "value": {}}
        await events.append(core, key, parse_append(msgspec.json.encode({"events": [forged]})), held.fence)
        await lifecycle.apply(core, key, Park(WAITING, held.fence))
        await lifecycle.apply(core, key, Answer("call", "x", "x"))
        for _ in range(losses.MAX_LOSSES):
            assert (await lose(core, clock, Executor.ENGINE)).status is Status.PENDING
        assert (await lose(core, clock, Executor.ENGINE)).status is Status.FAILED


async def test_what_outsiders_write_counts_for_nothing(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        key = await new_run(core, executor=Executor.EXTERNAL, status=Status.PENDING)
        lost = {"type": "CUSTOM", "name": "perdure.run.yielded", "value": {"reason": "lease_expired"}}
        anew = {"type": "CUSTOM", "name": "perdure.run.restarted", "value": {}}
        for _ in range(losses.MAX_LOSSES):
            held = await claimed(core, Executor.EXTERNAL)
            body = msgspec.json.encode({"events": [lost, anew, lost]})
            await events.append(core, key, parse_append(body), held.fence)
            clock.now += int(LEASE_SECONDS * 1000) + 1
            assert await lifecycle.recover_expired(core) == 1
        assert (await lose(core, clock, Executor.EXTERNAL)).status is Status.FAILED


async def test_errors_of_the_server_count_and_a_cancel_stays_a_cancel(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        for _ in range(losses.MAX_LOSSES):
            await lifecycle.give_back(core, await claimed(core, Executor.ENGINE), losses.WORKER_ERROR)
        held = await claimed(core, Executor.ENGINE)
        await lifecycle.apply(core, key, Cancel("Enough."))
        await lifecycle.give_back(core, held, losses.WORKER_ERROR)
        assert (await run_service.get(core, key)).status is Status.CANCELLED
        done = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        held = await claimed(core, Executor.ENGINE)
        await lifecycle.apply(core, done, Finish(Status.COMPLETED, fence=held.fence))
        await lifecycle.give_back(core, held, losses.WORKER_ERROR)
        assert (await run_service.get(core, done)).status is Status.COMPLETED


async def test_a_runs_own_limit_takes_the_place_of_the_servers(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        for limit in (0, 2):
            key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
            async with core.database.connection() as connection:
                spec = msgspec.json.encode({"backoff_limit": limit}).decode()
                await connection.execute("UPDATE runs SET spec = $1 WHERE run_id = $2", spec, key.run_id)
            for _ in range(limit):
                assert (await lose(core, clock, Executor.ENGINE)).status is Status.PENDING
            assert (await lose(core, clock, Executor.ENGINE)).status is Status.FAILED
