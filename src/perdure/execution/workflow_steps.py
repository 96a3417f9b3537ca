"""One step of a workflow: executed once, tried again as its policy says, its result recorded."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from perdure.domain.errors import Unavailable
from perdure.domain.workflow import Problem
from perdure.execution.log import RunFailed
from perdure.execution.recorder import LeaseLost

PASSED_ON: Final = (LeaseLost, Unavailable)
"""What is no failure of the step: the attempt itself cannot go on."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried, and how many seconds pass before it is tried again: `delay`, then `factor` times as
    much each time, at most `longest`. Only the exceptions in `on` are tried again."""

    attempts: int = 3
    delay: float = 1.0
    factor: float = 2.0
    longest: float = 60.0
    on: tuple[type[Exception], ...] = (Exception,)

    def delay_ms(self, tries: int) -> int:
        """The pause after so many tries, in milliseconds."""
        return round(min(self.longest, self.delay * self.factor ** (tries - 1)) * 1000)

    def again(self, error: Exception, tries: int) -> bool:
        """Whether it is tried again after so many tries."""
        return tries < self.attempts and isinstance(error, self.on)


ONCE: Final = Retry(attempts=1)


class StepFailed(RunFailed):
    """A step failed for good. `type` is the class of its exception, `error` its message."""

    def __init__(self, step: str, problem: Problem) -> None:
        super().__init__(f"Step {step} failed: {problem.type}: {problem.message}", "STEP_FAILED")
        self.step = step
        self.type = problem.type
        self.error = problem.message


class ChildFailed(RunFailed):
    """A child run failed, was cancelled, or could not be started (`run_id` None, `status` None)."""

    def __init__(self, target: str, run_id: str | None, problem: Problem) -> None:
        super().__init__(f"Child {target} {problem.status or 'failed'}: {problem.message}", "CHILD_FAILED")
        self.target = target
        self.run_id = run_id
        self.status = problem.status
        self.child_code = problem.type
        self.error = problem.message


def retry_of(value: Retry | int | None) -> Retry:
    """A number is the number of tries. Raises ValueError for none."""
    policy = ONCE if value is None else Retry(attempts=value) if isinstance(value, int) else value
    if policy.attempts < 1:
        raise ValueError("A step is tried at least once.")
    return policy


def seconds_of(value: float | timedelta) -> float:
    """A duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def name_of(function: Callable[..., object]) -> str:
    """What a step is called in the log."""
    name: str = getattr(function, "__qualname__", None) or type(function).__qualname__
    return name.rpartition("<locals>.")[2]


async def execute(function: Callable[..., Any], arguments: tuple[Any, ...], timeout: float | None) -> object:
    """The function's result. A plain function runs in a thread, where a time-out lets it run on unseen."""
    async with asyncio.timeout(timeout):
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        result = await asyncio.to_thread(function, *arguments)
        return await result if inspect.isawaitable(result) else result


def recorded_form(function: Callable[..., Any], value: object) -> bytes:
    """A result as JSON. Raises what the serializer raises for a value that JSON has no form for."""
    adapter = _returned(function)
    return to_json(value) if adapter is None else adapter.dump_json(value)


def read_result(function: Callable[..., Any], recorded: bytes) -> Any:
    """A recorded result, of the type that the function's signature promises."""
    adapter = _returned(function)
    return from_json(recorded) if adapter is None else adapter.validate_json(recorded)


def _returned(function: Callable[..., Any]) -> TypeAdapter[Any] | None:
    """What reads and writes the results of a function; None where it promises no type that can be."""
    try:
        hint = typing.get_type_hints(function).get("return")
        return None if hint is None or hint is type(None) else TypeAdapter(hint)
    except Exception:  # an annotation may be anything; JSON's own types are left then
        return None
