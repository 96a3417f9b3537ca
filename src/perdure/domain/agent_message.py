"""What an agent's own code tells through its log: names and values of the CUSTOM events (docs/agents.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

PUBLISHED: Final = "perdure.published"
"""A query's answer: value {name, value}. The newest one of a name counts."""

MESSAGE: Final = "perdure.message"
"""A message of the Agent Runs API: value {type, message, details?, workstreamId?}; `type` as in vertesia.md 3.2."""

PROGRESS: Final = "perdure.progress"
"""How far the work is: value {done?, total?, text}."""

AGENT_PLAN: Final = "AgentPlan"
"""Name under which a plan is published: {plan: [{id, goal, …}], comment?}."""

AVAILABLE_TOOLS: Final = "AvailableTools"
"""Name under which the tools of a turn are published: an array of {name, description}."""


class MessageKind(StrEnum):
    """The sorts of messages that an agent may send; those that end a turn or a run are the server's."""

    SYSTEM = "system"
    THOUGHT = "thought"
    UPDATE = "update"
    WARNING = "warning"
    ERROR = "error"
    ANSWER = "answer"
    REQUEST_INPUT = "request_input"

    @property
    def number(self) -> int:
        """Its number in vertesia.md 3.2."""
        return _NUMBERS[self]


_NUMBERS: Final = MappingProxyType(
    {
        MessageKind.SYSTEM: 0,
        MessageKind.THOUGHT: 1,
        MessageKind.UPDATE: 3,
        MessageKind.WARNING: 5,
        MessageKind.ERROR: 6,
        MessageKind.ANSWER: 7,
        MessageKind.REQUEST_INPUT: 9,
    }
)


def planned(tasks: Sequence[str | Mapping[str, object]]) -> list[dict[str, object]]:
    """The tasks of a plan, numbered from 1. A task is its goal, or an object that has one. Raises ValueError."""
    given = [{"goal": task} if isinstance(task, str) else task for task in tasks]
    if not all(task.get("goal") for task in given):
        raise ValueError("Each task of a plan needs a `goal`.")
    return [{"id": number, "status": "pending", **task} for number, task in enumerate(given, start=1)]
