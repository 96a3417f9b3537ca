"""Registering agents on an App, and putting Apps together."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ag_ui.core import BaseEvent, StateSnapshotEvent
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from perdure.execution.log import RunContext
from perdure.execution.registry import App, combine


async def speak(ctx: RunContext) -> AsyncIterator[BaseEvent]:
    """Says nothing."""
    yield StateSnapshotEvent(snapshot={})


def test_agents_by_call_and_by_decorator() -> None:
    app = App(version="7")
    agent = Agent(TestModel())
    app.agent("support", agent, description="Helps.")
    app.agent("called", speak)
    assert app.agent("decorated")(speak) is speak
    support, called = app.agents["support"], app.agents["called"]
    assert list(app.agents) == ["support", "called", "decorated"]
    assert (support.target, support.kind, support.description) == (agent, "pydantic_ai", "Helps.")
    assert (called.target, called.kind, called.description) == (speak, "function", "Says nothing.")


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a" * 129, "é", "a\n"])
def test_impossible_names(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an agent"):
        App().agent(name, speak)


@pytest.mark.parametrize("name", ["a", "A.b_c:d/e-9", "a" * 128])
def test_possible_names(name: str) -> None:
    App().agent(name, speak)


def test_a_name_is_given_once() -> None:
    app = App()
    app.agent("a", speak)
    with pytest.raises(ValueError, match="two agents named 'a'"):
        app.agent("a", speak)


async def no_generator(ctx: RunContext) -> None:
    """Forgets to yield."""


def plain(ctx: RunContext) -> None:
    """Is not even async."""


@pytest.mark.parametrize(
    ("value", "what"),
    [(no_generator, "a coroutine function: it has no `yield`"), (plain, "a function"), ("openai:x", "str 'openai:x'")],
)
def test_what_is_no_agent(value: Any, what: str) -> None:
    with pytest.raises(TypeError, match=what):
        App().agent("a", value)


def test_a_function_takes_no_dependencies() -> None:
    with pytest.raises(TypeError, match="takes no `deps`"):
        App().agent("a", speak, deps=lambda run: None)


def test_apps_are_merged() -> None:
    demo, own = App(version="1"), App()
    demo.agent("echo", speak)
    own.agent("mine", speak)
    merged = combine([demo, own])
    assert (sorted(merged.agents), merged.version) == (["echo", "mine"], "1")
    assert sorted(demo.agents) == ["echo"]
    own.agent("echo", speak)
    with pytest.raises(ValueError, match="echo"):
        demo.merge(own)
    assert combine([]).agents == {}


def test_importing_it_imports_no_model_library() -> None:
    code = "import sys, perdure.execution.registry; print(*{'pydantic_ai', 'ag_ui', 'pydantic'} & sys.modules.keys())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert printed.strip() == ""
