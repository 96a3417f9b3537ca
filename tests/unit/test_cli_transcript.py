"""What `perdure runs tail` makes of events."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from perdure.cli.custom_lines import Piece
from perdure.cli.folding import arguments, folded, folded_value, printable
from perdure.cli.transcript import WIDTH, Transcript


def event(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, **members}


def custom(name: str, /, **value: Any) -> dict[str, Any]:
    return event("CUSTOM", name=name, value=value)


def text(message_id: str, *deltas: str) -> list[dict[str, Any]]:
    content = [event("TEXT_MESSAGE_CONTENT", messageId=message_id, delta=delta) for delta in deltas]
    return [
        event("TEXT_MESSAGE_START", messageId=message_id, role="assistant"),
        *content,
        event("TEXT_MESSAGE_END", messageId=message_id),
    ]


def call(call_id: str, name: str, *parts: str) -> list[dict[str, Any]]:
    content = [event("TOOL_CALL_ARGS", toolCallId=call_id, delta=part) for part in parts]
    return [
        event("TOOL_CALL_START", toolCallId=call_id, toolCallName=name),
        *content,
        event("TOOL_CALL_END", toolCallId=call_id),
    ]


def result(call_id: str, content: object, **more: Any) -> dict[str, Any]:
    return event("TOOL_CALL_RESULT", messageId=f"m:tool:{call_id}", toolCallId=call_id, content=content, **more)


def pieces(*events: dict[str, Any]) -> list[Piece]:
    transcript = Transcript("r-1")
    return [piece for one in events for piece in transcript.feed(one)] + transcript.close()


def shown(*events: dict[str, Any]) -> str:
    return "".join(piece.text for piece in pieces(*events))


def test_a_whole_run() -> None:
    story = shown(
        event("RUN_STARTED", threadId="t", runId="r-1"),
        event("REASONING_MESSAGE_CONTENT", messageId="m.r", delta="Look it up."),
        event("REASONING_MESSAGE_END", messageId="m.r"),
        *text("m", "It is ", "sunny", ".\n", "Take a hat."),
        *call("c1", "weather", '{"city": "Lis', 'bon", "days": 2}'),
        *call("c2", "now"),
        result("c2", '{"time":"noon"}'),
        result("c1", "no such city", isError=True),
        event("STATE_SNAPSHOT", snapshot={"plan": ["a", "b"]}),
        event(
            "STATE_DELTA", delta=[{"op": "replace", "path": "/plan/0", "value": "c"}, {"op": "remove", "path": "/x"}]
        ),
        event("STEP_STARTED", stepName="step-1"),
        event("STEP_FINISHED", stepName="step-1"),
        event("ACTIVITY_SNAPSHOT", activityType="search", content={"hits": 3}),
        custom("my.event", n=1),
        event("RUN_FINISHED", metadata={"model": "demo", "inputTokens": 5, "outputTokens": 7}),
    )
    assert story == snapshot("""\
● run r-1 started
Look it up.
It is sunny.
Take a hat.
→ weather(city="Lisbon", days=2)
→ now()
← now: {"time":"noon"}
✗ weather: no such city
◇ state {"plan":["a","b"]}
◇ state replace /plan/0 c
◇ state remove /x
· step-1
◇ search {"hits":3}
◆ my.event {"n":1}
✔ completed  demo: 5 tokens in, 7 out
""")


def test_text_is_shown_as_it_comes() -> None:
    transcript = Transcript("r-1")
    start, one, two, end = text("m", "Once ", "upon")
    assert transcript.feed(start) == []
    assert transcript.feed(one) == [Piece("Once ")]
    assert transcript.feed(two) == [Piece("upon")]
    assert transcript.feed(end) == [Piece("\n")]
    assert transcript.close() == []


def test_two_that_speak_at_once_have_lines_of_their_own() -> None:
    a, b = text("a", "from a")[1], text("b", "from b")[1]
    assert shown(a, b, a) == "from a\nfrom b\nfrom a\n"


def test_waiting_says_what_to_type() -> None:
    story = shown(
        *call("c1", "send_mail", '{"to":"ann"}'),
        custom(
            "perdure.run.waiting",
            reason="approval",
            calls=[
                {"toolCallId": "c1", "toolCallName": "send_mail", "reason": "approval"},
                {"toolCallId": "c 2", "toolCallName": "ask_user", "reason": "tool"},
            ],
        ),
        custom("perdure.run.approval", toolCallId="c1", toolCallName="send_mail", value={"approved": True}),
        custom("perdure.run.waiting", reason="event", calls=[]),
        custom("perdure.signal", name="go", payload={"n": 1}),
        custom("perdure.signal", name="again", payload=None),
    )
    assert story == snapshot("""\
→ send_mail(to="ann")
⏸ waiting for approval
    send_mail(to="ann")
    $ perdure runs approve r-1 c1
    $ perdure runs approve r-1 c1 --deny
    ask_user
    $ perdure runs resume r-1 'c 2' RESULT
✓ approved: send_mail(to="ann")
⏸ waiting for a signal
    $ perdure runs signal r-1 NAME
⚡ signal go {"n":1}
⚡ signal again \n\
""")


def test_a_denial_and_an_answer_of_another_form() -> None:
    story = shown(
        custom("perdure.run.approval", toolCallId="c1", toolCallName="pay", value={"approved": False, "message": "no"}),
        custom("perdure.run.approval", toolCallId="c2", toolCallName="pay", value="maybe"),
    )
    assert story == "✗ denied: pay  no\n✓ answered: pay maybe\n"


def test_a_name_that_was_learned_late_is_used() -> None:
    approval = custom("perdure.run.approval", toolCallId="c1", toolCallName="pay", value={"approved": True})
    assert shown(approval, result("c1", "paid")).splitlines()[1] == "← pay: paid"


def test_what_a_lost_attempt_said_is_struck() -> None:
    events = (
        *text("m1", "Once upon\n", "a ti")[:-1],
        *call("c1", "look", "{}"),
        custom("perdure.run.yielded", attempt=1, reason="lease_expired"),
        custom("perdure.run.attempt", attempt=2),
        custom("perdure.message.superseded", messageId="m1", reason="attempt_lost", toolCallIds=["c1"]),
        *text("m2", "Once more"),
    )
    assert shown(*events) == snapshot("""\
Once upon
a ti
→ look()
↻ attempt 1 ended without a result: lease_expired
↻ attempt 2
↶ taken back (attempt_lost): Once upon a ti · look
Once more
""")
    assert Piece("Once upon a ti", "strike dim") in pieces(*events)


def test_a_result_that_is_taken_back_names_its_call() -> None:
    events = (
        *call("c1", "look"),
        result("c1", "cancelled"),
        custom("perdure.message.superseded", messageId="m:tool:c1"),
    )
    assert shown(*events).splitlines()[-1] == "↶ taken back: the result of look"


def test_ends_and_restarts() -> None:
    story = shown(
        event("RUN_ERROR", message="It broke\nbadly", code="BOOM"),
        custom("perdure.run.restarted", **{"from": "failed", "fresh": True}),
        custom("perdure.run.cancelling", reason="Enough."),
        event("RUN_ERROR", message="Enough.", code="CANCELLED"),
        custom("perdure.run.restarted", **{"from": "cancelled", "fresh": False}),
        event("RUN_FINISHED"),
    )
    assert story == snapshot("""\
✖ failed: It broke badly  BOOM
↻ restarted (failed before, from the beginning)
■ cancelling: Enough.
■ cancelled: Enough.
↻ restarted (cancelled before)
✔ completed
""")


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"type": 7},
        event("TEXT_MESSAGE_CONTENT"),
        event("TOOL_CALL_ARGS", toolCallId="unknown", delta="x"),
        event("TOOL_CALL_END", toolCallId=None),
        event("TOOL_CALL_RESULT"),
        event("TOOL_CALL_CHUNK", toolCallId="c", delta=5),
        event("STATE_DELTA", delta={"not": "a list"}),
        event("STATE_DELTA", delta=["not an object"]),
        event("STATE_SNAPSHOT"),
        event("RUN_ERROR", message=None),
        event("RUN_FINISHED", metadata=["odd"]),
        event("CUSTOM", name=None, value=None),
        event("CUSTOM", name="perdure.run.waiting", value="odd"),
        custom("perdure.run.waiting", reason=1, calls=[1, {"toolCallId": 2}]),
        custom("perdure.run.approval"),
        custom("perdure.run.attempt"),
        custom("perdure.message.superseded", toolCallIds="odd"),
        custom("perdure.message.file"),
        event("AN_EVENT_OF_THE_FUTURE", n=1),
    ],
)
def test_events_of_any_form_are_survived(odd: dict[str, Any]) -> None:
    told = shown(odd)
    assert told == "" or told.endswith("\n")


def test_an_unknown_event_is_shown_as_it_is() -> None:
    assert shown(event("NEW", n=1)) == '· {"type":"NEW","n":1}\n'


def test_long_values_stay_on_their_line() -> None:
    line = shown(*call("c", "save", f'{{"text": "{"long " * 200}"}}'))
    assert line.startswith('→ save(text="long long') and line.endswith("…)\n")
    assert len(line) < WIDTH + 20


def test_what_steers_a_terminal_is_left_out() -> None:
    assert printable("a\x1b[31mb\x07\r\nc\td\x9b") == "a[31mb\nc\td"
    assert "\x1b" not in shown(*text("m", "\x1b]0;owned\x07hello"))


def test_folding() -> None:
    assert folded("  a \n b  ", 10) == "a b"
    assert folded("abcdef", 4) == "abc…"
    assert folded_value({"a": [1, None]}, 20) == '{"a":[1,null]}'
    assert folded_value("as it is", 20) == "as it is"
    assert arguments("", 20) == ""
    assert arguments('{"a":', 20) == '{"a":'
    assert arguments("[1, 2]", 20) == "[1,2]"
