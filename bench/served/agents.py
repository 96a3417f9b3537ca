"""The agents that the measured server executes: `perdure dev bench/served/agents.py`.

It stands in a folder of its own, because the folder of a user's file becomes importable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ag_ui.core import BaseEvent, TextMessageContentEvent, TextMessageEndEvent, TextMessageStartEvent

from perdure import App
from perdure.agents import WorkflowContext

if TYPE_CHECKING:
    from perdure.execution.log import RunContext

TICK_SECONDS = 0.05

app = App()


@app.agent("noop")
async def noop(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Does nothing: its log holds the run's start and its end."""
    nothing: tuple[BaseEvent, ...] = ()
    for event in nothing:
        yield event


@app.agent("tokens")
async def tokens(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Streams as many tokens as `forwarded_props.tokens` says, as fast as it can."""
    yield TextMessageStartEvent(message_id="answer")
    for number in range(_asked(run, "tokens")):
        yield TextMessageContentEvent(message_id="answer", delta=f"token {number} ")
    yield TextMessageEndEvent(message_id="answer")


@app.agent("ticks")
async def ticks(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Streams a token twenty times a second, `forwarded_props.tokens` of them."""
    message = f"answer-{run.attempt}"
    yield TextMessageStartEvent(message_id=message)
    for number in range(_asked(run, "tokens")):
        yield TextMessageContentEvent(message_id=message, delta=f"tick {number} ")
        await asyncio.sleep(TICK_SECONDS)
    yield TextMessageEndEvent(message_id=message)


@app.agent("stamp")
async def stamp(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Says when its first line ran, as `time.time()`."""
    now = time.time()
    yield TextMessageStartEvent(message_id="stamp")
    yield TextMessageContentEvent(message_id="stamp", delta=repr(now))
    yield TextMessageEndEvent(message_id="stamp")


async def nothing() -> None:
    """A step."""


@app.workflow("steps")
async def steps(ctx: WorkflowContext, steps: int) -> None:
    """Does nothing, step by step."""
    for _ in range(steps):
        await ctx.step(nothing)


@app.workflow("sleeper")
async def sleeper(ctx: WorkflowContext, until: float) -> None:
    """Sleeps until a moment (`time.time()`)."""
    await ctx.sleep_until(datetime.fromtimestamp(until, UTC))


def _asked(run: RunContext, name: str) -> int:
    props = run.input.get("forwarded_props")
    value = props.get(name) if isinstance(props, dict) else None
    if not isinstance(value, int):
        raise ValueError(f"Say how many: `forwarded_props.{name}` is an integer.")
    return value
