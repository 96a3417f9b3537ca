"""The state that a run shows its clients (STATE_SNAPSHOT, STATE_DELTA), folded from its public events.

It always has the two members that veryfront.md 2.6 names, whether or not an event fills them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

CHILD_RUNS: Final = "invokeAgentChildRuns"
INPUT_REQUESTS: Final = "inputRequestsByToolCallId"
INPUT_REQUEST_EVENT: Final = "veryfront.input_request.lifecycle"
"""Name of the CUSTOM event with which an input request is told: value {action, inputRequest} (veryfront.md 2.4)."""

_TYPES: Final = frozenset({"STATE_SNAPSHOT", "STATE_DELTA", "CUSTOM"})


class _Line(msgspec.Struct):
    """The members of an event that count here."""

    type: object = None
    snapshot: object = None
    delta: object = None
    name: object = None
    value: msgspec.Raw = msgspec.Raw(b"null")


class _UnfitError(Exception):
    """A patch names a place that is not there."""


class AgentState:
    """The running state. Feed it a log from the beginning."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Line)
        self._state: dict[str, Any] = {CHILD_RUNS: {}, INPUT_REQUESTS: {}}

    def value(self) -> dict[str, Any]:
        """The state as a JSON object."""
        return self._state

    def add(self, kind: str, line: str) -> None:
        """Take in the next event, of type `kind`, as JSON text."""
        if kind not in _TYPES:
            return
        event = self._decoder.decode(line)
        if kind == "STATE_SNAPSHOT" and isinstance(event.snapshot, dict):
            self._state = {CHILD_RUNS: {}, INPUT_REQUESTS: {}, **event.snapshot}
        elif kind == "STATE_DELTA" and isinstance(event.delta, list):
            self._patch(event.delta)
        elif event.name == INPUT_REQUEST_EVENT:
            self._input_request(msgspec.json.decode(event.value))

    def _patch(self, operations: list[Any]) -> None:
        """Apply a JSON patch (RFC 6902) up to its first operation that does not fit."""
        try:
            for operation in operations:
                changed = _applied(self._state, operation)
                if not isinstance(changed, dict):
                    return
                self._state = changed
        except _UnfitError:
            return

    def _input_request(self, value: Any) -> None:
        request = value.get("inputRequest") if isinstance(value, dict) else None
        call_id = request.get("toolCallId") if isinstance(request, dict) else None
        known = self._state.get(INPUT_REQUESTS)
        if isinstance(call_id, str) and isinstance(known, dict):
            known[call_id] = request


def _applied(state: Any, operation: Any) -> Any:
    """The state after one operation; its containers are changed in place. `replace` also adds what is missing."""
    if not isinstance(operation, dict):
        raise _UnfitError
    path = _steps(operation.get("path"))
    match operation.get("op"):
        case "add" | "replace" as op:
            return _put(state, path, operation.get("value"), insert=op == "add")
        case "remove":
            return _without(state, path)
        case "copy":
            return _put(state, path, _copied(_at(state, _steps(operation.get("from")))), insert=True)
        case "move":
            source = _steps(operation.get("from"))
            moved = _at(state, source)
            return _put(_without(state, source), path, moved, insert=True)
        case "test" if _at(state, path) == operation.get("value"):
            return state
        case _:
            raise _UnfitError


def _steps(pointer: Any) -> list[str]:
    """A JSON pointer (RFC 6901) as its steps."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise _UnfitError
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _at(value: Any, path: list[str]) -> Any:
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list):
            value = value[_index(step, len(value) - 1)]
        else:
            raise _UnfitError
    return value


def _put(state: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, step = _at(state, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[step] = value
    elif isinstance(parent, list) and insert:
        parent.insert(len(parent) if step == "-" else _index(step, len(parent)), value)
    elif isinstance(parent, list):
        parent[_index(step, len(parent) - 1)] = value
    else:
        raise _UnfitError
    return state


def _without(state: Any, path: list[str]) -> Any:
    if not path:
        raise _UnfitError
    parent, step = _at(state, path[:-1]), path[-1]
    if isinstance(parent, dict) and step in parent:
        del parent[step]
    elif isinstance(parent, list):
        del parent[_index(step, len(parent) - 1)]
    else:
        raise _UnfitError
    return state


def _index(step: str, most: int) -> int:
    if not (step.isascii() and step.isdecimal() and len(step) < 10) or int(step) > most:
        raise _UnfitError
    return int(step)


def _copied(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))
