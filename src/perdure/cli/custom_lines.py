"""The server's own CUSTOM events as lines: attempts, waiting, approvals, signals."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from perdure.cli.folding import folded, folded_value

SUPERSEDED: Final = "perdure.message.superseded"

_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to be written as it is, without a newline of its own, and how (a style of Rich's)."""

    text: str
    style: str = ""


Value = Mapping[str, Any]
Described = Callable[[str, str], str]
"""From a tool call's id and name to the call with its arguments, as far as they are known."""

MakeLine = Callable[[Value, str, Described], list[Piece]]
"""From an event's value, the run's id and what describes calls to the pieces of a line."""


def text_of(members: Mapping[str, Any], name: str) -> str:
    """A member as text; empty where it is absent or no text."""
    value = members.get(name)
    return value if isinstance(value, str) else ""


def answer_commands(run_id: str, call_id: str, reason: str) -> list[str]:
    """What to type to answer a tool call that a run waits for."""
    run, call = shlex.quote(run_id), shlex.quote(call_id)
    if reason == "approval":
        return [f"perdure runs approve {run} {call}", f"perdure runs approve {run} {call} --deny"]
    return [f"perdure runs resume {run} {call} RESULT"]


def _attempt(value: Value, run_id: str, described: Described) -> list[Piece]:
    return [Piece(f"↻ attempt {value.get('attempt', '?')}", "yellow")]


def _yielded(value: Value, run_id: str, described: Described) -> list[Piece]:
    reason = folded(text_of(value, "reason"), _WIDTH)
    return [Piece(f"↻ attempt {value.get('attempt', '?')} ended without a result: {reason}", "yellow")]


def _restarted(value: Value, run_id: str, described: Described) -> list[Piece]:
    fresh = ", from the beginning" if value.get("fresh") is True else ""
    return [Piece(f"↻ restarted ({folded_value(value.get('from'), _WIDTH)} before{fresh})", "yellow")]


def _cancelling(value: Value, run_id: str, described: Described) -> list[Piece]:
    return [Piece(f"■ cancelling: {folded(text_of(value, 'reason'), _WIDTH)}", "yellow")]


def _waiting(value: Value, run_id: str, described: Described) -> list[Piece]:
    reason = text_of(value, "reason")
    calls = value.get("calls")
    pieces = [Piece(f"⏸ waiting for {_WAITS.get(reason, reason or 'something')}", "bold yellow")]
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, Mapping):
            call_id, name = text_of(call, "toolCallId"), text_of(call, "toolCallName")
            pieces.append(Piece(f"\n    {described(call_id, name)}", "yellow"))
            commands = answer_commands(run_id, call_id, text_of(call, "reason") or reason)
            pieces += [Piece(f"\n    $ {command}", "dim") for command in commands]
    if reason in ("event", "input"):
        pieces.append(Piece(f"\n    $ perdure runs signal {shlex.quote(run_id)} NAME", "dim"))
    return pieces


_WAITS: Final = MappingProxyType(
    {"approval": "approval", "tool": "a tool result", "event": "a signal", "input": "input"}
)


def _approval(value: Value, run_id: str, described: Described) -> list[Piece]:
    call = described(text_of(value, "toolCallId"), text_of(value, "toolCallName"))
    decision = value.get("value")
    if isinstance(decision, Mapping) and isinstance(decision.get("approved"), bool):
        approved, message = decision["approved"] is True, text_of(decision, "message")
        mark, style = ("✓ approved", "green") if approved else ("✗ denied", "red")
        return [Piece(f"{mark}: {call}", style), Piece(f"  {folded(message, _WIDTH)}" if message else "", "dim")]
    return [Piece(f"✓ answered: {call} ", "green"), Piece(folded_value(decision, _WIDTH), "dim")]


def _signal(value: Value, run_id: str, described: Described) -> list[Piece]:
    payload = value.get("payload")
    said = "" if payload is None else folded_value(payload, _WIDTH)
    return [Piece(f"⚡ signal {folded(text_of(value, 'name'), _WIDTH)} ", "magenta"), Piece(said, "dim")]


def _file(value: Value, run_id: str, described: Described) -> list[Piece]:
    words = f"{text_of(value, 'mediaType')}, {value.get('size', '?')} bytes"
    return [Piece(f"◆ file: {folded(words, _WIDTH)}", "magenta")]


def _log(value: Value, run_id: str, described: Described) -> list[Piece]:
    style = "red" if value.get("stream") == "stderr" else ""
    return [Piece(text_of(value, "text").rstrip("\n"), style)]


def _exited(value: Value, run_id: str, described: Described) -> list[Piece]:
    code = value.get("exitCode")
    said = folded(text_of(value, "error"), _WIDTH)
    return [Piece(f"■ exit code {code}{f': {said}' if said else ''}", "green" if code == 0 else "red")]


CUSTOM_LINES: Final[Mapping[str, MakeLine]] = MappingProxyType(
    {
        "perdure.run.attempt": _attempt,
        "perdure.run.yielded": _yielded,
        "perdure.run.restarted": _restarted,
        "perdure.run.cancelling": _cancelling,
        "perdure.run.waiting": _waiting,
        "perdure.run.approval": _approval,
        "perdure.signal": _signal,
        "perdure.log": _log,
        "perdure.task.exited": _exited,
        "perdure.message.file": _file,
    }
)
