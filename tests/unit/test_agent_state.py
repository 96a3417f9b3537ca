"""The state that a log shows: snapshots, patches, input requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.agent_state import AgentState

EMPTY: dict[str, Any] = {"invokeAgentChildRuns": {}, "inputRequestsByToolCallId": {}}


def state(*events: dict[str, Any]) -> dict[str, Any]:
    folded = AgentState()
    for event in events:
        folded.add(event["type"], json.dumps(event))
    return folded.value()


def delta(*operations: Any) -> dict[str, Any]:
    return {"type": "STATE_DELTA", "delta": list(operations)}


def snapshot(**members: Any) -> dict[str, Any]:
    return {"type": "STATE_SNAPSHOT", "snapshot": members}


def test_a_child_run_is_added_and_replaced() -> None:
    path = "/invokeAgentChildRuns/a~1b"
    first = delta({"op": "add", "path": path, "value": {"status": "pending"}})
    second = delta({"op": "replace", "path": path, "value": {"status": "running"}})
    assert state(first, second) == {**EMPTY, "invokeAgentChildRuns": {"a/b": {"status": "running"}}}
    assert state(second)["invokeAgentChildRuns"] == {"a/b": {"status": "running"}}


def test_a_snapshot_replaces_everything_but_the_two_members() -> None:
    assert state(snapshot(a=1), snapshot(b=2)) == {**EMPTY, "b": 2}
    assert state({"type": "STATE_SNAPSHOT", "snapshot": 3}, delta(), {"type": "TEXT_MESSAGE_START"}) == EMPTY


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/l/1", "value": 9}, [1, 9, 2]),
        ({"op": "add", "path": "/l/-", "value": 9}, [1, 2, 9]),
        ({"op": "replace", "path": "/l/0", "value": 9}, [9, 2]),
        ({"op": "remove", "path": "/l/0"}, [2]),
        ({"op": "copy", "from": "/l/0", "path": "/l/-"}, [1, 2, 1]),
        ({"op": "move", "from": "/l/0", "path": "/l/1"}, [2, 1]),
        ({"op": "replace", "path": "/l", "value": None}, None),
        ({"op": "add", "path": "/l/7", "value": 9}, [1, 2]),
        ({"op": "remove", "path": "/l/01x"}, [1, 2]),
        ({"op": "remove", "path": "/none"}, [1, 2]),
        ({"op": "add", "path": "/none/deep", "value": 1}, [1, 2]),
        ({"op": "replace", "path": "", "value": 1}, [1, 2]),
    ],
)
def test_patches(operation: dict[str, Any], expected: object) -> None:
    assert state(snapshot(l=[1, 2]), delta(operation)) == {**EMPTY, "l": expected}


def test_a_patch_ends_at_its_first_operation_that_does_not_fit() -> None:
    wanted = [{"op": "add", "path": f"/{name}", "value": name} for name in "ab"]
    failed = {"op": "test", "path": "/a", "value": "other"}
    passed = {"op": "test", "path": "/a", "value": "a"}
    assert state(delta(wanted[0], failed, wanted[1])) == {**EMPTY, "a": "a"}
    assert state(delta(wanted[0], passed, wanted[1])) == {**EMPTY, "a": "a", "b": "b"}


def test_an_input_request_stands_under_its_tool_call() -> None:
    def told(status: str) -> dict[str, Any]:
        value = {"action": "updated", "inputRequest": {"toolCallId": "c", "status": status}}
        return {"type": "CUSTOM", "name": "veryfront.input_request.lifecycle", "value": value}

    assert state(told("open"), told("submitted"))["inputRequestsByToolCallId"] == {
        "c": {"toolCallId": "c", "status": "submitted"}
    }
    assert state({"type": "CUSTOM", "name": "other", "value": {"inputRequest": {"toolCallId": "c"}}}) == EMPTY


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.sampled_from(["", "/", "/a", "/a/0", "/a/b", "a", "/invokeAgentChildRuns", "/inputRequestsByToolCallId/x"])
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "odd"]), "path": PATHS},
    optional={"from": PATHS, "value": JSON},
)


@given(st.lists(OPERATIONS | JSON, max_size=8), JSON)
def test_any_patch_leaves_an_object(operations: list[Any], value: Any) -> None:
    told = {"type": "CUSTOM", "name": "veryfront.input_request.lifecycle", "value": value}
    left = state(*(delta(operation) for operation in operations), told, {"type": "STATE_DELTA", "delta": value})
    assert isinstance(left, dict)
    json.dumps(left)
