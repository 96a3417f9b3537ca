"""The transition table: what every command does in every state, and what holds whatever happens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.event import RUN_ERROR, RUN_FINISHED, TERMINAL_TYPES, TOOL_CALL_RESULT, custom
from perdure.domain.run import (
    USER_INPUT,
    Answer,
    Cancel,
    Claim,
    Command,
    Enqueue,
    Executor,
    Finish,
    Interrupt,
    Note,
    Park,
    PendingCall,
    Restart,
    RunError,
    RunNames,
    RunState,
    Signal,
    Start,
    Status,
    Waiting,
    WaitingReason,
    Wake,
    Yield,
)
from perdure.domain.transitions import TABLE, QueueOp, Transition, decide

NAMES = RunNames("run-1", "thread-1")
FENCE = 3
CALLS = (PendingCall("c1", "ask"), PendingCall("c2", "allow", WaitingReason.APPROVAL))
ONE_CALL = Waiting(WaitingReason.TOOL, CALLS[:1])

COMMANDS: dict[str, Command] = {
    "claim": Claim(),
    "start": Start(),
    "enqueue": Enqueue(),
    "park": Park(ONE_CALL, FENCE),
    "answer": Answer("c1", 1, "1"),
    "signal": Signal("go", {"n": 1}),
    "interrupt": Interrupt({"ack": "1"}),
    "note": Note(custom("told", 1)),
    "park-until": Park(Waiting(WaitingReason.EVENT, until=9), FENCE),
    "wake": Wake(),
    "complete": Finish(Status.COMPLETED),
    "fail": Finish(Status.FAILED, RunError("broken", "BROKEN")),
    "abort": Finish(Status.CANCELLED),
    "worker-fails": Finish(Status.FAILED, fence=FENCE),
    "cancel": Cancel("enough"),
    "force": Cancel("too late", force=True),
    "yield": Yield("drained", FENCE, 50),
    "restart": Restart(fresh=False),
}

# What each command does to a run of attempt 2 and fence 3, which waits, if it does, for one tool call; what is not here
# changes nothing. `=` stays as it is; the numbers are the attempt and the fence afterwards.
TABLE_OF_TRUTH = """
claim         pending                  engine external        running   =      3 4 keep    CUSTOM
start         pending                  caller                 running   caller 3 3 remove  -
enqueue       pending                  caller                 pending   engine 2 3 enqueue -
park          running                  caller engine          waiting   =      2 3 remove  CUSTOM
park          running                  external               waiting   =      2 3 keep    CUSTOM
park-until    running                  engine                 waiting   =      2 3 sleep   CUSTOM
park-until    running                  caller                 waiting   =      2 3 remove  CUSTOM
park-until    running                  external               waiting   =      2 3 keep    CUSTOM
wake          waiting                  engine                 pending   =      2 3 enqueue -
answer        waiting                  engine external        pending   =      2 3 enqueue TOOL_CALL_RESULT
answer        waiting                  caller                 running   =      2 3 keep    TOOL_CALL_RESULT
signal        pending running waiting  caller engine external =         =      2 3 keep    CUSTOM
interrupt     pending running          caller engine external =         =      2 3 keep    CUSTOM
interrupt     waiting                  engine external        pending   =      2 3 enqueue CUSTOM,TOOL_CALL_RESULT
interrupt     waiting                  caller                 running   =      2 3 keep    CUSTOM,TOOL_CALL_RESULT
note          pending running waiting  caller engine external =         =      2 3 keep    CUSTOM
complete      pending running          caller engine external completed =      2 3 remove  RUN_FINISHED
complete      waiting                  caller engine external completed =      2 3 remove  TOOL_CALL_RESULT,RUN_FINISHED
fail          pending running          caller engine external failed    =      2 3 remove  RUN_ERROR
fail          waiting                  caller engine external failed    =      2 3 remove  TOOL_CALL_RESULT,RUN_ERROR
abort         pending running          caller engine external cancelled =      2 3 remove  RUN_ERROR
abort         waiting                  caller engine external cancelled =      2 3 remove  TOOL_CALL_RESULT,RUN_ERROR
worker-fails  running                  caller engine external failed    =      2 3 remove  RUN_ERROR
cancel        pending                  caller engine external cancelled =      2 4 remove  RUN_ERROR
cancel        waiting                  caller engine external cancelled =      2 4 remove  TOOL_CALL_RESULT,RUN_ERROR
cancel        running                  caller                 cancelled =      2 4 remove  RUN_ERROR
cancel        running                  engine external        running   =      2 3 cancel  CUSTOM
force         pending running          caller engine external cancelled =      2 4 remove  RUN_ERROR
force         waiting                  caller engine external cancelled =      2 4 remove  TOOL_CALL_RESULT,RUN_ERROR
yield         running                  engine external        pending   =      2 4 enqueue CUSTOM
restart       completed failed cancelled engine external        pending   =      2 3 enqueue CUSTOM
restart       completed failed cancelled caller                 pending   =      2 3 keep    CUSTOM
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    status: Status
    executor: Executor
    attempt: int
    fence: int
    queue: QueueOp
    events: tuple[str, ...]


def truth() -> dict[tuple[str, Status, Executor], Outcome]:
    found: dict[tuple[str, Status, Executor], Outcome] = {}
    for line in TABLE_OF_TRUTH.strip().splitlines():
        command, *words = line.split()
        *before, to, runs, attempt, fence, queue, events = words
        statuses = [Status(word) for word in before if word in set(Status)]
        executors = [Executor(word) for word in before if word in set(Executor)]
        for status, executor in product(statuses, executors):
            assert (command, status, executor) not in found
            found[command, status, executor] = Outcome(
                status if to == "=" else Status(to),
                executor if runs == "=" else Executor(runs),
                int(attempt),
                int(fence),
                QueueOp(queue),
                () if events == "-" else tuple(events.split(",")),
            )
    return found


TRUTH = truth()


def state_in(status: Status, executor: Executor, *, attempt: int = 2, cancelling: bool = False) -> RunState:
    waiting = ONE_CALL if status is Status.WAITING else None
    return RunState(status, executor, attempt, FENCE, waiting, cancelling)


def types(transition: Transition) -> tuple[str, ...]:
    return tuple(str(event["type"]) for event in transition.events)


def test_every_command_is_in_both_tables() -> None:
    assert {type(command) for command in COMMANDS.values()} == set(TABLE)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("executor", Executor)
@pytest.mark.parametrize("status", Status)
def test_what_a_command_does(status: Status, executor: Executor, name: str) -> None:
    transition = decide(state_in(status, executor), COMMANDS[name], NAMES)
    expected = TRUTH.get((name, status, executor))
    if transition is None or expected is None:
        assert transition is None
        assert expected is None
        return
    after = transition.state
    outcome = Outcome(after.status, after.executor, after.attempt, after.fence, transition.queue, types(transition))
    assert outcome == expected
    assert transition.started == (name in ("claim", "start"))
    assert (transition.error is not None) == (after.status in (Status.FAILED, Status.CANCELLED))


def test_a_claim_opens_the_log_or_names_the_attempt() -> None:
    first = decide(state_in(Status.PENDING, Executor.ENGINE, attempt=0), Claim(), NAMES)
    later = decide(state_in(Status.PENDING, Executor.ENGINE), Claim(), NAMES)
    assert first is not None
    assert later is not None
    assert first.events == ({"type": "RUN_STARTED", "threadId": "thread-1", "runId": "run-1"},)
    assert later.events == ({"type": "CUSTOM", "name": "perdure.run.attempt", "value": {"attempt": 3}},)


def test_an_external_workers_run_may_be_started_without_a_claim_once() -> None:
    """Later an append without a claim comes from the worker that lost its lease, and must not take the run back."""
    never_claimed = decide(state_in(Status.PENDING, Executor.EXTERNAL, attempt=0), Start(), NAMES)
    assert never_claimed is not None
    assert (never_claimed.state.status, never_claimed.state.executor) == (Status.RUNNING, Executor.CALLER)
    assert never_claimed.queue is QueueOp.REMOVE
    assert decide(state_in(Status.PENDING, Executor.EXTERNAL, attempt=1), Start(), NAMES) is None


@pytest.mark.parametrize("executor", [Executor.ENGINE, Executor.EXTERNAL])
@pytest.mark.parametrize("name", ["park", "yield"])
def test_a_cancel_is_not_forgotten_when_the_attempt_ends_otherwise(name: str, executor: Executor) -> None:
    transition = decide(state_in(Status.RUNNING, executor, cancelling=True), COMMANDS[name], NAMES)
    assert transition is not None
    assert transition.state.status is Status.CANCELLED
    assert not transition.state.cancelling
    assert transition.queue is QueueOp.REMOVE
    assert types(transition) == ((TOOL_CALL_RESULT, RUN_ERROR) if name == "park" else (RUN_ERROR,))


def test_a_second_cancel_changes_nothing_and_force_ends_it() -> None:
    asked = state_in(Status.RUNNING, Executor.ENGINE, cancelling=True)
    assert decide(asked, Cancel("again"), NAMES) is None
    forced = decide(asked, Cancel("again", force=True), NAMES)
    assert forced is not None
    assert forced.error == RunError("again", "CANCELLED")
    assert forced.events[-1] == {"type": RUN_ERROR, "message": "again", "code": "CANCELLED"}


@pytest.mark.parametrize("fence", [FENCE - 1, FENCE + 1])
@pytest.mark.parametrize("status", Status)
def test_a_stale_fence_moves_nothing(status: Status, fence: int) -> None:
    state = state_in(status, Executor.ENGINE)
    for command in (Park(ONE_CALL, fence), Yield("late", fence), Finish(Status.COMPLETED, fence=fence)):
        assert decide(state, command, NAMES) is None


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.RUNNING])
def test_a_lease_ends_with_its_attempt(status: Status) -> None:
    """A worker that parked, and does not know it because the answer got lost, cannot end the run with its old fence."""
    assert decide(state_in(status, Executor.ENGINE), Finish(Status.FAILED, fence=FENCE), NAMES) is None


def test_calls_are_answered_one_by_one() -> None:
    state = RunState(Status.WAITING, Executor.ENGINE, 1, 1, Waiting(WaitingReason.TOOL, CALLS))
    assert decide(state, Answer("c3", 1, "1"), NAMES) is None
    first = decide(state, Answer("c1", [1], "[1]", is_error=True), NAMES)
    assert first is not None
    assert first.state.waiting == Waiting(WaitingReason.APPROVAL, CALLS[1:])
    assert (first.state.status, first.queue) == (Status.WAITING, QueueOp.KEEP)
    (result,) = first.events
    assert (result["type"], result["toolCallId"], result["content"], result["isError"]) == (
        TOOL_CALL_RESULT, "c1", "[1]", True,
    )  # fmt: skip
    assert decide(first.state, Answer("c1", [1], "[1]"), NAMES) is None
    second = decide(first.state, Answer("c2", {"approved": True}, "-"), NAMES)
    assert second is not None
    assert (second.state.status, second.state.waiting, second.queue) == (Status.PENDING, None, QueueOp.ENQUEUE)
    (approval,) = second.events
    assert approval["name"] == "perdure.run.approval"
    assert approval["value"] == {"toolCallId": "c2", "toolCallName": "allow", "value": {"approved": True}}


def test_an_external_worker_that_parked_goes_on_while_it_holds_its_lease() -> None:
    parked = decide(state_in(Status.RUNNING, Executor.EXTERNAL), Park(ONE_CALL, FENCE), NAMES)
    assert parked is not None
    assert parked.state.leased
    assert decide(parked.state, Yield("lease_expired", FENCE - 1), NAMES) is None
    answered = decide(parked.state, Answer("c1", 1, "1"), NAMES)
    assert answered is not None
    assert (answered.state.status, answered.queue) == (Status.RUNNING, QueueOp.KEEP)
    lost = decide(parked.state, Yield("lease_expired", FENCE), NAMES)
    assert lost is not None
    assert (lost.state.status, lost.state.fence, lost.queue) == (Status.WAITING, FENCE + 1, QueueOp.REMOVE)
    assert lost.events == ()
    assert lost.state.waiting == ONE_CALL
    answered = decide(lost.state, Answer("c1", 1, "1"), NAMES)
    assert answered is not None
    assert (answered.state.status, answered.queue) == (Status.PENDING, QueueOp.ENQUEUE)


@pytest.mark.parametrize("name", ["s", USER_INPUT])
@pytest.mark.parametrize("reason", WaitingReason)
@pytest.mark.parametrize("executor", Executor)
def test_a_signal_wakes_a_run_that_waits_for_it(executor: Executor, reason: WaitingReason, name: str) -> None:
    """For an event that is any; for input it is the user's next message."""
    transition = decide(RunState(Status.WAITING, executor, 1, 1, Waiting(reason)), Signal(name, None), NAMES)
    assert transition is not None
    assert transition.signals
    woken = Status.RUNNING if executor is Executor.CALLER else Status.PENDING
    wakes = reason is WaitingReason.EVENT or (reason is WaitingReason.INPUT and name == USER_INPUT)
    expected = woken if wakes else Status.WAITING
    assert transition.state.status is expected
    assert (transition.queue is QueueOp.ENQUEUE) == (expected is Status.PENDING)


@pytest.mark.parametrize(
    ("signalled", "read_to", "waits"), [(5, 5, True), (0, 0, True), (6, 5, False), (6, None, True)]
)
def test_a_run_does_not_wait_for_what_has_come_meanwhile(signalled: int, read_to: int | None, waits: bool) -> None:
    running = replace(state_in(Status.RUNNING, Executor.ENGINE), latest_signal_id=signalled)
    transition = decide(running, Park(Waiting(WaitingReason.INPUT), FENCE, read_to), NAMES)
    assert transition is not None
    if waits:
        assert (transition.state.status, transition.queue) == (Status.WAITING, QueueOp.REMOVE)
    else:
        assert (transition.state.status, transition.queue) == (Status.PENDING, QueueOp.ENQUEUE)
        assert (transition.state.fence, transition.events) == (FENCE + 1, ())


def test_room_for_the_messages_that_one_event_stands_for() -> None:
    running = state_in(Status.RUNNING, Executor.ENGINE)
    rooms = {
        command: decide(running, wanted, NAMES)
        for command, wanted in {**COMMANDS, "two": Park(Waiting(WaitingReason.TOOL, CALLS), FENCE)}.items()
    }
    assert {name: made.room_ms for name, made in rooms.items() if made is not None and made.room_ms} == {
        "fail": 1, "abort": 1, "worker-fails": 1, "force": 1, "two": 1,
    }  # fmt: skip


def test_how_a_run_ends_is_told() -> None:
    running = state_in(Status.RUNNING, Executor.CALLER)
    completed = decide(running, Finish(Status.COMPLETED, metadata={"model": "m"}), NAMES)
    failed = decide(running, Finish(Status.FAILED), NAMES)
    assert completed is not None
    assert failed is not None
    assert completed.events == (
        {"type": RUN_FINISHED, "threadId": "thread-1", "runId": "run-1", "metadata": {"model": "m"}},
    )
    assert failed.error == RunError("The run failed.", "FAILED")


reasons = st.sampled_from(WaitingReason)
fences = st.none() | st.integers(0, 6)
waitings = st.builds(Waiting, reasons, st.lists(st.sampled_from(CALLS), max_size=2, unique=True).map(tuple))
commands = st.one_of(
    st.sampled_from([Claim(), Start(), Enqueue(), Signal("s", None), Restart(True), Cancel("c"), Cancel("c", True)]),
    st.builds(Park, waitings, fences),
    st.builds(Answer, st.sampled_from(["c1", "c2"]), st.none(), st.just("null")),
    st.builds(Finish, st.sampled_from([Status.COMPLETED, Status.FAILED, Status.CANCELLED]), fence=fences),
    st.builds(Yield, st.just("y"), fences),
)


@given(st.sampled_from(Executor), st.lists(commands, max_size=30))
def test_what_holds_whatever_happens(executor: Executor, wanted: list[Command]) -> None:
    state = RunState(Status.PENDING, executor)
    for command in wanted:
        transition = decide(state, command, NAMES)
        if transition is None:
            continue
        after = transition.state
        assert after.fence >= state.fence
        assert after.fence > state.fence or not isinstance(command, Claim)
        assert after.attempt - state.attempt == (isinstance(command, Claim | Start))
        assert (after.waiting is not None) == (after.status is Status.WAITING)
        assert not after.cancelling or after.status is Status.RUNNING
        assert after.attempt > 0 or after.status not in (Status.RUNNING, Status.WAITING)
        assert state.status.terminal == isinstance(command, Restart), "only a restart leaves a terminal status"
        told = TERMINAL_TYPES.intersection(types(transition))
        assert bool(told) == after.status.terminal, "a run ends with the event that says so, and no other way"
        assert after.status.terminal <= (transition.queue is QueueOp.REMOVE)
        state = after


def test_an_answer_for_one_branch_of_several_starts_a_timer_for_the_others() -> None:
    waiting = Waiting(WaitingReason.TOOL, CALLS, several=True)
    state = replace(state_in(Status.WAITING, Executor.ENGINE), waiting=waiting)
    answered = decide(state, Answer("c1", 1, "1"), NAMES)
    assert answered is not None
    assert (answered.state.status, answered.queue, answered.delay_ms) == (Status.WAITING, QueueOp.SLEEP, 500)
    assert answered.state.waiting == Waiting(WaitingReason.APPROVAL, CALLS[1:], several=True)


def test_a_run_that_waits_for_events_too_goes_on_with_a_signal_after_an_answer() -> None:
    waiting = Waiting(WaitingReason.EVENT, CALLS, several=True)
    answered = decide(replace(state_in(Status.WAITING, Executor.ENGINE), waiting=waiting), Answer("c1", 1, "1"), NAMES)
    assert answered is not None
    signalled = decide(answered.state, Signal("go", 1), NAMES)
    assert signalled is not None
    assert signalled.state.status is Status.PENDING
