"""The examples of docs/agents.md work: each Python block is a file that a worker could load, and its agents run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from perdure.execution.definitions import AgentDefinition
from perdure.execution.loading import load_app
from perdure.execution.log import Completed, Waiting
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import MemoryLog, check_rules, context, public, results, transcript

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "agents.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Told:
    """What a run of an example's agent came to."""

    output: object
    said: str
    results: list[str]
    waited_for: list[str]
    types: list[str]


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == language]


def scripted(definition: AgentDefinition) -> AbstractContextManager[object]:
    """In place of the real model one that calls every tool once, then says what they returned."""
    if definition.kind == "function":
        return nullcontext()
    return cast("Agent[Any, Any]", definition.target).override(model=TestModel())


async def lead(definition: AgentDefinition) -> Told:
    """Runs an agent to its end; everything that it waits for is approved."""
    lines: list[str] = []
    waited_for: list[str] = []
    for attempt in range(1, MOST_ATTEMPTS):
        log = MemoryLog(lines)
        with scripted(definition):
            outcome = await run_attempt(definition, context(log, attempt=attempt, prompt="hello there"))
        check_rules(log.lines)
        if isinstance(outcome, Completed):
            kinds = [str(event["type"]) for event in public(log.lines)]
            said = "".join(transcript(log.lines).values())
            return Told(outcome.output, said, list(results(log.lines).values()), waited_for, kinds)
        assert isinstance(outcome, Waiting)
        calls = [{"toolCallId": call.id, "toolCallName": call.name, "reason": call.reason} for call in outcome.calls]
        log.append({"type": "CUSTOM", "name": "perdure.run.waiting", "value": {"calls": calls}})
        for call in outcome.calls:
            waited_for.append(call.name)
            approval = {"toolCallId": call.id, "value": {"approved": True}}
            log.append({"type": "CUSTOM", "name": "perdure.run.approval", "value": approval})
        lines = log.lines
    raise AssertionError("it waits and waits")


def shouts(told: Told) -> bool:
    return told.said == "HELLO THERE "


def looks_up_the_order(told: Told) -> bool:
    return told.results == ["Order a was handed to the carrier yesterday."]


def knows_the_customer(told: Told) -> bool:
    return told.results == ["someone ordered a lamp."]


def prices_in_euros(told: Told) -> bool:
    return told.results == ["0.00 EUR, for a person"]


def has_a_key(told: Told) -> bool:
    return '"key":"0123456789abcdef01234567.0.tool:' in told.results[0]


def asks_first(told: Told) -> bool:
    return told.waited_for == ["delete_account"] and told.results == ["Paid 0 cents.", "a is deleted."]


def shows_state(told: Told) -> bool:
    return told.types.index("STATE_SNAPSHOT") < told.types.index("STATE_DELTA")


def tells_its_clients(told: Told) -> bool:
    return told.types.count("CUSTOM") == 4


def reports(told: Told) -> bool:
    figures = {"orders": 120, "returns": 3}
    return told.output == figures and told.said == "There were 120 orders and 3 returns."


EXAMPLES: dict[str, Callable[[Told], bool]] = {
    "shout": shouts,
    "support": looks_up_the_order,
    "shop": knows_the_customer,
    "prices": prices_in_euros,
    "refunds": has_a_key,
    "accounts": asks_first,
    "planner": shows_state,
    "reader": tells_its_clients,
    "report": reports,
}
"""Agents of the page, and what must be true of a run."""


@pytest.mark.parametrize(("block", "name"), list(zip(blocks("python"), EXAMPLES, strict=True)), ids=list(EXAMPLES))
async def test_an_example_does_what_the_page_says(
    block: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    # The loader adds the folder as well, for good; this is taken back.
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / f"example_{name}.py"
    path.write_text(block, encoding="utf-8")
    app = load_app(str(path))
    assert list(app.agents) == [name]
    told = await lead(app.agents[name])
    assert EXAMPLES[name](told), told


@pytest.mark.parametrize("block", blocks("json"))
def test_json_is_json(block: str) -> None:
    assert json.loads(block)


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([\w./-]+\.md)\)", PAGE.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (PAGE.parent / target).is_file()] == []
