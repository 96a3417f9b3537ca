"""A recorded tool call comes back as it was: result, files, failures and deferrals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from ag_ui.core import BaseEvent, StateSnapshotEvent, TextMessageStartEvent
from pydantic import BaseModel
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)
from pydantic_ai.messages import BinaryContent, ToolReturn, ToolReturnPart

from perdure.domain.agui import client_event, custom_event
from perdure.execution.tool_steps import (
    ToolCrashed,
    ToolSignal,
    attached_events,
    encode_deferral,
    encode_error,
    encode_return,
    encode_signal,
    replay,
    return_part,
)

FILE = BinaryContent(b"%PDF\x00\xff", media_type="application/pdf")
VALUES: list[object] = [None, "", "text\n\x00é😀", 0, 1.5, True, [], {}, {"a": [1, None]}, FILE, [FILE, "x"]]


class City(BaseModel):
    name: str


@dataclass
class Point:
    x: int


@pytest.mark.parametrize("value", VALUES)
def test_a_result_is_the_same(value: object) -> None:
    assert replay(encode_return("t", "c", value)) == value


@pytest.mark.parametrize("value", [City(name="Ghent"), Point(3), (1, 2), {1: b"raw"}])
def test_a_model_sees_the_same_of_a_result_that_json_changes(value: object) -> None:
    again = replay(encode_return("t", "c", value))
    assert return_part("t", "c", again).model_response_str() == return_part("t", "c", value).model_response_str()


def test_a_tool_return_keeps_what_it_says_to_the_model() -> None:
    given = ToolReturn({"ok": True}, content=["look", FILE], metadata={"k": [1]}, tools=["next"])
    assert replay(encode_return("t", "c", given)) == given
    events = [StateSnapshotEvent(snapshot={}), StateSnapshotEvent(snapshot=1)]
    with_events = ToolReturn("x", metadata=events)
    assert attached_events(with_events) == events
    assert attached_events(ToolReturn("x", metadata=events[0])) == events[:1]
    assert attached_events(ToolReturn("x", metadata="text")) == attached_events("x") == []
    again = replay(encode_return("t", "c", with_events))
    assert isinstance(again, ToolReturn)
    assert again.return_value == "x"
    assert isinstance(replay(encode_return("t", "c", ToolReturn("x", metadata=object()))), ToolReturn)


def test_what_cannot_be_recorded_is_an_error() -> None:
    with pytest.raises(Exception, match="serialize"):
        encode_return("t", "c", object())


def retried(content: str) -> ToolRetryError:
    return ToolRetryError(ToolReturnPart("t", content, "c", outcome="retried"))


@pytest.mark.parametrize("signal", [ModelRetry("again"), retried("again")])
def test_a_wish_for_another_try_is_raised_again(signal: ToolSignal) -> None:
    with pytest.raises(ModelRetry) as raised:
        replay(encode_signal("t", "c", signal))
    assert raised.value.message == "again"


def test_a_failure_for_the_model_is_raised_again() -> None:
    part = ToolReturnPart("t", {"code": 7}, "c", outcome="failed")
    with pytest.raises(ToolFailedError) as raised:
        replay(encode_signal("t", "c", ToolFailedError(part)))
    assert raised.value.tool_failed == part
    with pytest.raises(ToolFailedError, match="no way"):
        replay(encode_signal("t", "c", ToolFailed("no way")))


def test_an_exception_stays_one() -> None:
    with pytest.raises(ToolCrashed, match="gone") as raised:
        replay(encode_error(KeyError("gone")))
    assert raised.value.type_name == "KeyError"


@pytest.mark.parametrize(
    "deferral",
    [
        lambda: CallDeferred(metadata={"job": 1}),
        lambda: CallDeferred(kind="question"),
        lambda: ApprovalRequired({"why": "cost"}),
    ],
)
def test_a_deferral_is_raised_again(deferral: Callable[[], CallDeferred | ApprovalRequired]) -> None:
    given = deferral()
    with pytest.raises(type(given)) as raised:
        replay(encode_deferral(given))
    assert vars(raised.value) == vars(given)


def test_events_that_a_tool_may_send() -> None:
    state = StateSnapshotEvent(snapshot={})
    assert client_event(state) is state
    assert custom_event("mine", state) is state
    assert custom_event("mine", {"a": 1}).model_dump(mode="json") == {
        "type": "CUSTOM",
        "name": "mine",
        "value": {"a": 1},
    }


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (lambda: client_event(TextMessageStartEvent(message_id="m")), "cannot send TEXT_MESSAGE_START"),
        (lambda: custom_event("perdure.step", 1), "are the server's"),
    ],
)
def test_events_that_a_tool_may_not_send(event: Callable[[], BaseEvent], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        event()
