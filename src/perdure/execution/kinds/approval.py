"""Answers from outside, as the model library takes them: results of client tools, and decisions about tool calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied

from perdure.domain.decision import Decision, decided
from perdure.domain.past import Answer
from perdure.execution.log import PendingCall, Waiting, WaitingReason


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
        return ToolApproved() if answer is None else _allowed(decided(answer))

    def _missing(self, calls: list[ToolCallPart], reason: WaitingReason) -> list[PendingCall]:
        return [PendingCall(c.tool_call_id, c.tool_name, reason) for c in calls if c.tool_call_id not in self._answers]


def _allowed(decision: Decision) -> ToolApproved | ToolDenied:
    if decision.approved:
        return ToolApproved(override_args=decision.arguments)
    return ToolDenied(decision.message) if decision.message else ToolDenied()


def _result(answer: Answer) -> object:
    return ToolFailed(str(answer.message or answer.value)) if answer.is_error else answer.value
