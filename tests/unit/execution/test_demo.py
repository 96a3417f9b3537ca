"""The demo agents: what they show, and that they find their place again after anything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.fold import SUPERSEDED
from perdure.domain.message import Message, Role
from perdure.domain.run import PendingCall, WaitingReason
from perdure.execution.app_not_loaded import AppNotLoaded
from perdure.execution.demo import demo_app, words
from perdure.execution.demo.example import example_of
from perdure.execution.demo.script import FAILED
from perdure.execution.demo.story import chapter
from perdure.execution.demo.wish import TOKENS_PER_SECOND, Story, wish_of
from perdure.execution.log import Completed, Outcome, RunFailed, Waiting
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import (
    RUN_ID,
    Killed,
    MemoryLog,
    check_rules,
    context,
    public,
    recorded,
    results,
    transcript,
    types,
    user,
)

CLIENT_TOOL = {
    "name": "pick_color",
    "description": "Asks the user for a colour.",
    "parameters": {
        "type": "object",
        "properties": {"question": {"type": "string"}, "shades": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["question", "shades"],
    },
}


@dataclass
class Session:
    """One run, attempt by attempt, as the server leads it. Sleeps of the scripted model are counted, not slept."""

    prompt: str = "How does crash recovery work?"
    agent: str = "demo"
    messages: tuple[Message, ...] = ()
    request: dict[str, object] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    attempts: int = 0
    slept: float = 0.0

    async def attempt(self, kill_at: int = 0, *, late: bool = False, eager: bool = False) -> Outcome | None:
        """One attempt; None when it was killed."""
        self.attempts += 1
        log = MemoryLog(self.lines, kill_at, late=late, eager=eager)
        run = context(log, attempt=self.attempts, prompt=self.prompt)
        run = replace(run, messages=(*self.messages, *run.messages), input=self.request)
        try:
            return await run_attempt(demo_app(None, sleep=self.sleep).agents[self.agent], run)
        except Killed:
            return None
        except RunFailed:
            await log.flush()
            raise
        finally:
            self.lines = list(log.lines)

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        await asyncio.sleep(0)

    def append(self, *events: dict[str, object]) -> None:
        """What the server writes."""
        log = MemoryLog(self.lines)
        log.append(*events)
        self.lines = log.lines

    def park(self, waiting: Waiting) -> None:
        calls = [{"toolCallId": call.id, "toolCallName": call.name, "reason": call.reason} for call in waiting.calls]
        self.append({"type": "CUSTOM", "name": "perdure.run.waiting", "value": {"calls": calls}})

    def approve(self, call: PendingCall, value: object) -> None:
        self.append(
            {"type": "CUSTOM", "name": "perdure.run.approval", "value": {"toolCallId": call.id, "value": value}}
        )

    def answer(self, call: PendingCall, content: str, **more: object) -> None:
        event = {"type": "TOOL_CALL_RESULT", "messageId": f"result:{call.id}", "toolCallId": call.id, "role": "tool"}
        self.append({**event, "content": content, **more})

    def said(self) -> str:
        return "\n".join(transcript(self.lines).values())

    def called(self) -> list[str]:
        return [str(event["toolCallName"]) for event in public(self.lines) if event["type"] == "TOOL_CALL_START"]

    def state(self) -> dict[str, Any]:
        """What a client's state is in the end."""
        state: dict[str, Any] = {}
        for event in public(self.lines):
            if event["type"] == "STATE_SNAPSHOT":
                assert isinstance(event["snapshot"], dict)
                state = dict(event["snapshot"])
            if event["type"] == "STATE_DELTA":
                assert isinstance(event["delta"], list)
                for change in event["delta"]:
                    assert change["op"] == "add"
                    state[change["path"].removeprefix("/")] = change["value"]
        return state


# --- echo -------------------------------------------------------------------------------------------------------------


async def test_echo_says_the_last_user_message_word_by_word() -> None:
    session = Session(prompt="Hello,\n big   world ", agent="echo", messages=(user("before"),))
    assert await session.attempt() == Completed()
    assert session.said() == "Hello,\n big   world "
    assert types(session.lines).count("TEXT_MESSAGE_CONTENT") == 3
    assert {event["contentId"] for event in public(session.lines)} == {f"{RUN_ID}-1:text"}
    check_rules(session.lines)


async def test_echo_of_nothing_is_an_empty_message() -> None:
    session = Session(prompt="", agent="echo")
    assert await session.attempt() == Completed()
    assert types(session.lines) == ["TEXT_MESSAGE_START", "TEXT_MESSAGE_END"]


async def test_a_lost_echo_starts_over() -> None:
    session = Session(prompt="one two three four", agent="echo")
    assert await session.attempt(kill_at=4, eager=True) is None
    assert await session.attempt() == Completed()
    assert session.said() == "one two three four"
    assert types(session.lines).count("TEXT_MESSAGE_START") == 2
    check_rules(session.lines)


@given(st.text())
def test_words_lose_nothing(text: str) -> None:
    assert "".join(words(text)) == text
    assert all(words(text))


# --- demo: what it shows ----------------------------------------------------------------------------------------------


async def test_it_plans_looks_things_up_side_by_side_and_answers() -> None:
    session = Session()
    outcome = await session.attempt()
    assert isinstance(outcome, Completed)
    assert (outcome.model, outcome.output) == ("demo", list(transcript(session.lines).values())[-1])
    check_rules(session.lines)
    kinds = types(session.lines)
    assert kinds[0] == "REASONING_MESSAGE_START"
    assert session.called() == ["make_plan", "search_notes", "word_count"]
    assert kinds.index("STATE_SNAPSHOT") < kinds.index("STATE_DELTA")
    # Both calls were on their way before either had a result.
    starts = [place for place, kind in enumerate(kinds) if kind == "TOOL_CALL_START"]
    assert max(starts) < kinds.index("TOOL_CALL_RESULT")
    assert "Crash recovery" in session.said()
    assert "Your message has 5 words." in session.said()
    state = session.state()
    assert state["notes"]["found"] == ["Crash recovery"]
    assert state["counted"]["words"] == 5
    assert len(state["plan"]) == 2
    assert kinds.count("TEXT_MESSAGE_CONTENT") > 20


async def test_it_is_the_same_each_time() -> None:
    first, second = Session(), Session()
    await first.attempt()
    await second.attempt()
    assert public(first.lines) == public(second.lines)


async def test_a_second_turn_of_a_conversation_is_a_turn_of_its_own() -> None:
    calls = {"type": "tool_call", "id": f"call_{RUN_ID}_2", "name": "search_notes", "input": {"query": "x"}}
    result = {"type": "tool_result", "tool_call_id": f"call_{RUN_ID}_2", "output": {"notes": []}, "is_error": False}
    before = (
        user("How does crash recovery work?"),
        Message(None, Role.ASSISTANT, (calls, result, {"type": "text", "text": "My notes say nothing about that."})),
    )
    session = Session(prompt="And what of lost attempts?", messages=before)
    assert isinstance(await session.attempt(), Completed)
    check_rules(session.lines)
    assert session.called() == ["make_plan", "search_notes", "word_count"]
    assert "Your message has 5 words." in session.said()


async def test_tools_that_may_not_be_used_are_left_out() -> None:
    session = Session(request={"runtime_overrides": {"allowed_tools": ["word_count"]}})
    assert isinstance(await session.attempt(), Completed)
    assert session.called() == ["word_count"]
    session = Session(prompt="send it, and a long story", request={"runtime_overrides": {"allowed_tools": []}})
    assert isinstance(await session.attempt(), Completed)
    assert session.called() == []
    assert "12. " not in session.said()
    assert "That was a story in 8 chapters." in session.said()
    check_rules(session.lines)


async def test_it_fails_when_it_is_asked_to() -> None:
    session = Session(prompt="Please fail.")
    with pytest.raises(RunFailed) as failure:
        await session.attempt()
    assert failure.value.code == FAILED
    assert "breaks off" in session.said()
    check_rules(session.lines)


@pytest.mark.parametrize("prompt", ["", "   ", "\x00", "😀", "x" * 100_000, "<script>", "{} %s {0}"])
async def test_any_prompt_is_answered(prompt: str) -> None:
    session = Session(prompt=prompt)
    assert isinstance(await session.attempt(), Completed)
    check_rules(session.lines)


# --- demo: approvals and client tools ---------------------------------------------------------------------------------


async def test_it_sends_a_mail_once_a_person_approves() -> None:
    session = Session(prompt="Send the answer to ada@example.org.")
    waiting = await session.attempt()
    assert isinstance(waiting, Waiting)
    assert waiting.reason is WaitingReason.APPROVAL
    [call] = waiting.calls
    assert call.name == "send_email"
    check_rules(session.lines)
    session.park(waiting)
    session.approve(call, {"approved": True})
    assert isinstance(await session.attempt(), Completed)
    assert session.called().count("send_email") == 1
    assert '"to":"ada@example.org"' in results(session.lines)[call.id]
    assert session.said().endswith("The mail is sent: you approved it.")
    assert session.said().count("Let me look that up") == 1
    check_rules(session.lines)


async def test_it_accepts_a_no() -> None:
    session = Session(prompt="Ask for my approval.")
    waiting = await session.attempt()
    assert isinstance(waiting, Waiting)
    session.park(waiting)
    session.approve(waiting.calls[0], {"approved": False, "message": "Not today"})
    assert isinstance(await session.attempt(), Completed)
    assert results(session.lines)[waiting.calls[0].id] == "Not today"
    assert session.said().endswith("The mail is not sent: Not today")
    assert session.called().count("send_email") == 1
    check_rules(session.lines)


@pytest.mark.parametrize(("more", "said"), [({}, "answered: green."), ({"isError": True}, "could not be used: green.")])
async def test_it_uses_a_tool_of_the_client(more: dict[str, object], said: str) -> None:
    session = Session(request={"tools": [CLIENT_TOOL]})
    waiting = await session.attempt()
    assert isinstance(waiting, Waiting)
    assert waiting.calls == (PendingCall(waiting.calls[0].id, "pick_color", WaitingReason.TOOL),)
    arguments = "".join(
        str(event["delta"])
        for event in public(session.lines)
        if event["type"] == "TOOL_CALL_ARGS" and event["toolCallId"] == waiting.calls[0].id
    )
    assert arguments == '{"question":"How does crash recovery work?","shades":1}'
    session.park(waiting)
    session.answer(waiting.calls[0], "green", **more)
    assert isinstance(await session.attempt(), Completed)
    assert f"The tool pick_color of your application {said}" in session.said()
    check_rules(session.lines)


async def test_a_client_tool_a_mail_and_a_story_in_one_run() -> None:
    session = Session(prompt="Tell it for 10 seconds and send it.", request={"tools": [CLIENT_TOOL]})
    waited_for: list[str] = []
    while isinstance(outcome := await session.attempt(), Waiting):
        [call] = outcome.calls
        waited_for.append(call.name)
        session.park(outcome)
        if call.reason is WaitingReason.APPROVAL:
            session.approve(call, "yes")
        else:
            session.answer(call, "done")
    assert isinstance(outcome, Completed)
    assert waited_for == ["pick_color", "send_email"]
    assert session.called().count("save_chapter") == 2
    check_rules(session.lines)


# --- demo: long stories -----------------------------------------------------------------------------------------------


async def test_a_long_story_takes_its_time_and_comes_in_chapters() -> None:
    session = Session(prompt="Tell me a long story for 30 seconds, seed 7.")
    assert isinstance(await session.attempt(), Completed)
    assert 29 < session.slept < 42
    assert session.called().count("save_chapter") == 6
    assert session.state()["chapter"]["number"] == 6
    assert session.said().count("".join(chapter(7, 3, 100))) == 1
    check_rules(session.lines)


async def test_a_killed_story_goes_on_with_the_chapter_that_was_lost() -> None:
    session = Session(prompt="Tell me a long story for 30 seconds, seed 7.")
    whole = Session(prompt=session.prompt)
    await whole.attempt()
    assert await session.attempt(kill_at=400, eager=True) is None
    kept = recorded(session.lines)
    assert "model:3" in kept
    assert await session.attempt() is not None
    assert recorded(session.lines)[: len(kept)] == kept
    assert recorded(session.lines) == recorded(whole.lines)
    assert session.said() == whole.said()
    taken_back = [event for event in public(session.lines) if event.get("name") == SUPERSEDED]
    assert len(taken_back) == 1
    check_rules(session.lines)


@pytest.mark.parametrize("late", [False, True])
async def test_killed_anywhere_it_says_the_same_in_the_end(late: bool) -> None:
    whole = Session(prompt="Send it for 1 second to ada@example.org")
    outcome = await lead(whole)
    writes = len(whole.lines)
    for kill_at in range(1, writes, 7):
        session = Session(prompt=whole.prompt)
        if await session.attempt(kill_at, late=late, eager=kill_at % 2 == 0) is None:
            assert await lead(session) == outcome, f"killed at {kill_at}"
            assert session.said() == whole.said()
            assert came_of_it(session) == came_of_it(whole)
            assert session.state() == whole.state()
            check_rules(session.lines)


def came_of_it(session: Session) -> list[str]:
    """The results of the calls. The mail's own id names its call, which has another name if it was made twice."""
    return sorted(content.partition('"message_id"')[0] for content in results(session.lines).values())


async def lead(session: Session) -> Outcome | None:
    """Leads the run to its end; everything is approved."""
    while isinstance(outcome := await session.attempt(), Waiting):
        session.park(outcome)
        for call in outcome.calls:
            session.approve(call, True)
    return outcome


# --- its parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "seconds"),
    [
        ("Tell me a long story", 40.0),
        ("a LONG, really long bedtime story please", 40.0),
        ("Answer slowly", 40.0),
        ("Count for 10 seconds", 10.0),
        ("a long story for 2 minutes", 120.0),
        ("a long story for 0.5 s", 0.5),
        ("a long story for 999999 m", 3600.0),
        ("a short story", None),
        ("How long is the way home?", None),
    ],
)
def test_how_long_a_story_is(prompt: str, seconds: float | None) -> None:
    story = wish_of(prompt).story
    found = None if story is None else story.chapters * story.chapter_tokens / TOKENS_PER_SECOND
    assert found == (None if seconds is None else pytest.approx(seconds, abs=0.5))


def test_a_prompt_has_its_story_and_a_seed_another() -> None:
    def story(prompt: str) -> Story:
        found = wish_of(prompt).story
        assert found is not None
        return found

    assert story("a long story") == story("a long story")
    assert story("a long story").seed != story("a long story!").seed
    assert story("a long story, seed 7").seed == story("seed: 7, slowly").seed == 7


@pytest.mark.parametrize(
    ("prompt", "mail_to"),
    [
        ("Send it to bob@example.org, please.", "bob@example.org"),
        ("I want to approve that", "you@example.com"),
        ("needs approval", "you@example.com"),
        ("Improve the text of a@example.org", None),
    ],
)
def test_what_needs_approval(prompt: str, mail_to: str | None) -> None:
    assert wish_of(prompt).mail_to == mail_to


@given(st.integers(min_value=0), st.integers(1, 12), st.integers(1, 400))
def test_chapters_are_deterministic_and_about_as_long_as_asked(seed: int, number: int, length: int) -> None:
    tokens = chapter(seed, number, length)
    assert tokens == chapter(seed, number, length)
    assert length <= len(tokens) < length + 25
    assert all(tokens)
    text = "".join(tokens)
    assert text.endswith((".", ".\n\n"))
    assert "  " not in text
    assert " ." not in text


def test_the_words_of_a_story_never_change() -> None:
    assert "".join(chapter(7, 1, 20)) == (
        "1. The clock.\n\nThe old ferryman counted the song of the bells after the storm. "
        "The captain counted the song of the bells as on every night."
    )


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        (
            {"properties": {"a": {"enum": ["x", "y"]}, "b": {"const": 3}, "c": {"default": None}}},
            {"a": "x", "b": 3, "c": None},
        ),
        ({"properties": {"a": {"type": ["integer", "null"]}, "b": {"type": "boolean"}}, "required": ["a"]}, {"a": 1}),
        ({"properties": {"a": {"type": "array", "minItems": 1, "items": {"type": "string"}}}}, {"a": ["hi"]}),
        ({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "number", "minimum": 5}}}, {"a": 5}),
        ({"properties": {"a": {"anyOf": [{"type": "string", "maxLength": 1}, {"type": "null"}]}}}, {"a": "h"}),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, {"a": "hi"}),
        ({"type": "string"}, {}),
        ({}, {}),
        ({"properties": 3, "required": 4}, {}),
    ],
)
def test_example_arguments(schema: dict[str, object], example: dict[str, object]) -> None:
    assert example_of(schema, "hi") == example


def test_an_endless_schema_has_an_example() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}}
    assert isinstance(example_of(schema, "hi")["a"], dict)


@pytest.mark.parametrize("name", ["no-such-model", "nobody:x", "openai:gpt-5.2", "openai-chat:gpt-5.2"])
def test_a_model_that_cannot_be_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(AppNotLoaded, match=r"The demo agent cannot use the model"):
        demo_app(name)
