"""A run: its states, its transition table, and the one pure function that moves it (design section 3).

`docs/run-lifecycle.md` draws this file; the constraints of `store/migrations` repeat it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from perdure.domain.event import RUN_ERROR, RUN_FINISHED, RUN_STARTED, TOOL_CALL_RESULT, custom


class Kind(StrEnum):
    """What a run executes."""

    AGENT = "agent"
    WORKFLOW = "workflow"
    TASK = "task"
    EVAL = "eval"


class Status(StrEnum):
    """The canonical status words."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether a run in it has ended."""
        return self in TERMINAL


TERMINAL: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Executor(StrEnum):
    """Who runs it: an engine's worker, the caller that mirrors events, or an external worker over HTTP."""

    ENGINE = "engine"
    CALLER = "caller"
    EXTERNAL = "external"


class WaitingReason(StrEnum):
    """What a waiting run waits for."""

    TOOL = "tool"
    APPROVAL = "approval"
    EVENT = "event"
    INPUT = "input"


class PendingCall(msgspec.Struct, frozen=True):
    """A tool call that waits for a result or an approval from outside."""

    id: str
    name: str
    reason: WaitingReason = WaitingReason.TOOL


class Waiting(msgspec.Struct, frozen=True):
    """What a waiting run waits for: the calls still open, in order, or none for `event` and `input`."""

    reason: WaitingReason
    calls: tuple[PendingCall, ...] = ()


@dataclass(frozen=True, slots=True)
class RunState:
    """The part of a run that decides what may happen to it."""

    status: Status
    executor: Executor
    attempt: int = 0
    fence: int = 0
    waiting: Waiting | None = None
    cancelling: bool = False


class QueueOp(StrEnum):
    """What a transition does to the engine's queue row."""

    KEEP = "keep"
    ENQUEUE = "enqueue"
    CANCEL = "cancel"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed or was cancelled."""

    message: str
    code: str | None = None


# --- commands: everything that can happen to a run ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """An engine's worker takes the run."""


@dataclass(frozen=True, slots=True)
class Start:
    """The caller that executes by itself writes its first event, or says that it starts."""


@dataclass(frozen=True, slots=True)
class Enqueue:
    """A run that was only recorded is accepted for execution (the two-phase start of veryfront.md 1.2)."""


@dataclass(frozen=True, slots=True)
class Park:
    """The attempt ends because the run waits for something from outside."""

    waiting: Waiting
    fence: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool result or an approval arrives for a call that the run waits for."""

    tool_call_id: str
    value: object
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """A named message for the run."""

    name: str
    payload: object


@dataclass(frozen=True, slots=True)
class Finish:
    """The run ends: completed, failed, or cancelled by its executor."""

    status: Status
    error: RunError | None = None
    fence: int | None = None
    metadata: object = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants the run to end. `force` ends it without asking its worker (the grace period is over)."""

    reason: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Yield:
    """The attempt ends without a result and the run goes back to the queue (lost, drained or to be retried)."""

    reason: str
    fence: int | None
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class Restart:
    """A run that has ended starts again: same run, next attempt. `fresh` forgets the recorded steps."""

    fresh: bool


Command = Claim | Start | Enqueue | Park | Answer | Signal | Finish | Cancel | Yield | Restart

_LIVE: Final = (Status.PENDING, Status.RUNNING, Status.WAITING)

TABLE: Final = MappingProxyType(
    {
        Claim: (Status.PENDING,),
        Start: (Status.PENDING,),
        Enqueue: (Status.PENDING,),
        Park: (Status.RUNNING,),
        Answer: (Status.WAITING,),
        Signal: _LIVE,
        Finish: _LIVE,
        Cancel: _LIVE,
        Yield: (Status.RUNNING,),
        Restart: (Status.COMPLETED, Status.FAILED, Status.CANCELLED),
    }
)
"""From which states each command may move a run. In every other state it changes nothing."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What a command does: the state after it, the public events that say so, and what becomes of the queue row."""

    state: RunState
    events: tuple[dict[str, object], ...] = ()
    queue: QueueOp = QueueOp.KEEP
    delay_ms: int = 0
    error: RunError | None = None
    started: bool = False


@dataclass(frozen=True, slots=True)
class RunNames:
    """The names that the lifecycle's own events carry (AG-UI: threadId, runId)."""

    run_id: str
    thread_id: str


def decide(state: RunState, command: Command, names: RunNames) -> Transition | None:
    """What `command` does to a run in `state`; None when it changes nothing.

    The first terminal status wins; a stale fence moves nothing (design section 3).
    """
    if state.status not in TABLE[type(command)]:
        return None
    match command:
        case Claim() | Start() | Enqueue():
            return _begin(state, command, names)
        case Park() | Answer() | Signal():
            return _talk(state, command)
        case Finish() | Cancel() | Yield() | Restart():
            return _end(state, command, names)


def _begin(state: RunState, command: Claim | Start | Enqueue, names: RunNames) -> Transition | None:
    match command:
        case Claim():
            return _claim(state, names)
        case Start():
            return _start(state)
        case Enqueue():
            return _enqueue(state)


def _talk(state: RunState, command: Park | Answer | Signal) -> Transition | None:
    match command:
        case Park():
            return _park(state, command)
        case Answer():
            return _answer(state, command)
        case Signal():
            return _signal(state, command)


def _end(state: RunState, command: Finish | Cancel | Yield | Restart, names: RunNames) -> Transition | None:
    match command:
        case Finish():
            return _finish(state, command, names)
        case Cancel():
            return _cancel(state, command)
        case Yield():
            return _yield(state, command)
        case Restart():
            return _restart(state, command)


def started_events(attempt: int, names: RunNames) -> tuple[dict[str, object], ...]:
    """The events of a claim: RUN_STARTED opens the first attempt, later ones are announced."""
    if attempt == 1:
        return ({"type": RUN_STARTED, "threadId": names.thread_id, "runId": names.run_id},)
    return (custom("perdure.run.attempt", {"attempt": attempt}),)


def _claim(state: RunState, names: RunNames) -> Transition | None:
    if state.executor is Executor.CALLER:
        return None
    after = replace(state, status=Status.RUNNING, attempt=state.attempt + 1, fence=state.fence + 1)
    return Transition(after, started_events(after.attempt, names), started=True)


def _start(state: RunState) -> Transition | None:
    """Who appends to a run that nobody has claimed yet executes it from then on, and no worker gets it any more.

    A run that an external worker had once is different: it waits for a worker again, and what comes in without a claim
    comes from the one that lost it.
    """
    if state.executor is Executor.ENGINE or (state.executor is Executor.EXTERNAL and state.attempt > 0):
        return None
    after = replace(state, status=Status.RUNNING, executor=Executor.CALLER, attempt=state.attempt + 1)
    return Transition(after, queue=QueueOp.REMOVE, started=True)


def _enqueue(state: RunState) -> Transition | None:
    if state.executor is not Executor.CALLER:
        return None
    return Transition(replace(state, executor=Executor.ENGINE), queue=QueueOp.ENQUEUE)


def _holds(state: RunState, fence: int | None) -> bool:
    """Whether the writer's lease, if it speaks of one, is the one under which the run is executed now."""
    return fence is None or (fence == state.fence and state.status is Status.RUNNING)


def _park(state: RunState, command: Park) -> Transition | None:
    if not _holds(state, command.fence):
        return None
    waiting = command.waiting
    if state.cancelling:
        return _cancel(replace(state, waiting=waiting), Cancel("The run was cancelled.", force=True))
    event = custom("perdure.run.waiting", {"reason": waiting.reason, "calls": [_call(call) for call in waiting.calls]})
    after = replace(state, status=Status.WAITING, waiting=waiting)
    return Transition(after, (event,), QueueOp.REMOVE)


def _call(call: PendingCall) -> dict[str, object]:
    return {"toolCallId": call.id, "toolCallName": call.name, "reason": call.reason}


def _answer(state: RunState, command: Answer) -> Transition | None:
    waiting = state.waiting
    if waiting is None or all(call.id != command.tool_call_id for call in waiting.calls):
        return None
    answered = next(call for call in waiting.calls if call.id == command.tool_call_id)
    left = tuple(call for call in waiting.calls if call.id != command.tool_call_id)
    event = _answer_event(answered, command)
    if left:
        return Transition(replace(state, waiting=Waiting(left[0].reason, left)), (event,))
    return _resumed(state, (event,))


def _answer_event(call: PendingCall, command: Answer) -> dict[str, object]:
    """A tool's result is the AG-UI result; an approval lets the tool run, so its result is still to come."""
    if call.reason is WaitingReason.APPROVAL:
        return custom(
            "perdure.run.approval", {"toolCallId": call.id, "toolCallName": call.name, "value": command.value}
        )
    return _result_event(call.id, command.content, is_error=command.is_error)


def _resumed(state: RunState, events: tuple[dict[str, object], ...]) -> Transition:
    if state.executor is Executor.CALLER:
        return Transition(replace(state, status=Status.RUNNING, waiting=None), events)
    return Transition(replace(state, status=Status.PENDING, waiting=None), events, QueueOp.ENQUEUE)


def _signal(state: RunState, command: Signal) -> Transition:
    event = custom("perdure.signal", {"name": command.name, "payload": command.payload})
    waiting = state.waiting
    if waiting is not None and waiting.reason in (WaitingReason.EVENT, WaitingReason.INPUT):
        return _resumed(state, (event,))
    return Transition(state, (event,))


def _finish(state: RunState, command: Finish, names: RunNames) -> Transition | None:
    if not _holds(state, command.fence):
        return None
    after = replace(state, status=command.status, waiting=None, cancelling=False)
    if command.status is Status.COMPLETED:
        event: dict[str, object] = {"type": RUN_FINISHED, "threadId": names.thread_id, "runId": names.run_id}
        if command.metadata is not None:
            event["metadata"] = command.metadata
        return Transition(after, (event,), QueueOp.REMOVE)
    error = command.error or _default_error(command.status)
    return Transition(after, (_error_event(error),), QueueOp.REMOVE, error=error)


def _default_error(status: Status) -> RunError:
    if status is Status.CANCELLED:
        return RunError("The run was cancelled.", "CANCELLED")
    return RunError("The run failed.", "FAILED")


def _error_event(error: RunError) -> dict[str, object]:
    return {"type": RUN_ERROR, "message": error.message, **({"code": error.code} if error.code else {})}


def _cancel(state: RunState, command: Cancel) -> Transition | None:
    worker_can_answer = state.status is Status.RUNNING and state.executor is not Executor.CALLER
    if worker_can_answer and not command.force:
        if state.cancelling:
            return None
        event = custom("perdure.run.cancelling", {"reason": command.reason})
        return Transition(replace(state, cancelling=True), (event,), QueueOp.CANCEL)
    error = RunError(command.reason, "CANCELLED")
    after = replace(state, status=Status.CANCELLED, waiting=None, cancelling=False, fence=state.fence + 1)
    calls = state.waiting.calls if state.waiting is not None else ()
    closed = tuple(closed_call(call.id) for call in calls)
    return Transition(after, (*closed, _error_event(error)), QueueOp.REMOVE, error=error)


def closed_call(tool_call_id: str) -> dict[str, object]:
    """The result of a tool call that nobody will answer any more: the conversation stays usable after a cancel."""
    return _result_event(tool_call_id, "The run was cancelled before this call was answered.", is_error=True)


def _result_event(tool_call_id: str, content: str, *, is_error: bool) -> dict[str, object]:
    return {
        "type": TOOL_CALL_RESULT,
        "messageId": f"result:{tool_call_id}",
        "toolCallId": tool_call_id,
        "content": content,
        "role": "tool",
        **({"isError": True} if is_error else {}),
    }


def _yield(state: RunState, command: Yield) -> Transition | None:
    if not _holds(state, command.fence) or state.executor is Executor.CALLER:
        return None
    if state.cancelling:
        return _cancel(state, Cancel("The run was cancelled.", force=True))
    event = custom("perdure.run.yielded", {"attempt": state.attempt, "reason": command.reason})
    after = replace(state, status=Status.PENDING, fence=state.fence + 1)
    return Transition(after, (event,), QueueOp.ENQUEUE, delay_ms=command.delay_ms)


def _restart(state: RunState, command: Restart) -> Transition:
    event = custom("perdure.run.restarted", {"from": state.status, "fresh": command.fresh})
    queue = QueueOp.KEEP if state.executor is Executor.CALLER else QueueOp.ENQUEUE
    return Transition(replace(state, status=Status.PENDING), (event,), queue)
