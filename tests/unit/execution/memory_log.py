"""A `RunLog` in memory that can die at any write, and the rules that a log must obey whatever happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from ag_ui.core import BaseEvent

from perdure.domain.fold import SUPERSEDED, encode_step, fold
from perdure.domain.message import Message, Role
from perdure.execution.log import RunContext

RUN_ID = "0123456789abcdef01234567"


class Killed(BaseException):
    """The process died here. Not an Exception: nothing in a dead process catches it."""


class MemoryLog:
    """The log of one attempt. It begins with the lines that earlier ones left.

    It dies at the `kill_at`-th write (from 1): before it takes anything, or (`late`) after it has stored what it took.
    Emitted events wait for the next record or flush; `eager` stores them at once.
    """

    def __init__(self, lines: Sequence[str] = (), kill_at: int = 0, *, late: bool = False, eager: bool = False) -> None:
        self.lines = list(lines)
        self.past = fold(self.lines)
        self.writes = 0
        self._steps = dict(self.past.steps)
        self._buffer: list[str] = []
        self._kill_at = kill_at
        self._late = late
        self._eager = eager

    def step(self, key: str) -> bytes | None:
        return self._steps.get(key)

    async def emit(self, *events: BaseEvent) -> None:
        self._alive()
        self.writes += 1
        if self._dies() and not self._late:
            raise Killed
        self._buffer += [event.model_dump_json(by_alias=True) for event in events]
        if self._eager or self._dies():
            self._store()
        if self._dies():
            raise Killed

    async def record(self, key: str, value: bytes) -> None:
        self._alive()
        self.writes += 1
        if self._dies() and not self._late:
            raise Killed
        self._buffer += encode_step(key, value)
        self._store()
        self._steps[key] = value
        if self._dies():
            raise Killed

    async def flush(self) -> None:
        self._alive()
        self._store()

    def append(self, *events: Mapping[str, object]) -> None:
        """What the server writes."""
        self._store()
        self.lines += [msgspec.json.encode(event).decode() for event in events]

    def _alive(self) -> None:
        if self._kill_at and self.writes >= self._kill_at:
            raise Killed

    def _dies(self) -> bool:
        return self.writes == self._kill_at

    def _store(self) -> None:
        self.lines += self._buffer
        self._buffer = []


def context(log: MemoryLog, *, prompt: str | None = "hello", attempt: int = 1) -> RunContext:
    """An attempt on `log`."""
    messages = () if prompt is None else (user(prompt),)
    return RunContext(
        run_id=RUN_ID,
        conversation_id=None,
        attempt=attempt,
        agent="tested",
        messages=messages,
        input={},
        answers=log.past.answers,
        run_log=log,
        clock=lambda: 0,
        past=log.past,
    )


def user(text: str) -> Message:
    return Message(None, Role.USER, ({"type": "text", "text": text},))


def public(lines: Sequence[str]) -> list[dict[str, object]]:
    """The public events of a log."""
    events = [msgspec.json.decode(line) for line in lines]
    return [event for event in events if event["type"] != "perdure.step"]


def recorded(lines: Sequence[str]) -> list[str]:
    """The keys of the recorded steps, in order."""
    events = [msgspec.json.decode(line) for line in lines]
    return [event["key"] for event in events if event["type"] == "perdure.step" and event.get("more") is not True]


def types(lines: Sequence[str]) -> list[str]:
    """The types of the public events."""
    return [str(event["type"]) for event in public(lines)]


def transcript(lines: Sequence[str]) -> dict[str, str]:
    """Message id → text, of the text messages that nothing took back."""
    texts: dict[str, str] = {}
    for event in public(lines):
        name = str(event.get("messageId"))
        if event["type"] == "TEXT_MESSAGE_CONTENT":
            texts[name] = texts.get(name, "") + str(event["delta"])
        value = event.get("value")
        if event.get("name") == SUPERSEDED and isinstance(value, dict):
            texts.pop(str(value["messageId"]), None)
    return texts


def results(lines: Sequence[str]) -> dict[str, str]:
    """Tool call id → content of its result, as a client sees it that honours what is taken back."""
    found: dict[str, tuple[str, str]] = {}
    for event in public(lines):
        if event["type"] == "TOOL_CALL_RESULT":
            assert event["toolCallId"] not in found, f"two results for {event['toolCallId']}"
            found[str(event["toolCallId"])] = (str(event["messageId"]), str(event["content"]))
        value = event.get("value")
        if event.get("name") == SUPERSEDED and isinstance(value, dict):
            gone = {value["messageId"]}
            calls = set(value.get("toolCallIds", ()))
            found = {key: item for key, item in found.items() if key not in calls and item[0] not in gone}
    return {key: content for key, (_, content) in found.items()}


def check_rules(lines: Sequence[str], *, ended: bool = True) -> None:
    """AG-UI 1.0's order, and stricter: one message at a time, ids used once, and if it has `ended` nothing open."""
    state = _Rules()
    for event in public(lines):
        state.take(event)
    if ended:
        assert state.open == {}, f"still open: {state.open}"


class _Rules:
    _BEGIN = frozenset({"TEXT_MESSAGE_START", "REASONING_MESSAGE_START", "TOOL_CALL_START"})
    _INSIDE = frozenset({"TEXT_MESSAGE_CONTENT", "REASONING_MESSAGE_CONTENT", "TOOL_CALL_ARGS"})
    _END = frozenset({"TEXT_MESSAGE_END", "REASONING_MESSAGE_END", "TOOL_CALL_END"})

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.used: set[str] = set()
        self.superseded: set[str] = set()

    def take(self, event: dict[str, object]) -> None:
        kind = str(event["type"])
        name = str(event.get("toolCallId") or event.get("messageId"))
        sort = kind.rpartition("_")[0]
        if kind in self._BEGIN:
            assert name not in self.used, f"{kind}: {name} was used before"
            assert set(self.open.values()) <= {"TOOL_CALL"}, f"{kind}: {self.open} is open"
            self.used.add(name)
            self.open[name] = sort
        elif kind in self._INSIDE:
            assert self.open.get(name) == sort, f"{kind}: {name} is not open"
            assert event["delta"]
        elif kind in self._END:
            assert self.open.pop(name, None) == sort, f"{kind}: {name} is not open"
        elif kind == "TOOL_CALL_RESULT":
            assert name in self.used
            assert name not in self.open
            assert event["messageId"] not in self.used, f"result {event['messageId']} was used before"
            self.used.add(str(event["messageId"]))
        elif event.get("name") == SUPERSEDED:
            value = event["value"]
            assert isinstance(value, dict)
            assert value["messageId"] not in self.superseded, f"{value['messageId']} was taken back before"
            assert value["messageId"] not in self.open
            self.superseded.add(value["messageId"])
        if kind.startswith("TEXT_MESSAGE"):
            assert event["contentId"]
