"""What a run says, as text to search in: kept event by event, and within bounds however long the run is.

Of a long run the beginning and the newest messages are kept; of a long message its first and its last part. The bounds
apply after each event, so that it makes no difference in which portions a log is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

FIRST_CHARS: Final = 30_000
"""How much of the run's beginning is kept. The bounds together stay well below PostgreSQL's 1 MB for a document."""

NEWEST_CHARS: Final = 60_000
MAX_NEWEST: Final = 2_000
MAX_FIRST: Final = 500
MESSAGE_HEAD: Final = 12_000
MESSAGE_TAIL: Final = 12_000
RESULT_CHARS: Final = 1_000
INPUT_CHARS: Final = 20_000

Weight = Literal["said", "result"]


class Said(msgspec.Struct, array_like=True):
    """One message: its id, the tool call that it answers, and its text as a beginning and an end."""

    weight: Weight
    message_id: str
    call_id: str | None
    head: str = ""
    tail: str = ""

    @property
    def size(self) -> int:
        """Its length in characters."""
        return len(self.head) + len(self.tail)

    def add(self, text: str) -> None:
        """Go on with it."""
        limit = MESSAGE_HEAD if self.weight == "said" else RESULT_CHARS
        room = limit - len(self.head)
        if room > 0:
            self.head += text[:room]
            text = text[room:]
        if text and self.weight == "said":
            self.tail += text
            if len(self.tail) > 2 * MESSAGE_TAIL:
                self.tail = self.tail[-MESSAGE_TAIL:]


class Texts(msgspec.Struct):
    """The messages kept so far: `first` from the run's beginning, `newest` the last ones."""

    first: list[Said] = []
    newest: list[Said] = []
    changed: bool = False

    def say(self, message_id: str | None, text: str) -> None:
        """The assistant says more of a message; None goes on with the last one."""
        found = self._find(message_id)
        if found is None:
            found = Said("said", message_id or "", None)
            self._append(found)
        found.add(text)
        self.changed = True

    def tell(self, text: str) -> None:
        """The user says something."""
        said = Said("said", "", "")
        said.add(text)
        self._append(said)

    def returned(self, message_id: str, call_id: str, text: str) -> None:
        """A tool returned something."""
        said = Said("result", message_id, call_id)
        said.add(text)
        self._append(said)

    def take_back(self, message_id: str | None, call_ids: list[str]) -> None:
        """Forget a message, and the results of these tool calls."""
        for kept in (self.first, self.newest):
            for said in [said for said in kept if _is_taken_back(said, message_id, call_ids)]:
                kept.remove(said)
        self.changed = True

    def text(self, weight: Weight) -> str:
        """Everything of one weight, a message a line."""
        return "\n".join(_joined(said) for said in self._all() if said.weight == weight)

    def _all(self) -> Iterator[Said]:
        yield from self.first
        yield from self.newest

    def _append(self, said: Said) -> None:
        room = sum(kept.size for kept in self.first) < FIRST_CHARS and len(self.first) < MAX_FIRST
        (self.first if room and not self.newest else self.newest).append(said)
        total = sum(kept.size for kept in self.newest)
        while len(self.newest) > 1 and (total > NEWEST_CHARS or len(self.newest) > MAX_NEWEST):
            total -= self.newest.pop(0).size
        self.changed = True

    def _find(self, message_id: str | None) -> Said | None:
        for kept in (self.newest, self.first):
            for said in reversed(kept):
                if said.call_id is None and message_id in (None, said.message_id):
                    return said
        return None


def input_text(source: str | None) -> str:
    """What somebody who starts a run says to it, given its input (JSON).

    The texts of the user's messages where it has messages; otherwise every text in it.
    """
    if source is None:
        return ""
    value = msgspec.json.decode(source)
    messages = value.get("messages") if isinstance(value, dict) else None
    if isinstance(messages, list):
        rest = {name: member for name, member in value.items() if name in ("task", "prompt", "message", "data")}
        asked = [message for message in messages if isinstance(message, dict) and message.get("role") == "user"]
        found = [*_strings([message.get("parts") or message.get("content") for message in asked]), *_strings(rest)]
    else:
        found = list(_strings(value))
    return "\n".join(found)[:INPUT_CHARS]


_NAMES: Final = frozenset({"type", "id", "role", "mimeType", "url"})


def _strings(value: object) -> Iterator[str]:
    """Every text in a JSON value, in order; not those that name things."""
    stack: list[object] = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Mapping):
            stack.extend(reversed([child for name, child in node.items() if name not in _NAMES]))
        elif isinstance(node, list):
            stack.extend(reversed(node))


def _joined(said: Said) -> str:
    return f"{said.head}{said.tail}" if len(said.tail) <= MESSAGE_TAIL else f"{said.head} {said.tail[-MESSAGE_TAIL:]}"


def _is_taken_back(said: Said, message_id: str | None, call_ids: list[str]) -> bool:
    if said.call_id == "":
        return False  # the user's own words stay
    return (message_id is not None and said.message_id == message_id) or said.call_id in call_ids
