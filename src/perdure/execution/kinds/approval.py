"""Answers from outside, as the model library takes them: results of client tools, and decisions about tool calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied

from perdure.domain.past import Answer
from perdure.execution.log import PendingCall, Waiting, WaitingReason

_YES: Final = frozenset({"approve", "approved", "accept", "accepted", "allow", "allowed", "yes", "true", "ok"})
_DECISION: Final = ("approved", "approve", "accepted", "allowed", "decision", "action", "status")
_MESSAGE: Final = ("message", "reason", "feedback", "comment")
_ARGUMENTS: Final = ("arguments", "args", "override_args", "overrideArgs")


class Suspended(Exception):
    """The run waits for something from outside: this attempt is over."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__(f"The run waits for {', '.join(call.name for call in waiting.calls)}.")
        self.waiting = waiting


class OutsideAnswers(AbstractCapability[Any]):
    """Resolves calls of external tools, and of tools that need approval, with the answers that have come.

    Where one is missing the attempt ends; the next one replays its steps and comes here again. The agent's own handlers
    come first. `approve_all`: nobody is asked for approvals.
    """

    id: str | None = "perdure_answers"

    def __init__(self, answers: Mapping[str, Answer], *, approve_all: bool = False) -> None:
        self._answers = answers
        self._approve_all = approve_all
        self.waiting: Waiting | None = None

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """It belongs to one attempt, so no agent spec can name it."""
        return None

    def get_ordering(self) -> CapabilityOrdering:
        """After every other handler."""
        return CapabilityOrdering(position="innermost")

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Answers all of `requests`, or ends the attempt by raising Suspended."""
        missing = [
            *(() if self._approve_all else self._missing(requests.approvals, WaitingReason.APPROVAL)),
            *self._missing(requests.calls, WaitingReason.TOOL),
        ]
        if missing:
            self.waiting = Waiting(missing[0].reason, tuple(missing))
            raise Suspended(self.waiting)
        return DeferredToolResults(
            calls={call.tool_call_id: _result(self._answers[call.tool_call_id]) for call in requests.calls},
            approvals={call.tool_call_id: self._decision(call) for call in requests.approvals},
        )

    def _decision(self, call: ToolCallPart) -> ToolApproved | ToolDenied:
        answer = self._answers.get(call.tool_call_id)
        return ToolApproved() if answer is None else decision(answer)

    def _missing(self, calls: list[ToolCallPart], reason: WaitingReason) -> list[PendingCall]:
        return [PendingCall(c.tool_call_id, c.tool_name, reason) for c in calls if c.tool_call_id not in self._answers]


def decision(answer: Answer) -> ToolApproved | ToolDenied:
    """Whether a tool call may run. Anything that does not clearly say yes is a no.

    Understood are true and false, words such as "approve", and objects with `approved` (or `decision` …) that may also
    hold a `message` for the model, and `arguments` to use in place of the model's.
    """
    value = answer.value
    said: object = value
    message, arguments = answer.message, None
    if isinstance(value, Mapping):
        said = next((value[key] for key in _DECISION if key in value), None)
        message = next((str(value[key]) for key in _MESSAGE if value.get(key)), message)
        arguments = next((value[key] for key in _ARGUMENTS if isinstance(value.get(key), dict)), None)
    elif isinstance(value, str) and value.strip().lower() not in _YES:
        message = message or value
    if not answer.is_error and (said is True or (isinstance(said, str) and said.strip().lower() in _YES)):
        return ToolApproved(override_args=arguments)
    return ToolDenied(message) if message else ToolDenied()


def _result(answer: Answer) -> object:
    return ToolFailed(str(answer.message or answer.value)) if answer.is_error else answer.value
