"""What a workflow's function is given: durable calls, and the way to the run's log and files.

Every `await ctx.…` that has an effect is recorded. When the run comes back after a crash or a wait, the function starts
from its first line: recorded calls answer at once, and what is new goes on from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ag_ui.core import CustomEvent
from pydantic import TypeAdapter
from pydantic_core import from_json

from perdure.domain.task_log import LOG, SAID
from perdure.execution.kinds.workflow_calls import Calls
from perdure.execution.workflow_steps import Retry, seconds_of

if TYPE_CHECKING:
    from perdure.execution.artifacts import RunArtifacts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Approval:
    """A decision: whether it was given, the words that came with it, and all that was sent."""

    approved: bool
    message: str | None
    value: object


class WorkflowContext:
    """One attempt of a workflow run. Everything but `ctx`'s own calls belongs into a step."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._run = calls.run

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run.run_id

    @property
    def attempt(self) -> int:
        """How often a worker has taken the run, 1 the first time: after each wait, and after each crash."""
        return self._run.attempt

    @property
    def idempotency_key(self) -> str:
        """For outside systems. In a step: the same whenever this step is executed again; elsewhere: of the run."""
        place = self._calls.step_place()
        return f"{self.run_id}.{self._run.past.generation}" if place is None else self._run.idempotency_key(place)

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is being stopped; coroutines are cancelled, plain functions in threads may look here."""
        return self._calls.waits.closing

    @property
    def artifacts(self) -> RunArtifacts:
        """The run's files. Use it in steps: a replay would write again."""
        return self._run.artifacts

    @property
    def random(self) -> Random:
        """Random numbers that are the same in each attempt. Not for secrets."""
        return self._calls.branches.random()

    async def now(self) -> datetime:
        """The time at which the code first came here (UTC)."""
        return datetime.fromtimestamp(await self._calls.now() / 1000, UTC)

    @overload
    async def step(
        self,
        function: Callable[..., Awaitable[T]],
        /,
        *arguments: Any,
        retry: Retry | int | None = None,
        timeout: float | timedelta | None = None,
        key: str | None = None,
    ) -> T: ...

    @overload
    async def step(
        self,
        function: Callable[..., T],
        /,
        *arguments: Any,
        retry: Retry | int | None = None,
        timeout: float | timedelta | None = None,
        key: str | None = None,
    ) -> T: ...

    async def step(
        self,
        function: Callable[..., Any],
        /,
        *arguments: Any,
        retry: Retry | int | None = None,
        timeout: float | timedelta | None = None,
        key: str | None = None,
    ) -> Any:
        """The function's result, executed once: what JSON keeps of it, as the type that it promises to return.

        `timeout` is for one try. A crash in the middle executes it again, with the same `idempotency_key`. Raises
        StepFailed when it has failed for good, now and in each replay.
        """
        limit = None if timeout is None else seconds_of(timeout)
        return await self._calls.step(function, arguments, retry, limit, key)

    async def sleep(self, duration: float | timedelta, *, key: str | None = None) -> None:
        """Wait for so many seconds, for days if need be: no worker is held meanwhile."""
        await self._calls.sleep(None, seconds_of(duration), key)

    async def sleep_until(self, moment: datetime, *, key: str | None = None) -> None:
        """Wait until a time. Raises ValueError for one without a time zone."""
        if moment.tzinfo is None:
            raise ValueError("The time needs a time zone: datetime(…, tzinfo=UTC).")
        await self._calls.sleep(round(moment.timestamp() * 1000), 0, key)

    async def wait_for_signal(
        self, name: str, *, timeout: float | timedelta | None = None, type: Any = None, key: str | None = None
    ) -> Any:
        """The payload of the next signal of that name which no call has taken yet, also of one that came before.

        `type`: what the payload is read as. Raises TimeoutError when none came in time.
        """
        recorded = await self._calls.signal(name, None if timeout is None else seconds_of(timeout), key)
        return _read(recorded, type)

    async def approve(
        self,
        question: str,
        *,
        details: Mapping[str, object] | None = None,
        timeout: float | timedelta | None = None,
        key: str | None = None,
    ) -> Approval:
        """Ask somebody: the run waits with a pending call `approve`, which POST /runs/{run_id}/resume answers.

        Whatever does not clearly say yes is a no. Raises TimeoutError when nobody answered in time.
        """
        limit = None if timeout is None else seconds_of(timeout)
        return Approval(**from_json(await self._calls.approval(question, details or {}, limit, key)))

    async def run_child(
        self,
        target: str,
        input: object = None,
        *,
        type: Any = None,
        name: str | None = None,
        timeout_seconds: int | None = None,
        backoff_limit: int | None = None,
        key: str | None = None,
    ) -> Any:
        """The output of a child run of `agent:<name>`, `workflow:…`, `task:…` or `eval:…`, when it has ended.

        `input` is an object or a model; for an agent also a text, which is the user's message. `type`: what the output
        is read as. Raises ChildFailed when it did not complete. A cancelled run cancels its children.
        """
        recorded = await self._calls.child(target, input, key, name, timeout_seconds, backoff_limit)
        return _read(recorded, type)

    async def log(self, text: str) -> None:
        """A line for the run's log, and for `logs` of the canonical run."""
        if self._calls.live:
            await self._calls.emitter.emit(CustomEvent(name=LOG, value={"stream": SAID, "text": f"{text}\n"}))

    async def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Tells how far the work is."""
        if self._calls.live:
            await self._run.progress(done, total, text)

    async def publish(self, name: str, value: object) -> None:
        """Makes a JSON value the answer to the query `name` from now on."""
        if self._calls.live:
            await self._run.publish(name, value)


def _read(recorded: bytes, kind: Any) -> Any:
    return from_json(recorded) if kind is None else TypeAdapter(kind).validate_json(recorded)
