"""The protocol between a kind of run and its log, and what an attempt is given and gives back (design section 4).

A kind runs one attempt: it looks up the steps that earlier attempts recorded, emits public AG-UI events, and records
each new step before anything that depends on it. Who implements `RunLog` decides how that reaches the database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from ag_ui.core import BaseEvent, CustomEvent
from pydantic_core import from_json, to_json

from perdure.domain.agent_message import AGENT_PLAN, MESSAGE, PROGRESS, PUBLISHED, MessageKind, planned
from perdure.domain.errors import PerdureError
from perdure.domain.message import Message
from perdure.domain.past import Answer, Past
from perdure.domain.run import PendingCall, Waiting, WaitingReason
from perdure.domain.run_profile import RunProfile
from perdure.domain.stored_run import RunSpec
from perdure.domain.task_log import LOG, SAID
from perdure.execution.request import RunOrigin, StartRequest, start_request
from perdure.services.egress import Egress
from perdure.telemetry.spans import Tracing

if TYPE_CHECKING:
    from perdure.execution.artifacts import RunArtifacts
    from perdure.execution.workflow_links import WorkflowLinks

__all__ = [
    "Completed",
    "Outcome",
    "PendingCall",
    "RunContext",
    "RunFailed",
    "RunLog",
    "Usage",
    "Waiting",
    "WaitingReason",
]

T = TypeVar("T")


class RunFailed(PerdureError):
    """The run failed."""

    code = "FAILED"

    def __init__(self, detail: str | None = None, code: str | None = None) -> None:
        super().__init__(detail)
        if code is not None:
            self.code = code


class Liveness:
    """Whether an attempt has come to what is not recorded yet."""

    def __init__(self) -> None:
        self.live = False


class RunLog(Protocol):
    """One run's log, as an attempt sees it."""

    def step(self, key: str) -> bytes | None:
        """The recorded result (JSON) of a step of this or an earlier attempt; None when there is none."""

    async def record(self, key: str, value: bytes) -> None:
        """Records a step's result (compact JSON). Durable on return, with and after the events emitted before."""

    async def emit(self, *events: BaseEvent) -> None:
        """Takes public events for the log, flushed within milliseconds. May wait while too many are on the way."""

    async def flush(self) -> None:
        """Returns when everything emitted is durable."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """One attempt of a run: what it works on, and where it writes.

    `messages` is the conversation so far: those of the request or, where it has none, those that the run's conversation
    holds before the run's own. `request` is what the caller said, typed; `input` the same as it came in. `clock` tells
    the time in integer milliseconds. `profile` is what creation and signals of the Agent Runs API said for this turn.
    `spec` holds the rest of what creation said: time limit, retries, config. `started_ms` is when the run first began,
    `deadline_ms` when it must have ended, if it has a deadline; both in integer milliseconds.
    `outputs` reads the output (JSON) of another run of the project by its id; None for one that has none. `run_log` is
    for who executes a kind of run, and `stopping` says whether the worker has begun to end the attempt.
    """

    run_id: str
    conversation_id: str | None
    attempt: int
    agent: str
    messages: tuple[Message, ...]
    input: Mapping[str, object]
    answers: Mapping[str, Answer]
    run_log: RunLog
    clock: Callable[[], int]
    past: Past = field(default_factory=Past)
    origin: RunOrigin = field(default_factory=RunOrigin)
    tracing: Tracing = field(default_factory=Tracing)
    files: RunArtifacts | None = None
    links: WorkflowLinks | None = None
    profile: RunProfile = field(default_factory=RunProfile)
    egress: Egress = field(default_factory=Egress, repr=False)
    progress_made: Liveness = field(default_factory=Liveness)
    spec: RunSpec = field(default_factory=RunSpec)
    started_ms: int | None = None
    deadline_ms: int | None = None
    outputs: Callable[[str], Awaitable[str | None]] | None = None
    stopping: Callable[[], bool] = bool

    @property
    def artifacts(self) -> RunArtifacts:
        """The run's files: `write`, `read`, `stream`, `list`, `delete`. Raises LookupError outside of a server."""
        if self.files is None:
            raise LookupError("This run is not executed by a server: it has no files.")
        return self.files

    @property
    def request(self) -> StartRequest:
        """What the caller who started the run said: trigger, parents, overrides, tools, context, forwarded props."""
        return start_request(self.input, self.origin)

    def idempotency_key(self, step: str) -> str:
        """A key for outside systems: the same whenever this step of this run is executed again after a crash."""
        return f"{self.run_id}.{self.past.generation}.{step}"

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is being stopped; coroutines are cancelled, plain functions in threads may look here."""
        return self.stopping()

    @property
    def live(self) -> bool:
        """Whether the attempt does something new, rather than what the log has recorded."""
        return self.progress_made.live or not self.past.steps

    async def publish(self, name: str, value: object) -> None:
        """Makes a JSON value the answer to the query `name` (GET /api/v1/agents/{run_id}/query/{name}) from now on.

        Like all that is told here, it is not repeated while recorded steps are replayed.
        """
        if self.live:
            await self.tell(name, value)

    async def tell(self, name: str, value: object) -> None:
        """What `publish` does, also in a replay."""
        await self._say(PUBLISHED, {"name": name, "value": value})

    async def plan(self, tasks: Sequence[str | Mapping[str, object]], *, comment: str | None = None) -> None:
        """Publishes the plan. A task is its goal, or an object {goal, instructions?, comment?, status?}; a status is
        pending, in_progress, completed or skipped. Raises ValueError for a task without a goal.
        """
        await self.publish(AGENT_PLAN, {"plan": planned(tasks), **({"comment": comment} if comment else {})})

    async def message(
        self, text: str, *, type: MessageKind | str = MessageKind.UPDATE, details: Mapping[str, object] | None = None
    ) -> None:
        """Tells the run's clients something (vertesia.md 3.2). Raises ValueError for a `type` that is not the agent's.

        Types are system, thought, update, warning, error, answer and request_input.
        """
        kind = MessageKind(type)
        if self.live:
            await self._say(
                MESSAGE,
                {"type": kind.number, "message": text, **({} if details is None else {"details": dict(details)})},
            )

    async def log(self, text: str) -> None:
        """A line for the run's log."""
        if self.live:
            await self._say(LOG, {"stream": SAID, "text": f"{text}\n"})

    async def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Tells how far the work is."""
        if self.live:
            await self._say(PROGRESS, {"done": done, **({} if total is None else {"total": total}), "text": text})

    async def _say(self, name: str, value: dict[str, object]) -> None:
        await self.run_log.emit(CustomEvent(name=name, value=value))

    async def step(self, key: str, run: Callable[[], Awaitable[T]]) -> T:
        """The result of `run`, executed once: recorded under `key`, and read from the log in later attempts.

        What JSON keeps of the result is what is returned, the first time too. An exception is not recorded.
        """
        name = f"step:{key}"
        recorded = self.run_log.step(name)
        if recorded is None:
            self.progress_made.live = True
            recorded = to_json(await run())
            await self.run_log.record(name, recorded)
        result: T = from_json(recorded)
        return result


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a run's model responses cost."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Completed:
    """The run is done. `output` is a JSON value; `exit_code` is that of a task's process."""

    output: object = None
    usage: Usage | None = None
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    exit_code: int | None = None

    def metadata(self) -> dict[str, object] | None:
        """What the terminal event says about the model (veryfront.md 1.3); None for a run without one.

        What is not known is left out: to a decoder of the protocol a null there is malformed, and it drops the event.
        """
        if self.usage is None:
            return None
        known = {
            "provider": self.provider,
            "model": self.model,
            "inputTokens": self.usage.input_tokens,
            "outputTokens": self.usage.output_tokens,
            "cachedInputTokens": self.usage.cached_input_tokens,
            "reasoningTokens": self.usage.reasoning_tokens,
            "finishReason": self.finish_reason,
        }
        return {name: value for name, value in known.items() if value is not None}


Outcome = Completed | Waiting
"""How an attempt ends. One that raises has failed; `RunFailed` carries the code of the terminal event."""
