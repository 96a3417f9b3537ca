"""The turns of an interactive run, read from its log: what was said, and which message is next (vertesia.md 4.1).

The first turn is what the run was started with. Each signal `UserInput` is the next one, in the order in which they
came, unless it `answers` what the run has asked; a turn begins with `perdure.turn.started` and ends with
`perdure.turn.ended` or with the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from perdure.domain.agent_signals import TRIGGER_CHECKPOINT
from perdure.domain.event import RUN_FINISHED
from perdure.domain.fold import TURN_ENDED, TURN_STARTED
from perdure.domain.message import Message, Role
from perdure.domain.part import Part
from perdure.domain.run import USER_INPUT
from perdure.domain.transcript import Transcript
from perdure.domain.transitions import INTERRUPTED


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the user that no turn has taken up yet. `stopped`: the user has stopped it already."""

    message: Message
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Turns:
    """Where an interactive run stands.

    `messages` is the conversation up to the current turn's own answer; `number` counts turns from 1 (0: none has
    begun); `open` says that the current one has not ended, `interrupted` that the user has stopped it; `converse` that
    a run which does not wait by itself waits for its user all the same, because it was restarted or forked.
    """

    messages: tuple[Message, ...]
    number: int
    open: bool
    interrupted: bool
    inbox: tuple[Said, ...]
    converse: bool


class _Event(msgspec.Struct):
    type: object = None
    name: object = None
    value: msgspec.Raw = msgspec.Raw(b"null")


class TurnFold:
    """Reads a run's own log from the first event on. `first`: the messages that the run was started with."""

    def __init__(self, first: tuple[Message, ...], checkpoint_characters: int = 0) -> None:
        self._decoder = msgspec.json.Decoder(_Event)
        self._first = first
        self._kept = checkpoint_characters
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._messages = list(self._first)
        self._transcript = Transcript()
        self._number = 1 if self._first else 0
        self._open = bool(self._first)
        self._interrupted = False
        self._inbox: list[Said] = []
        self._converse = False
        self._checkpoint = False

    def add(self, line: str) -> None:
        """Take in the next event, as JSON text."""
        event = self._decoder.decode(line)
        if event.type == "CUSTOM" and event.name in _OWN:
            self._own(str(event.name), msgspec.json.decode(event.value))
        elif event.type == RUN_FINISHED:
            self._open = False
        else:
            self._transcript.add(line)

    def turns(self) -> Turns:
        """The state as a value."""
        said = self._messages if self._open else [*self._messages, *self._answer()]
        if self._checkpoint and not self._open:
            said = compacted(said, self._kept)
        return Turns(tuple(said), self._number, self._open, self._interrupted, tuple(self._inbox), self._converse)

    def _answer(self) -> list[Message]:
        parts = self._transcript.parts()
        return [Message(f"turn-{self._number}", Role.ASSISTANT, parts)] if parts else []

    def _own(self, name: str, value: Any) -> None:
        match name:
            case "perdure.signal" if value["name"] == TRIGGER_CHECKPOINT:
                self._checkpoint = True
            case "perdure.signal":
                if value["name"] == USER_INPUT and "answers" not in value:
                    self._inbox.append(Said(user_message(value["payload"], f"user-{self._number}-{len(self._inbox)}")))
            case _ if name == INTERRUPTED:
                self._interrupt()
            case _ if name == TURN_STARTED:
                self._start()
            case _ if name == TURN_ENDED:
                self._open = self._interrupted = False
            case "perdure.run.restarted" if value.get("fresh") is True:
                self._begin_anew()
            case _:
                self._converse = self._converse or value.get("converse") is True

    def _interrupt(self) -> None:
        if self._open:
            self._interrupted = True
        else:
            self._inbox = [Said(said.message, stopped=True) for said in self._inbox]

    def _start(self) -> None:
        self._messages += self._answer()
        if self._checkpoint:
            self._messages = compacted(self._messages, self._kept)
            self._checkpoint = False
        self._transcript = Transcript()
        self._number += 1
        self._open = True
        if self._inbox:
            self._messages.append(self._inbox.pop(0).message)


def compacted(messages: Sequence[Message], characters: int) -> list[Message]:
    """The newest messages that have at most so many characters of JSON, and those of the system; at least the last two.

    What is kept begins with the user: an answer to a question that is gone says nothing.
    """
    room, first = characters, len(messages)
    for place in range(len(messages) - 1, -1, -1):
        room -= len(msgspec.json.encode(messages[place].parts))
        if room < 0 and place < len(messages) - 2:
            break
        first = place
    first = next((place for place in range(first, len(messages)) if messages[place].role is Role.USER), first)
    rules = [message for message in messages[:first] if message.role in (Role.SYSTEM, Role.DEVELOPER)]
    return [*rules, *messages[first:]]


def user_message(payload: object, message_id: str) -> Message:
    """What a `UserInput` says: its `message`, with its attachments as files; anything else as JSON."""
    said = payload if isinstance(payload, dict) else {}
    text = said.get("message")
    words = text if isinstance(text, str) else msgspec.json.encode(payload).decode()
    parts: list[Part] = [{"type": "text", "text": words}]
    attachments = said.get("attachments")
    for file in attachments if isinstance(attachments, list) else ():
        if isinstance(file, dict):
            parts.append(
                {
                    "type": "file",
                    "url": file.get("download_url"),
                    "media_type": file.get("content_type"),
                    "filename": file.get("filename"),
                }
            )
    return Message(message_id, Role.USER, tuple(parts))


_OWN: Final = frozenset(
    {"perdure.signal", INTERRUPTED, TURN_STARTED, TURN_ENDED, "perdure.run.restarted", "perdure.run.forked"}
)
