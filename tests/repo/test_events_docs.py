"""docs/events.md lists every event that the server makes, with the members of its value."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ag_ui.core import CustomEvent, EventType

from perdure.domain.closing import superseded
from perdure.domain.event import PRIVATE_EXTERNAL_TYPES, STEP_RECORD
from perdure.domain.fold import MAX_STEP_TEXT, encode_step
from perdure.domain.run import (
    Answer,
    Cancel,
    Claim,
    Command,
    Executor,
    Interrupt,
    Park,
    PendingCall,
    Restart,
    RunNames,
    RunState,
    Signal,
    Status,
    Waiting,
    WaitingReason,
    Yield,
)
from perdure.domain.transitions import decide

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")

MAKERS = ("domain", "store", "ledger", "services", "execution")
"""The packages that make events. The others read them, and name other things `perdure.` too (spans, for example)."""

NAME = re.compile(r"perdure(?:\.[a-z_]+)+")
IN_SQL = re.compile(r'"(perdure(?:\.[a-z_]+)+)"')
ROW = re.compile(r"^\| `([\w.-]+)` \| `\{([^}]*)\}` \|", re.MULTILINE)

CALLS = (PendingCall("c1", "ask", WaitingReason.APPROVAL),)
TRANSITIONS: dict[str, tuple[RunState, Command]] = {
    "attempt": (RunState(Status.PENDING, Executor.ENGINE, attempt=1), Claim()),
    "waiting": (RunState(Status.RUNNING, Executor.ENGINE), Park(Waiting(WaitingReason.APPROVAL, CALLS), None)),
    "approval": (
        RunState(Status.WAITING, Executor.ENGINE, waiting=Waiting(WaitingReason.APPROVAL, CALLS)),
        Answer("c1", {"approved": True}, "true"),
    ),
    "cancelling": (RunState(Status.RUNNING, Executor.ENGINE), Cancel("enough")),
    "yielded": (RunState(Status.RUNNING, Executor.ENGINE), Yield("lease_expired", None)),
    "restarted": (RunState(Status.FAILED, Executor.ENGINE), Restart(fresh=True, converse=True)),
    "interrupted": (RunState(Status.RUNNING, Executor.ENGINE), Interrupt({})),
    "signal": (RunState(Status.RUNNING, Executor.ENGINE), Signal("go", 1)),
}


def documented() -> dict[str, dict[str, bool]]:
    """Name → members of the value → whether they must be there."""
    return {
        name: {member.strip(" ?"): not member.endswith("?") for member in members.split(",")}
        for name, members in ROW.findall(PAGE)
    }


def strings(tree: ast.AST) -> Iterator[str]:
    """Texts that may be the name of an event: those in its form, and what `custom(…)` is given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
            yield node.value
        match node:
            case ast.Call(func=ast.Name(id="custom"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case _:
                pass


def is_module(name: str) -> bool:
    place = SOURCE.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def made() -> set[str]:
    """The names in the source."""
    names: set[str] = set()
    for package in MAKERS:
        for path in sorted((SOURCE / "perdure" / package).rglob("*")):
            if path.suffix == ".py":
                names.update(strings(ast.parse(path.read_text(encoding="utf-8"))))
            elif path.suffix == ".sql":
                names.update(IN_SQL.findall(path.read_text(encoding="utf-8")))
    return {name for name in names if not is_module(name)}


def test_every_name_is_listed_and_no_other() -> None:
    names = made()
    assert {"perdure.run.waiting", "perdure.message.superseded", STEP_RECORD} <= names, "the search finds nothing"
    assert documented().keys() == names


def test_every_type_of_ag_ui_is_listed() -> None:
    listed = set(re.findall(r"`([A-Z_]+)`", PAGE.partition("## CUSTOM events")[0]))
    assert [kind.value for kind in EventType if kind.value not in listed] == []


def test_private_types_are_listed() -> None:
    private = PAGE.partition("## Private events")[2]
    assert [kind for kind in (STEP_RECORD, *PRIVATE_EXTERNAL_TYPES) if f"`{kind}`" not in private] == []


@pytest.mark.parametrize(("state", "command"), list(TRANSITIONS.values()), ids=list(TRANSITIONS))
def test_an_event_of_the_lifecycle_has_the_members_that_are_listed(state: RunState, command: Command) -> None:
    transition = decide(state, command, RunNames("run", "thread"))
    assert transition is not None
    [event] = transition.events
    value = event["value"]
    assert isinstance(value, dict)
    members = documented()[str(event["name"])]
    assert {member for member, needed in members.items() if needed} <= value.keys() <= members.keys()


def test_what_takes_a_message_back_has_the_members_that_are_listed() -> None:
    whole, bare = superseded("m", "attempt_lost", ["c"]), superseded("m", "attempt_lost")
    assert isinstance(whole, CustomEvent)
    assert isinstance(bare, CustomEvent)
    members = documented()[whole.name]
    assert whole.value.keys() == members.keys()
    assert bare.value.keys() == {name for name, needed in members.items() if needed}


def test_a_step_has_the_members_that_are_listed() -> None:
    lines = [*encode_step("a", b"1"), *encode_step("b", b'"' + b"x" * (MAX_STEP_TEXT * 2) + b'"')]
    decoded: list[dict[str, Any]] = [ast.literal_eval(re.sub("(true|false)", lambda m: m[0].title(), x)) for x in lines]
    members = documented()[STEP_RECORD]
    assert {name for event in decoded for name in event} == {"type", *members}
