"""A run: its states, and everything that can happen to it (design section 3). `transitions.py` says what it does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec


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


USER_INPUT: Final = "UserInput"
"""Name of the signal that is the user's next message (vertesia.md 4.1): payload {message, …}."""


class PendingCall(msgspec.Struct, frozen=True):
    """A tool call that waits for a result or an approval from outside."""

    id: str
    name: str
    reason: WaitingReason = WaitingReason.TOOL


class Waiting(msgspec.Struct, frozen=True):
    """What a waiting run waits for: the calls still open, in order, or none for `event` and `input`.

    `held` says that the external worker which parked it keeps its lease and goes on by itself. `until`: when it goes on
    whatever comes, in integer milliseconds. `several`: its calls belong to branches that go on by themselves, so each
    answer takes it up.
    """

    reason: WaitingReason
    calls: tuple[PendingCall, ...] = ()
    held: bool = False
    until: int | None = None
    several: bool = False


@dataclass(frozen=True, slots=True)
class RunState:
    """The part of a run that decides what may happen to it. `latest_signal_id`: the event of its newest signal."""

    status: Status
    executor: Executor
    attempt: int = 0
    fence: int = 0
    waiting: Waiting | None = None
    cancelling: bool = False
    latest_signal_id: int = 0

    @property
    def leased(self) -> bool:
        """Whether somebody executes it now, or parked it and still holds it."""
        return self.status is Status.RUNNING or (self.waiting is not None and self.waiting.held)

    def held_under(self, fence: int) -> bool:
        """Whether `fence` is that of the lease under which it is executed now."""
        return self.leased and fence == self.fence


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed or was cancelled."""

    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class RunNames:
    """The names that the lifecycle's own events carry (AG-UI: threadId, runId)."""

    run_id: str
    thread_id: str


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
    """The attempt ends because the run waits for something from outside.

    `read_to`: the event up to which the attempt has read its signals, where it waits for one. A newer one is there
    already, so the run goes on at once.
    """

    waiting: Waiting
    fence: int | None
    read_to: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool result or an approval arrives for a call that the run waits for."""

    tool_call_id: str
    value: object
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """A named message for the run. One that waits for its user's next message goes on with USER_INPUT only."""

    name: str
    payload: object


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user stops the turn that an interactive run is in, and only the turn. `payload` is told in the log."""

    payload: object


@dataclass(frozen=True, slots=True)
class Note:
    """Somebody tells the log something that moves nothing: `event` is a public event of the server's making."""

    event: dict[str, object]


@dataclass(frozen=True, slots=True)
class Wake:
    """The time until which the run waits has come, or a child that it waits for has ended."""


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
    """A run that has ended starts again: same run, next attempt. `fresh` forgets the recorded steps.

    `converse`: when its turn had ended, it waits for the user's next message instead of ending once more.
    """

    fresh: bool
    converse: bool = False


Command = Claim | Start | Enqueue | Park | Answer | Signal | Interrupt | Note | Wake | Finish | Cancel | Yield | Restart
