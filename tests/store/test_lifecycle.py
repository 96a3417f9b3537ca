"""The lifecycle in the database, driven by a state machine against a small model of what a run is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from perdure.domain.errors import (
    NotStarted,
    PerdureError,
    RunIsTerminal,
    RunNotActive,
    RunNotTerminal,
    StaleFence,
    TerminalRun,
    ToolResultConflict,
    ToolResultNotWaiting,
    WaitingRun,
)
from perdure.domain.event import TERMINAL_TYPES, Append, Segment
from perdure.domain.ids import RunKey
from perdure.domain.lease import Held
from perdure.domain.run import (
    USER_INPUT,
    Answer,
    Cancel,
    Executor,
    Finish,
    Interrupt,
    Park,
    PendingCall,
    Status,
    Waiting,
    WaitingReason,
)
from perdure.ledger.intake import parse_append
from perdure.services import control, events, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import run_queue, runs
from tests.store.harness import EXTERNAL_ROUTE, ROUTE, WAIT_SECONDS, ManualClock, new_run, start_server, whole_log

T = TypeVar("T")

LEASE_MS = 30_000
GRACE_MS = 10_000
LIVE = (Status.PENDING, Status.RUNNING, Status.WAITING)
CALLS = (PendingCall("a", "ask"), PendingCall("b", "allow", WaitingReason.APPROVAL), PendingCall("c", "ask"))


@dataclass(slots=True)
class Model:
    """What the run must be. Times are milliseconds; None: not queued, not leased, no cancel asked for."""

    executor: Executor
    status: Status
    attempt: int = 0
    fence: int = 0
    revision: int = 0
    log: int = 0
    external: int = 0
    signalled: int = 0
    reason: WaitingReason | None = None
    calls: list[PendingCall] = field(default_factory=list)
    due: int | None = None
    lease: int | None = None
    cancel_asked: int | None = None
    answered: dict[str, str] = field(default_factory=dict)

    def move(self, status: Status, written: int) -> None:
        """A transition that writes so many events."""
        self.status = status
        self.revision += 1
        self.log += written
        if status is not Status.WAITING:
            self.reason, self.calls = None, []
        if status is not Status.RUNNING:
            self.cancel_asked = None
        if status is not Status.RUNNING and (status is not Status.WAITING or self.executor is not Executor.EXTERNAL):
            self.lease = None

    def queue(self, at: int) -> None:
        self.due = at if self.executor is not Executor.CALLER else None

    def end(self, status: Status, *, fenced: bool) -> None:
        """The open calls are closed in the log, then comes the terminal event."""
        self.answered |= {call.id: "" for call in self.calls if call.reason is WaitingReason.TOOL}
        self.move(status, len(self.calls) + 1)
        self.due = None
        self.fence += fenced

    def holds(self, fence: int) -> bool:
        parked = self.status is Status.WAITING and self.lease is not None
        return (self.status is Status.RUNNING or parked) and self.fence == fence


class Stage:
    """An event loop and a server, shared by all examples."""

    def __init__(self, dsn: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self._server = self.do(start_server(dsn, clock=self.clock, hints=False))
        self.core = self._server.core

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, WAIT_SECONDS))

    def close(self) -> None:
        self.do(self._server.stop())
        self.loop.close()


fences = st.sampled_from([0, 0, 0, -1, 1])
"""Beside the run's own."""
waitings = st.one_of(
    st.lists(st.sampled_from(CALLS), min_size=1, max_size=3, unique=True).map(
        lambda calls: Waiting(calls[0].reason, tuple(calls))
    ),
    st.sampled_from([Waiting(WaitingReason.EVENT), Waiting(WaitingReason.INPUT)]),
)
answers = st.sampled_from(["yes", "no"])
seldom = st.integers(0, 4).map(lambda number: number == 0)
"""Whether to do what ends the run, or what should change nothing: too much of that, and a run has no life."""


class Lifecycle(RuleBasedStateMachine):
    """One run, and everything that may happen to it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.core = stage.core

    @property
    def now(self) -> int:
        return self.stage.clock.now

    def refused(self, work: Coroutine[Any, Any, object]) -> type[PerdureError] | None:
        """Which error a call raises, if any."""
        try:
            self.stage.do(work)
        except PerdureError as error:
            return type(error)
        return None

    @initialize(executor=st.sampled_from(Executor), recorded=st.booleans())
    def create(self, executor: Executor, recorded: bool) -> None:
        status = Status.RUNNING if executor is Executor.CALLER and not recorded else Status.PENDING
        self.key = self.stage.do(new_run(self.core, executor=executor, status=status))
        self.model = Model(executor, status, attempt=int(status is Status.RUNNING))
        self.model.queue(self.now)

    @precondition(lambda self: self.model.status is not Status.RUNNING)
    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        claimed = self.stage.do(lifecycle.claim(self.core, "w", [ROUTE, EXTERNAL_ROUTE], limit, LEASE_MS / 1000))
        model = self.model
        if model.status is not Status.PENDING or model.due is None or model.due > self.now:
            assert claimed == []
            return
        model.attempt += 1
        model.fence += 1
        model.move(Status.RUNNING, 1)
        model.due, model.lease = None, self.now + LEASE_MS
        (taken,) = claimed
        assert (taken.key, taken.fence, taken.attempt) == (self.key, model.fence, model.attempt)
        assert (taken.revision, taken.latest_event_id) == (model.revision, model.log)

    @rule()
    def renew(self) -> None:
        renewed = self.stage.do(run_queue.renew(self.core.database, "w", runs.at(self.now + LEASE_MS)))
        model = self.model
        if model.lease is None:
            assert renewed == []
            return
        model.lease = self.now + LEASE_MS
        (lease,) = renewed
        assert (lease.key, lease.fence, lease.cancelling) == (self.key, model.fence, model.cancel_asked is not None)

    @rule(count=st.integers(1, 3))
    def append(self, count: int) -> None:
        """An outside writer, without a lease."""
        body = msgspec.json.encode({"events": [{"type": "A"}] * count})
        error = self.refused(events.append(self.core, self.key, parse_append(body)))
        model = self.model
        if model.status.terminal:
            assert error is TerminalRun
        elif model.status is Status.WAITING:
            assert error is WaitingRun
        elif model.status is Status.PENDING and model.executor is Executor.EXTERNAL and model.attempt:
            assert error is NotStarted
        else:
            assert error is None
            model.external += count
            if model.status is Status.RUNNING or model.executor is Executor.ENGINE:
                model.log += count
                return
            model.executor = Executor.CALLER
            model.attempt += 1
            model.due = None
            model.move(Status.RUNNING, count)

    @rule(off=fences)
    def write(self, off: int) -> None:
        """A worker's append."""
        fence = self.model.fence + off
        wanted = Append(self.key, (Segment(("A",), ('{"type":"A"}',)),), fence=fence)
        error = self.refused(self.core.appender.append(wanted))
        holds, waits = self.model.holds(fence), self.model.status is Status.WAITING
        assert error is (StaleFence if not holds else WaitingRun if waits else None)
        self.model.log += holds and not waits

    @rule(off=fences, waiting=waitings, read=st.sampled_from(["nothing", "all", "some"]), anyway=seldom)
    def park(self, off: int, waiting: Waiting, read: str, anyway: bool) -> None:
        """`read`: whether the attempt has read its signals, or has none to read."""
        model, fence = self.model, self.model.fence + off
        if not model.holds(fence) and not anyway:
            return
        read_to = {"nothing": None, "all": model.log, "some": max(0, model.signalled - 1)}[read]
        moved = self.moves(lifecycle.apply(self.core, self.key, Park(waiting, fence, read_to)))
        assert moved == (model.holds(fence) and model.status is Status.RUNNING)
        if moved and model.cancel_asked is not None:
            model.calls = list(waiting.calls)
            model.end(Status.CANCELLED, fenced=True)
        elif moved and model.executor is Executor.ENGINE and read_to is not None and model.signalled > read_to:
            model.fence += 1
            model.move(Status.PENDING, 0)
            model.queue(self.now)
        elif moved:
            model.move(Status.WAITING, 1)
            model.reason, model.calls = waiting.reason, list(waiting.calls)

    @rule(off=fences, delay=st.sampled_from([0, 0, 5_000]), anyway=seldom)
    def give_back(self, off: int, delay: int, anyway: bool) -> None:
        fence = self.model.fence + off
        if not self.model.holds(fence) and not anyway:
            return
        moved = self.moves(lifecycle.give_back(self.core, Held(self.key, fence), "drained", delay_ms=delay))
        assert moved == (self.model.holds(fence) and self.model.executor is not Executor.CALLER)
        if moved:
            self.goes_back(delay)

    def goes_back(self, delay: int = 0) -> None:
        if self.model.cancel_asked is not None:
            self.model.end(Status.CANCELLED, fenced=True)
            return
        self.model.fence += 1
        if self.model.status is Status.WAITING:
            self.model.move(Status.WAITING, 0)
            self.model.lease = None
            return
        self.model.move(Status.PENDING, 1)
        self.model.queue(self.now + delay)

    @rule(
        status=st.sampled_from([Status.COMPLETED, Status.FAILED, Status.CANCELLED]),
        off=st.none() | fences,
        really=seldom,
    )
    def finish(self, status: Status, off: int | None, really: bool) -> None:
        """From outside without a fence, by a worker with one."""
        if not really:
            return
        model = self.model
        fence = None if off is None else model.fence + off
        before = model.status
        ok, run = self.stage.do(lifecycle.finish(self.core, self.key, Finish(status, fence=fence)))
        if model.status in LIVE and (fence is None or model.holds(fence)):
            model.end(status, fenced=False)
            assert ok
        else:
            assert ok == (before is status)
        assert run.status is model.status

    @rule(force=seldom, really=seldom)
    def cancel(self, force: bool, really: bool) -> None:
        model = self.model
        asks = model.status is Status.RUNNING and model.executor is not Executor.CALLER and not force
        if not asks and not really:
            return
        moved = self.moves(lifecycle.apply(self.core, self.key, Cancel("enough", force)))
        if model.status.terminal:
            assert not moved
        elif asks:
            assert moved == (model.cancel_asked is None)
            if moved:
                model.move(Status.RUNNING, 1)
                model.cancel_asked = self.now
        else:
            assert moved
            model.end(Status.CANCELLED, fenced=True)

    @rule(call=st.sampled_from(CALLS), value=answers, anyway=seldom)
    def answer(self, call: PendingCall, value: str, anyway: bool) -> None:
        model = self.model
        if call not in model.calls and not anyway:
            return
        error = self.refused(control.resume(self.core, self.key, Answer(call.id, value, value)))
        if call in model.calls:
            assert error is None
            model.answered[call.id] = value
            left = [other for other in model.calls if other != call]
            self.goes_on(left)
        elif model.answered.get(call.id) == value:
            assert error is None
        elif model.status.terminal:
            assert error is RunNotActive
        else:
            assert error is (ToolResultConflict if call.id in model.answered else ToolResultNotWaiting)

    def goes_on(self, left: list[PendingCall]) -> None:
        model = self.model
        if left:
            model.move(Status.WAITING, 1)
            model.calls, model.reason = left, left[0].reason
        elif model.executor is Executor.CALLER or model.lease is not None:
            model.move(Status.RUNNING, 1)
        else:
            model.move(Status.PENDING, 1)
            model.queue(self.now)

    @rule(name=st.sampled_from(["s", USER_INPUT]))
    def signal(self, name: str) -> None:
        model = self.model
        error = self.refused(control.signal(self.core, self.key, name, {"n": 1}))
        assert error is (RunIsTerminal if model.status.terminal else None)
        if error is not None:
            return
        if model.reason is WaitingReason.EVENT or (model.reason is WaitingReason.INPUT and name == USER_INPUT):
            self.goes_on([])
        else:
            model.revision += 1
            model.log += 1
        model.signalled = model.log

    @rule()
    def interrupt(self) -> None:
        """What waits for answers goes on without them."""
        model = self.model
        moved = self.moves(lifecycle.apply(self.core, self.key, Interrupt(None)))
        assert moved == (not model.status.terminal)
        if not moved:
            return
        if model.calls:
            model.answered |= {call.id: "" for call in model.calls}
            model.log += len(model.calls)
            self.goes_on([])
        else:
            model.revision += 1
            model.log += 1
        model.signalled = model.log

    @rule(fresh=st.none() | st.booleans(), anyway=seldom)
    def restart(self, fresh: bool | None, anyway: bool) -> None:
        model = self.model
        if not model.status.terminal and not anyway:
            return
        error = self.refused(control.restart(self.core, self.key, fresh))
        assert error is (None if model.status.terminal else RunNotTerminal)
        if error is None:
            model.move(Status.PENDING, 1)
            model.queue(self.now)

    @rule(ms=st.sampled_from([1, 1_000, GRACE_MS, LEASE_MS]))
    def let_time_pass(self, ms: int) -> None:
        self.stage.clock.now += ms

    @rule()
    def look_after_the_queue(self) -> None:
        """What maintenance does: lost leases, then cancels that nobody answered."""
        model = self.model
        lost = model.lease is not None and model.lease < self.now
        assert self.stage.do(lifecycle.recover_expired(self.core)) == lost
        if lost:
            self.goes_back()
        overdue = model.cancel_asked is not None and model.cancel_asked < self.now - GRACE_MS
        assert self.stage.do(lifecycle.force_overdue_cancels(self.core, timedelta(milliseconds=GRACE_MS))) == overdue
        if overdue:
            model.end(Status.CANCELLED, fenced=True)

    def moves(self, work: Coroutine[Any, Any, lifecycle.Applied]) -> bool:
        return self.stage.do(work).transition is not None

    @invariant()
    def database_is_the_model(self) -> None:
        if hasattr(self, "model"):
            self.stage.do(check(self.core, self.key, self.model))

    def teardown(self) -> None:
        """Leave nothing in the queue for the next example."""
        if hasattr(self, "model"):
            self.stage.do(lifecycle.finish(self.core, self.key, Finish(Status.COMPLETED)))


async def check(core: Core, key: RunKey, model: Model) -> None:
    """The run, its queue row and its log are what the model says; the wide row's status is the head's."""
    run = await run_service.get(core, key)
    assert (run.status, run.executor, run.attempt, run.fence) == (
        model.status, model.executor, model.attempt, model.fence,
    )  # fmt: skip
    assert (run.revision, run.latest_event_id, run.latest_external_sequence) == (
        model.revision, model.log, model.external,
    )  # fmt: skip
    assert run.cancelling == (model.cancel_asked is not None)
    waiting = None if model.reason is None else Waiting(model.reason, tuple(model.calls), model.lease is not None)
    assert run.waiting == waiting
    wide = await core.database.fetchrow("SELECT status, completed_at FROM runs WHERE run_id = $1", key.run_id)
    assert wide is not None
    assert (wide["status"], wide["completed_at"] is not None) == (model.status, model.status.terminal)
    queued = await core.database.fetchrow("SELECT * FROM run_queue WHERE run_id = $1", key.run_id)
    assert (queued is not None) == (model.due is not None or model.lease is not None)
    if queued is not None:
        assert queued["lease_expires_at"] == (None if model.lease is None else runs.at(model.lease))
        assert queued["fence"] == (None if model.lease is None else model.fence)
        assert queued["cancel_at"] == (None if model.cancel_asked is None else runs.at(model.cancel_asked))
        assert model.due is None or queued["available_at"] == runs.at(model.due)
    await check_log(core, key, model)


async def check_log(core: Core, key: RunKey, model: Model) -> None:
    """No gap, time goes on, and a terminal event is last exactly while the run has ended."""
    rows = await whole_log(core.database, key)
    last_id = last_ts = 0
    for row in rows:
        assert (row.first_event_id, row.first_ts > last_ts) == (last_id + 1, True)
        last_id, last_ts = row.last_event_id, row.first_ts + len(row.types) - 1
    assert last_id == model.log
    assert (bool(rows) and rows[-1].types[-1] in TERMINAL_TYPES) == model.status.terminal


def test_a_run_in_the_database_is_the_run_of_the_table(database: str) -> None:
    stage = Stage(database)

    class Here(Lifecycle):
        def __init__(self) -> None:
            super().__init__(stage)

    try:
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    finally:
        stage.close()
