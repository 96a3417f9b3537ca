"""What a workflow has done, as its log records it, and whether the code that is replayed still does the same.

Each call of a context that does something durable has a place (`execution/branches.py` counts them). What was
called there is recorded under `workflow:<place>`, and its result under `workflow-result:<place>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from perdure.domain.errors import PerdureError
from perdure.domain.past import ERROR_STEP

CALL: Final = "workflow:"
RESULT: Final = "workflow-result:"
FAILURE: Final = f"{ERROR_STEP}workflow:"


class Op(StrEnum):
    """What can be called."""

    STEP = "step"
    SLEEP = "sleep"
    SIGNAL = "signal"
    APPROVAL = "approval"
    CHILD = "child"
    NOW = "now"


class Nondeterminism(PerdureError):
    """The code does something else than what the log has recorded."""

    code = "nondeterminism"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something failed: the exception's class or the child's code, and its message."""

    type: str
    message: str
    status: str | None = None


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was called. `until`: the time at which it is over, in integer milliseconds; `id`: of a child or a call.

    A step is recorded with its `value`, when it has one.
    """

    op: Op
    name: str
    until: int | None = None
    id: str | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a call ended: with a JSON value, with a problem, or without an answer in time.

    `signal`: which of the run's signals it took, counted from 0.
    """

    value: msgspec.Raw = msgspec.Raw(b"null")
    problem: Problem | None = None
    timed_out: bool = False
    signal: int | None = None


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step that failed `tries` times; it is tried again at `again_at` (integer milliseconds), if that is given."""

    problem: Problem
    tries: int
    again_at: int | None = None


def call_key(place: str) -> str:
    """The key under which a call is recorded."""
    return f"{CALL}{place}"


def result_key(place: str) -> str:
    """The key under which the result of a call is recorded."""
    return f"{RESULT}{place}"


def failure_key(place: str) -> str:
    """The key under which a step's failures are recorded. A restart forgets them."""
    return f"{FAILURE}{place}"


class Journal:
    """The recorded calls and results of a run, and which of them the code has come to again."""

    def __init__(self, steps: Mapping[str, bytes]) -> None:
        self._calls = _recorded(steps, CALL, Call)
        self._results = _recorded(steps, RESULT, Result)
        self._failures = _recorded(steps, FAILURE, Failure)
        self._ahead = set(self._calls)
        self._seen: set[str] = set()

    @property
    def replaying(self) -> bool:
        """Whether the log has recorded calls that the code has not come to yet."""
        return bool(self._ahead)

    def call(self, place: str, op: Op, name: str) -> Call | None:
        """What was recorded at a place; None where the code does something new.

        Raises Nondeterminism where it is another call, and ValueError for a place that was used before.
        """
        if place in self._seen:
            raise ValueError(f"The key {place!r} is used twice: give each call a key of its own.")
        self._seen.add(place)
        self._ahead.discard(place)
        recorded = self._calls.get(place)
        if recorded is not None and (recorded.op, recorded.name) != (op, name):
            raise Nondeterminism(
                f"The code calls {op} {name!r} at place {place}, where the log has recorded {recorded.op} "
                f"{recorded.name!r}. Execute the run with the code that it began with, or restart it with `fresh`."
            )
        return recorded

    def result(self, place: str) -> Result | None:
        """The recorded result of a call."""
        return self._results.get(place)

    def failure(self, place: str) -> Failure | None:
        """What was recorded of a step's failures."""
        return self._failures.get(place)

    @property
    def taken_signals(self) -> frozenset[int]:
        """The signals that calls have taken, counted from 0."""
        return frozenset(result.signal for result in self._results.values() if result.signal is not None)

    def check_end(self) -> None:
        """Raises Nondeterminism when the code has ended and the log has recorded more."""
        if self._ahead:
            place = min(self._ahead, key=lambda place: (len(place), place))
            left = self._calls[place]
            raise Nondeterminism(
                f"The code has ended, but the log has recorded {left.op} {left.name!r} at place {place}. "
                "Execute the run with the code that it began with, or restart it with `fresh`."
            )


T = TypeVar("T")


def _recorded(steps: Mapping[str, bytes], prefix: str, kind: type[T]) -> dict[str, T]:
    return {
        key.removeprefix(prefix): msgspec.json.decode(value, type=kind)
        for key, value in steps.items()
        if key.startswith(prefix)
    }
