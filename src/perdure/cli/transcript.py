"""A run's events as what a person reads: pure, piece by piece as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from perdure.cli.custom_lines import CUSTOM_LINES, SUPERSEDED, Piece, text_of
from perdure.cli.folding import arguments, folded, folded_value, printable

Payload = Mapping[str, Any]

WIDTH: Final = 100
"""Characters of a value that is folded into its line."""

_STRUCK_WIDTH: Final = 2_000

_UNSHOWN: Final = frozenset(
    {
        "TEXT_MESSAGE_START", "REASONING_START", "REASONING_MESSAGE_START", "REASONING_END", "THINKING_START",
        "THINKING_TEXT_MESSAGE_START", "THINKING_END", "STEP_FINISHED", "MESSAGES_SNAPSHOT", "RAW",
        "REASONING_ENCRYPTED_VALUE",
    }
)  # fmt: skip
"""Types that say nothing to a reader which others do not say as well."""


@dataclass(slots=True)
class _Call:
    name: str
    arguments: list[str] = field(default_factory=list)
    shown: bool = False


class Transcript:
    """Turns one run's events, in order, into pieces to be written one after the other.

    Text comes as it streams. Everything else stands on lines of its own.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._line_open = False
        self._speaker: str | None = None
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[str, _Call] = {}
        self._results: dict[str, str] = {}

    def feed(self, payload: Payload) -> list[Piece]:
        """The pieces for the next event; none for one that only bounds others."""
        kind = text_of(payload, "type")
        if kind in _UNSHOWN:
            return []
        handler = _HANDLERS.get(kind)
        return handler(self, payload) if handler is not None else self._other(payload)

    def close(self) -> list[Piece]:
        """What ends a line that is open."""
        return self._fresh_line()

    # --- text --------------------------------------------------------------------------------------------------------

    def _text(self, payload: Payload) -> list[Piece]:
        return self._speak(payload, "")

    def _reasoning(self, payload: Payload) -> list[Piece]:
        return self._speak(payload, "dim italic")

    def _speak(self, payload: Payload, style: str) -> list[Piece]:
        message_id, delta = text_of(payload, "messageId"), printable(text_of(payload, "delta"))
        if not delta:
            return []
        before = [] if self._speaker == message_id else self._fresh_line()
        self._speaker = message_id
        self._line_open = not delta.endswith("\n")
        self._texts.setdefault(message_id, []).append(delta)
        return [*before, Piece(delta, style)]

    def _end_of_speech(self, payload: Payload) -> list[Piece]:
        return self._fresh_line() if self._speaker == text_of(payload, "messageId") else []

    def _fresh_line(self) -> list[Piece]:
        self._speaker = None
        if not self._line_open:
            return []
        self._line_open = False
        return [Piece("\n")]

    def _line(self, *pieces: Piece) -> list[Piece]:
        return [*self._fresh_line(), *pieces, Piece("\n")]

    # --- tool calls --------------------------------------------------------------------------------------------------

    def _call_start(self, payload: Payload) -> list[Piece]:
        self._calls[text_of(payload, "toolCallId")] = _Call(text_of(payload, "toolCallName") or "a tool")
        return []

    def _call_arguments(self, payload: Payload) -> list[Piece]:
        if call := self._calls.get(text_of(payload, "toolCallId")):
            call.arguments.append(text_of(payload, "delta"))
        return []

    def _call_chunk(self, payload: Payload) -> list[Piece]:
        if text_of(payload, "toolCallId") not in self._calls:
            self._call_start(payload)
        return self._call_arguments(payload)

    def _call_end(self, payload: Payload) -> list[Piece]:
        call = self._calls.get(text_of(payload, "toolCallId"))
        if call is None or call.shown:
            return []
        call.shown = True
        said = arguments("".join(call.arguments), WIDTH)
        return self._line(Piece("→ ", "cyan"), Piece(call.name, "bold cyan"), Piece(f"({said})", "cyan"))

    def _call_result(self, payload: Payload) -> list[Piece]:
        call_id = text_of(payload, "toolCallId")
        self._results[text_of(payload, "messageId")] = call_id
        before = self._call_end(payload)
        failed = payload.get("isError") is True
        mark, style = ("✗ ", "red") if failed else ("← ", "green")
        said = folded_value(payload.get("content", ""), WIDTH)
        return [*before, *self._line(Piece(mark, style), Piece(f"{self._name(call_id)}: ", style), Piece(said, "dim"))]

    def _name(self, call_id: str) -> str:
        call = self._calls.get(call_id)
        return call.name if call is not None else call_id

    def _described(self, call_id: str, name: str) -> str:
        call = self._calls.get(call_id)
        if call is None or not call.arguments:
            return name
        return f"{call.name}({arguments(''.join(call.arguments), WIDTH)})"

    # --- the rest ----------------------------------------------------------------------------------------------------

    def _started(self, payload: Payload) -> list[Piece]:
        return self._line(Piece(f"● run {self._run_id} started", "dim"))

    def _step(self, payload: Payload) -> list[Piece]:
        return self._line(Piece(f"· {folded(text_of(payload, 'stepName'), WIDTH)}", "dim"))

    def _state(self, payload: Payload) -> list[Piece]:
        return self._line(Piece("◇ state ", "blue"), Piece(folded_value(payload.get("snapshot"), WIDTH), "dim"))

    def _state_delta(self, payload: Payload) -> list[Piece]:
        operations = payload.get("delta")
        pieces: list[Piece] = []
        for one in operations if isinstance(operations, list) else []:
            if isinstance(one, Mapping):
                change = f"{text_of(one, 'op')} {text_of(one, 'path')}"
                value = f" {folded_value(one['value'], WIDTH)}" if "value" in one else ""
                pieces += self._line(Piece("◇ state ", "blue"), Piece(folded(change, WIDTH) + value, "dim"))
        return pieces

    def _activity(self, payload: Payload) -> list[Piece]:
        content = payload.get("content", payload.get("patch"))
        words = f"{text_of(payload, 'activityType')} {folded_value(content, WIDTH)}"
        return self._line(Piece("◇ ", "blue"), Piece(folded(words, WIDTH), "dim"))

    def _finished(self, payload: Payload) -> list[Piece]:
        return self._line(Piece("✔ completed", "bold green"), Piece(_usage(payload.get("metadata")), "dim"))

    def _failed(self, payload: Payload) -> list[Piece]:
        message, code = folded(text_of(payload, "message"), 4 * WIDTH), text_of(payload, "code")
        if code == "CANCELLED":
            return self._line(Piece("■ cancelled: ", "bold yellow"), Piece(message))
        return self._line(Piece("✖ failed: ", "bold red"), Piece(message), Piece(f"  {code}" if code else "", "dim"))

    def _custom(self, payload: Payload) -> list[Piece]:
        name, value = text_of(payload, "name"), payload.get("value")
        members = value if isinstance(value, Mapping) else {}
        if name == SUPERSEDED:
            return self._superseded(members)
        make = CUSTOM_LINES.get(name)
        self._learn(members)
        if make is not None:
            pieces = make(members, self._run_id, self._described)
            return [*self._fresh_line(), *pieces, Piece("\n")]
        return self._line(Piece(f"◆ {folded(name, WIDTH)} ", "magenta"), Piece(folded_value(value, WIDTH), "dim"))

    def _learn(self, value: Payload) -> None:
        """A transcript that does not begin at the beginning has not seen how the call began that was waited for."""
        call_id, name = text_of(value, "toolCallId"), text_of(value, "toolCallName")
        if call_id and name and call_id not in self._calls:
            self._calls[call_id] = _Call(name, shown=True)

    def _superseded(self, value: Payload) -> list[Piece]:
        """What a lost attempt said, once more and struck: it stands above, and nothing can take it from the screen."""
        message_id = text_of(value, "messageId")
        said = folded("".join(self._texts.pop(message_id, [])), _STRUCK_WIDTH)
        call_ids = value.get("toolCallIds")
        lost = [self._name(str(one)) for one in call_ids] if isinstance(call_ids, list) else []
        if message_id in self._results:
            lost.append(f"the result of {self._name(self._results.pop(message_id))}")
        reason = folded(text_of(value, "reason"), WIDTH)
        head = f"↶ taken back ({reason}): " if reason else "↶ taken back: "
        pieces = [Piece(head, "yellow")]
        if said:
            pieces.append(Piece(said, "strike dim"))
        if lost:
            pieces.append(Piece(f"{' · ' if said else ''}{', '.join(lost)}", "strike dim"))
        return self._line(*pieces)

    def _other(self, payload: Payload) -> list[Piece]:
        return self._line(Piece(f"· {folded_value(dict(payload), WIDTH)}", "dim"))


def _usage(metadata: object) -> str:
    """Model and tokens of RUN_FINISHED (veryfront.md 1.3), anything else folded."""
    if not metadata:
        return ""
    if not isinstance(metadata, Mapping) or "inputTokens" not in metadata:
        return f"  {folded_value(metadata, WIDTH)}"
    model = f"{metadata['model']}: " if metadata.get("model") else ""
    tokens = f"{metadata.get('inputTokens', 0)} tokens in, {metadata.get('outputTokens', 0)} out"
    return f"  {folded(model + tokens, WIDTH)}"


_HANDLERS: Final[Mapping[str, Callable[[Transcript, Payload], list[Piece]]]] = MappingProxyType(
    {
        "RUN_STARTED": Transcript._started,
        "RUN_FINISHED": Transcript._finished,
        "RUN_ERROR": Transcript._failed,
        "TEXT_MESSAGE_CONTENT": Transcript._text,
        "TEXT_MESSAGE_CHUNK": Transcript._text,
        "TEXT_MESSAGE_END": Transcript._end_of_speech,
        "REASONING_MESSAGE_CONTENT": Transcript._reasoning,
        "REASONING_MESSAGE_CHUNK": Transcript._reasoning,
        "REASONING_MESSAGE_END": Transcript._end_of_speech,
        "THINKING_TEXT_MESSAGE_CONTENT": Transcript._reasoning,
        "THINKING_TEXT_MESSAGE_END": Transcript._end_of_speech,
        "TOOL_CALL_START": Transcript._call_start,
        "TOOL_CALL_ARGS": Transcript._call_arguments,
        "TOOL_CALL_CHUNK": Transcript._call_chunk,
        "TOOL_CALL_END": Transcript._call_end,
        "TOOL_CALL_RESULT": Transcript._call_result,
        "STATE_SNAPSHOT": Transcript._state,
        "STATE_DELTA": Transcript._state_delta,
        "ACTIVITY_SNAPSHOT": Transcript._activity,
        "ACTIVITY_DELTA": Transcript._activity,
        "STEP_STARTED": Transcript._step,
        "CUSTOM": Transcript._custom,
    }
)
