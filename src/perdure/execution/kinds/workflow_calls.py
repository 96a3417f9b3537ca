"""The durable calls of one attempt of a workflow: each is found in the journal, or made and recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

import msgspec
from ag_ui.core import (
    CustomEvent,
    StepFinishedEvent,
    StepStartedEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallStartEvent,
)
from pydantic import BaseModel
from pydantic_core import to_json

from perdure.domain.agui import ToolResult
from perdure.domain.decision import decided
from perdure.domain.errors import IdempotencyKeyReused, InvalidRequest, NotFound
from perdure.domain.past import Answer
from perdure.domain.run import PendingCall, Status, WaitingReason
from perdure.domain.stored_run import Run
from perdure.domain.workflow import (
    Call,
    Failure,
    Journal,
    Nondeterminism,
    Op,
    Problem,
    Result,
    call_key,
    failure_key,
    result_key,
)
from perdure.execution.branches import Branches
from perdure.execution.emitter import Emitter
from perdure.execution.log import RunContext
from perdure.execution.workflow_links import WorkflowLinks
from perdure.execution.workflow_steps import (
    PASSED_ON,
    ChildFailed,
    Retry,
    StepFailed,
    execute,
    name_of,
    read_result,
    recorded_form,
    retry_of,
)
from perdure.execution.workflow_waits import Wait, Waits
from perdure.services.workflows import ChildRequest

_STEP: Final[ContextVar[str | None]] = ContextVar("workflow_step", default=None)
_APPROVE: Final = "approve"


class Calls:
    """The calls of one attempt. Everything that it writes goes through `emitter`."""

    def __init__(self, run: RunContext, links: WorkflowLinks | None) -> None:
        self.run = run
        self.emitter = Emitter(run)
        self.journal = Journal(run.past.steps)
        self.branches = Branches(f"{run.run_id}.{run.past.generation}")
        self.waits = Waits(links, run.clock, run.past.signals, self.journal.taken_signals, run.answers)
        self._links = links

    @property
    def live(self) -> bool:
        """Whether the code has come to what is not recorded yet."""
        live = not self.journal.replaying and not self.waits.closing
        self.run.progress_made.live = live
        return live

    def step_place(self) -> str | None:
        """The place of the step in which this is asked."""
        return _STEP.get()

    async def now(self) -> int:
        """The time at which the code first came here, in integer milliseconds."""
        place, recorded = self._find(Op.NOW, "now", None)
        if recorded is None:
            recorded = Call(Op.NOW, "now", until=self.run.clock())
            await self._record(call_key(place), recorded)
        return recorded.until or 0

    async def sleep(self, until: int | None, seconds: float, key: str | None) -> None:
        """Wait until a time, or for so many seconds from when the code first came here."""
        place, recorded = self._find(Op.SLEEP, "sleep", key)
        if recorded is None:
            recorded = Call(Op.SLEEP, "sleep", until=until or self._in(seconds))
            await self._record(call_key(place), recorded)
        if recorded.until is not None and recorded.until > self.run.clock():
            await self.waits.wait(Wait(until=recorded.until))

    async def signal(self, name: str, timeout: float | None, key: str | None) -> bytes:
        """The payload of a signal. Raises TimeoutError."""
        place, recorded = self._find(Op.SIGNAL, name, key)
        recorded = recorded or await self._called(place, Call(Op.SIGNAL, name, until=self._deadline(timeout)))
        result = self.journal.result(place)
        if result is None:
            result = _signalled(await self.waits.wait(Wait(until=recorded.until, signal=name)))
            await self._record(result_key(place), result)
        if result.timed_out:
            raise TimeoutError(f"No signal {name!r} came in time.")
        return bytes(result.value)

    async def approval(
        self, question: str, details: Mapping[str, object], timeout: float | None, key: str | None
    ) -> bytes:
        """The decision {approved, message, value}. Raises TimeoutError."""
        place, recorded = self._find(Op.APPROVAL, question, key)
        if recorded is None:
            call_id = f"{self.run.idempotency_key(place)}.{_APPROVE}"
            await self._ask(call_id, {"question": question, **details})
            recorded = Call(Op.APPROVAL, question, until=self._deadline(timeout), id=call_id)
            await self._record(call_key(place), recorded)
        result = self.journal.result(place)
        if result is None:
            call_id = recorded.id or place
            pending = PendingCall(call_id, _APPROVE, WaitingReason.APPROVAL)
            result = _decided(await self.waits.wait(Wait(until=recorded.until, call=pending)))
            await self._answered(call_id, result)
            await self._record(result_key(place), result)
        if result.timed_out:
            raise TimeoutError(f"Nobody answered in time: {question}")
        return bytes(result.value)

    async def child(
        self,
        target: str,
        given: object,
        key: str | None,
        name: str | None,
        timeout_seconds: int | None,
        backoff_limit: int | None,
    ) -> bytes:
        """The output of a child run. Raises ChildFailed."""
        place, recorded = self._find(Op.CHILD, target, key)
        if recorded is None:
            wanted = ChildRequest(
                target=target,
                input=_child_input(target, given),
                key=self.run.idempotency_key(f"child:{place}"),
                name=name,
                timeout_seconds=timeout_seconds,
                backoff_limit=backoff_limit,
            )
            recorded = await self._started(place, wanted)
        result = self.journal.result(place)
        if result is None:
            ended = await self.waits.wait(Wait(child=recorded.id))
            result = _ended(ended if isinstance(ended, Run) else None)
            await self._record(result_key(place), result)
        if result.problem is not None:
            raise ChildFailed(target, recorded.id, result.problem)
        return bytes(result.value)

    async def step(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        retry: Retry | int | None,
        timeout: float | None,
        key: str | None,
    ) -> Any:
        """The result of a step. Raises StepFailed."""
        policy, name = retry_of(retry), name_of(function)
        place, recorded = self._find(Op.STEP, name, key)
        if recorded is not None:
            return read_result(function, bytes(recorded.value))
        failure = self.journal.failure(place)
        while True:
            if failure is not None:
                await self._before_next(name, failure)
            outcome = await self._try(place, name, lambda: execute(function, arguments, timeout))
            if not isinstance(outcome, Exception):
                value = recorded_form(function, outcome)
                await self._record(call_key(place), Call(Op.STEP, name, value=msgspec.Raw(value)))
                return read_result(function, value)
            failure = self._failed(outcome, policy, 1 if failure is None else failure.tries + 1)
            await self._record(failure_key(place), failure)

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _before_next(self, name: str, failure: Failure) -> None:
        if failure.again_at is None:
            raise StepFailed(name, failure.problem)
        if failure.again_at > self.run.clock():
            await self.waits.wait(Wait(until=failure.again_at))

    async def _try(self, place: str, name: str, run: Callable[[], Any]) -> object:
        """What a step returned, or the exception that it raised."""
        stage = name if name not in self.emitter.fold.past().open_stages else f"{name} ({place})"
        with self.waits.working():
            await self.emitter.emit(StepStartedEvent(step_name=stage))
            token = _STEP.set(place)
            outcome: object
            try:
                outcome = await run()
            except PASSED_ON:
                raise
            except Exception as error:
                outcome = error
            finally:
                _STEP.reset(token)
            await self.emitter.emit(StepFinishedEvent(step_name=stage))
            return outcome

    def _failed(self, error: Exception, policy: Retry, tries: int) -> Failure:
        problem = Problem(type(error).__name__, str(error))
        again = policy.again(error, tries)
        return Failure(problem, tries, self.run.clock() + policy.delay_ms(tries) if again else None)

    # --- what all have in common -------------------------------------------------------------------------------------

    def _find(self, op: Op, name: str, key: str | None) -> tuple[str, Call | None]:
        if self.waits.closing:
            raise asyncio.CancelledError
        if _STEP.get() is not None:
            raise RuntimeError(f"A step cannot call ctx.{op}: only the workflow itself can.")
        place = self.branches.place() if key is None else f"key:{key}"
        self.waits.moved()
        return place, self.journal.call(place, op, name)

    async def _called(self, place: str, call: Call) -> Call:
        await self._record(call_key(place), call)
        return call

    async def _record(self, key: str, value: Call | Result | Failure) -> None:
        with self.waits.working():
            await self.emitter.record(key, msgspec.json.encode(value))

    def _in(self, seconds: float) -> int:
        return self.run.clock() + round(seconds * 1000)

    def _deadline(self, timeout: float | None) -> int | None:
        return None if timeout is None else self._in(timeout)

    async def _ask(self, call_id: str, arguments: dict[str, object]) -> None:
        if self.emitter.fold.call(call_id) is not None:
            return  # by an attempt that was lost before it could record it
        await self.emitter.emit(
            ToolCallStartEvent(tool_call_id=call_id, tool_call_name=_APPROVE),
            ToolCallArgsEvent(tool_call_id=call_id, delta=to_json(arguments).decode()),
            ToolCallEndEvent(tool_call_id=call_id),
        )

    async def _answered(self, call_id: str, result: Result) -> None:
        content = "Nobody answered in time." if result.timed_out else bytes(result.value).decode()
        await self.emitter.emit(
            ToolResult(
                message_id=f"result:{call_id}",
                tool_call_id=call_id,
                content=content,
                role="tool",
                is_error=result.timed_out or None,
            )
        )

    async def _started(self, place: str, wanted: ChildRequest) -> Call:
        if self._links is None:
            raise LookupError("This run is not executed by a server: it has no children.")
        with self.waits.working():
            try:
                child_id = await self._links.start_child(wanted)
            except IdempotencyKeyReused as error:
                detail = f"Child {wanted.target} was started at place {place} with another input before."
                raise Nondeterminism(detail) from error
            except (NotFound, InvalidRequest) as error:
                problem = Problem(error.code, error.detail)
                await self._called(place, Call(Op.CHILD, wanted.target))
                await self._record(result_key(place), Result(problem=problem))
                raise ChildFailed(wanted.target, None, problem) from error
            told = CustomEvent(name="perdure.child.started", value={"runId": child_id, "target": wanted.target})
            await self.emitter.emit(told)
        return await self._called(place, Call(Op.CHILD, wanted.target, id=child_id))


def _signalled(came: object) -> Result:
    if isinstance(came, tuple):
        number, payload = came
        return Result(value=msgspec.Raw(to_json(payload)), signal=number)
    return Result(timed_out=True)


def _decided(came: object) -> Result:
    if not isinstance(came, Answer):
        return Result(timed_out=True)
    decision = decided(came)
    value = {"approved": decision.approved, "message": decision.message, "value": came.value}
    return Result(value=msgspec.Raw(to_json(value)))


def _ended(run: Run | None) -> Result:
    if run is None:
        return Result(problem=Problem("lost", "It is gone."))
    if run.status is Status.COMPLETED:
        return Result(value=msgspec.Raw((run.output or "null").encode()))
    error = run.error
    code, message = ("FAILED", "") if error is None else (error.code or "FAILED", error.message)
    return Result(problem=Problem(code, message, run.status))


def _child_input(target: str, given: object) -> bytes | None:
    """The input of a child as JSON; an agent's is a conversation."""
    if given is None:
        return None
    if target.startswith("agent:") and isinstance(given, str):
        messages = [{"role": "user", "content": given}]
        return to_json({"messages": messages, "context": {"project_id": None, "branch_id": None}})
    if not isinstance(given, (Mapping, BaseModel)):
        raise TypeError(f"The input of {target} must be an object, not {type(given).__name__}.")
    return to_json(given)
