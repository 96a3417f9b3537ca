"""The transition table and the one pure function that moves a run (design section 3).

`docs/run-lifecycle.md` draws this file; the constraints of `store/migrations` repeat it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from perdure.domain.event import RUN_ERROR, RUN_FINISHED, RUN_STARTED, TOOL_CALL_RESULT, custom
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


class QueueOp(StrEnum):
    """What a transition does to the engine's queue row."""

    KEEP = "keep"
    ENQUEUE = "enqueue"
    CANCEL = "cancel"
    REMOVE = "remove"
    SLEEP = "sleep"


ANSWER_PAUSE_MS: Final = 500
"""How long a run whose other calls are still open waits for their answers too, before it goes on with the one."""

INTERRUPTED: Final = "perdure.turn.interrupted"
"""Name of the CUSTOM event with which the user stops a turn."""

_LIVE: Final = (Status.PENDING, Status.RUNNING, Status.WAITING)

TABLE: Final = MappingProxyType(
    {
        Claim: (Status.PENDING,),
        Start: (Status.PENDING,),
        Enqueue: (Status.PENDING,),
        Park: (Status.RUNNING,),
        Answer: (Status.WAITING,),
        Signal: _LIVE,
        Interrupt: _LIVE,
        Note: _LIVE,
        Wake: (Status.WAITING,),
        Finish: _LIVE,
        Cancel: _LIVE,
        Yield: (Status.RUNNING, Status.WAITING),
        Restart: (Status.COMPLETED, Status.FAILED, Status.CANCELLED),
    }
)
"""From which states each command may move a run. In every other state it changes nothing."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What a command does: the state after it, the public events that say so, and what becomes of the queue row.

    `signals`: the events are a message for whoever executes the run. With SLEEP it goes on by itself: `delay_ms` from
    now, or at `wake_at`, in integer milliseconds.
    """

    state: RunState
    events: tuple[dict[str, object], ...] = ()
    queue: QueueOp = QueueOp.KEEP
    delay_ms: int = 0
    wake_at: int | None = None
    error: RunError | None = None
    started: bool = False
    signals: bool = False

    @property
    def room_ms(self) -> int:
        """Milliseconds that stay free after its last event, which stands for several messages of the Agent Runs API:
        an error and the end, or a question for each open call (vertesia.md 3.7, and section 0: no two share a time).
        """
        if self.error is not None:
            return 1
        calls = self.state.waiting.calls if self.state.waiting is not None else ()
        return max(0, len(calls) - 1)


def decide(state: RunState, command: Command, names: RunNames) -> Transition | None:
    """What `command` does to a run in `state`; None when it changes nothing.

    The first terminal status wins; a stale fence moves nothing (design section 3).
    """
    if state.status not in TABLE[type(command)]:
        return None
    match command:
        case Claim() | Start() | Enqueue():
            return _begin(state, command, names)
        case Park() | Answer() | Signal() | Interrupt() | Note() | Wake():
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


def _talk(state: RunState, command: Park | Answer | Signal | Interrupt | Note | Wake) -> Transition | None:
    match command:
        case Park():
            return _park(state, command)
        case Answer():
            return _answer(state, command)
        case Signal():
            return _signal(state, command)
        case Interrupt():
            return _interrupt(state, command)
        case Note():
            return Transition(state, (command.event,))
        case Wake():
            return _resumed(state, ()) if state.executor is Executor.ENGINE else None


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
    return (_attempt_event(attempt),)


def _attempt_event(attempt: int) -> dict[str, object]:
    return custom("perdure.run.attempt", {"attempt": attempt})


def _claim(state: RunState, names: RunNames) -> Transition | None:
    if state.executor is Executor.CALLER:
        return None
    after = replace(state, status=Status.RUNNING, attempt=state.attempt + 1, fence=state.fence + 1)
    if state.executor is Executor.EXTERNAL:
        return Transition(after, (_attempt_event(after.attempt),), started=True)  # it writes RUN_STARTED itself
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
    return fence is None or state.held_under(fence)


def _park(state: RunState, command: Park) -> Transition | None:
    if not _holds(state, command.fence):
        return None
    waiting = command.waiting
    if state.cancelling:
        return _cancel(replace(state, waiting=waiting), Cancel("The run was cancelled.", force=True))
    event = _waiting_event(waiting)
    unread = command.read_to is not None and state.latest_signal_id > command.read_to
    if unread and state.executor is Executor.ENGINE:
        return Transition(replace(state, status=Status.PENDING, fence=state.fence + 1), queue=QueueOp.ENQUEUE)
    held = state.executor is Executor.EXTERNAL
    after = replace(state, status=Status.WAITING, waiting=msgspec.structs.replace(waiting, held=held))
    if waiting.until is not None and state.executor is Executor.ENGINE:
        return Transition(after, (event,), QueueOp.SLEEP, wake_at=waiting.until)
    return Transition(after, (event,), QueueOp.KEEP if held else QueueOp.REMOVE)


def _waiting_event(waiting: Waiting) -> dict[str, object]:
    until = {} if waiting.until is None else {"until": waiting.until}
    return custom(
        "perdure.run.waiting", {"reason": waiting.reason, "calls": [_call(call) for call in waiting.calls], **until}
    )


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
        reason = waiting.reason if waiting.reason is WaitingReason.EVENT else left[0].reason
        still = msgspec.structs.replace(waiting, reason=reason, calls=left)
        if waiting.several and not state.leased:
            return Transition(replace(state, waiting=still), (event,), QueueOp.SLEEP, delay_ms=ANSWER_PAUSE_MS)
        return Transition(replace(state, waiting=still), (event,))
    return _resumed(state, (event,))


def _answer_event(call: PendingCall, command: Answer) -> dict[str, object]:
    """A tool's result is the AG-UI result; an approval lets the tool run, so its result is still to come."""
    if call.reason is WaitingReason.APPROVAL:
        value = {"approved": False, "message": command.content} if command.is_error else command.value
        return custom("perdure.run.approval", {"toolCallId": call.id, "toolCallName": call.name, "value": value})
    return _result_event(call.id, command.content, is_error=command.is_error)


def _resumed(state: RunState, events: tuple[dict[str, object], ...]) -> Transition:
    if state.executor is Executor.CALLER or state.leased:
        return Transition(replace(state, status=Status.RUNNING, waiting=None), events)
    return Transition(replace(state, status=Status.PENDING, waiting=None), events, QueueOp.ENQUEUE)


def _signal(state: RunState, command: Signal) -> Transition:
    event = custom("perdure.signal", {"name": command.name, "payload": command.payload})
    reason = None if state.waiting is None else state.waiting.reason
    if reason is WaitingReason.EVENT or (reason is WaitingReason.INPUT and command.name == USER_INPUT):
        return replace(_resumed(state, (event,)), signals=True)
    return Transition(state, (event,), signals=True)


def _interrupt(state: RunState, command: Interrupt) -> Transition:
    """The attempt ends the turn; where none is alive because calls are open, the next one does, without answers."""
    event = custom(INTERRUPTED, {"payload": command.payload})
    if state.waiting is not None and state.waiting.calls:
        return replace(_resumed(state, (event, *_closed_calls(state))), signals=True)
    return Transition(state, (event,), signals=True)


def _finish(state: RunState, command: Finish, names: RunNames) -> Transition | None:
    if not _holds(state, command.fence):
        return None
    after = replace(state, status=command.status, waiting=None, cancelling=False)
    closed = _closed_calls(state)
    if command.status is Status.COMPLETED:
        event: dict[str, object] = {"type": RUN_FINISHED, "threadId": names.thread_id, "runId": names.run_id}
        if command.metadata is not None:
            event["metadata"] = command.metadata
        return Transition(after, (*closed, event), QueueOp.REMOVE)
    error = command.error or _default_error(command.status)
    return Transition(after, (*closed, _error_event(error)), QueueOp.REMOVE, error=error)


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
    return Transition(after, (*_closed_calls(state), _error_event(error)), QueueOp.REMOVE, error=error)


def _closed_calls(state: RunState) -> tuple[dict[str, object], ...]:
    """Results of the tool calls that nobody will answer any more: the conversation stays usable."""
    content = "The run ended before this call was answered."
    calls = state.waiting.calls if state.waiting is not None else ()
    return tuple({**_result_event(call.id, content, is_error=True), "cancelled": True} for call in calls)


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
    if not _holds(state, command.fence) or not state.leased or state.executor is Executor.CALLER:
        return None
    if state.cancelling:
        return _cancel(state, Cancel("The run was cancelled.", force=True))
    if state.waiting is not None:  # it goes on waiting, and whoever asks first takes it up again
        let_go = replace(state, waiting=msgspec.structs.replace(state.waiting, held=False), fence=state.fence + 1)
        return Transition(let_go, queue=QueueOp.REMOVE)
    event = custom("perdure.run.yielded", {"attempt": state.attempt, "reason": command.reason})
    after = replace(state, status=Status.PENDING, fence=state.fence + 1)
    return Transition(after, (event,), QueueOp.ENQUEUE, delay_ms=command.delay_ms)


def _restart(state: RunState, command: Restart) -> Transition:
    converse = {"converse": True} if command.converse else {}
    event = custom("perdure.run.restarted", {"from": state.status, "fresh": command.fresh, **converse})
    queue = QueueOp.KEEP if state.executor is Executor.CALLER else QueueOp.ENQUEUE
    return Transition(replace(state, status=Status.PENDING), (event,), queue)
