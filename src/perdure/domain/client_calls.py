"""Tools that the client of a run executes, and their calls: what parks a run that no engine executes.

The rule (veryfront.md 3.3 and 7 leave it to the server): a TOOL_CALL_END of a tool that the run's input names in
`tools`, without a TOOL_CALL_RESULT, is a call that waits for its result from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from perdure.domain.event import TOOL_CALL_RESULT, Segment
from perdure.domain.run import Kind, PendingCall

TOOL_CALL_END: Final = "TOOL_CALL_END"
NAMING_TYPES: Final = ("TOOL_CALL_START", "TOOL_CALL_CHUNK")
"""The types that say which tool a call is for."""

_TYPES: Final = frozenset({*NAMING_TYPES, TOOL_CALL_END, TOOL_CALL_RESULT})


class _Event(msgspec.Struct):
    """The members that count here; a writer's event may be of any shape."""

    toolCallId: object = None
    toolCallName: object = None


def client_tools(kind: Kind, input: str | None) -> frozenset[str]:
    """The names of the tools that the client executes, given a run's input as JSON text."""
    if kind is not Kind.AGENT or input is None or '"tools"' not in input:
        return frozenset()
    asked: Any = msgspec.json.decode(input)
    tools = asked.get("tools") if isinstance(asked, Mapping) else None
    found = (tool.get("name") for tool in tools if isinstance(tool, Mapping)) if isinstance(tools, list) else ()
    return frozenset(name for name in found if isinstance(name, str))


def ends_calls(segments: Iterable[Segment]) -> bool:
    """Whether a tool call ends in these events."""
    return any(TOOL_CALL_END in segment.types for segment in segments)


class ClientCalls:
    """Which calls wait for a result. First the events that are stored are added, then those that come."""

    def __init__(self, tools: frozenset[str]) -> None:
        self._tools = tools
        self._names: dict[str, str] = {}
        self._ended: dict[str, None] = {}
        self._answered: set[str] = set()

    def stored(self, types: Iterable[str], lines: Iterable[str]) -> None:
        """Events of the log: they name tools, and say what is answered."""
        self._take(types, lines, ends=False)

    def incoming(self, types: Iterable[str], lines: Iterable[str]) -> None:
        """Events that are to be appended."""
        self._take(types, lines, ends=True)

    def waiting(self) -> tuple[PendingCall, ...]:
        """The calls of client-side tools that ended in the incoming events and have no result, in order."""
        calls = (PendingCall(call_id, self._names.get(call_id, "")) for call_id in self._ended)
        return tuple(call for call in calls if call.name in self._tools and call.id not in self._answered)

    def _take(self, types: Iterable[str], lines: Iterable[str], *, ends: bool) -> None:
        for kind, line in zip(types, lines, strict=True):
            if kind not in _TYPES:
                continue
            event = msgspec.json.decode(line, type=_Event)
            call_id, name = event.toolCallId, event.toolCallName
            if not isinstance(call_id, str) or not call_id:
                continue
            if kind == TOOL_CALL_RESULT:
                self._answered.add(call_id)
            elif kind == TOOL_CALL_END:
                self._ended.update({call_id: None} if ends else {})
            elif isinstance(name, str):
                self._names[call_id] = name
