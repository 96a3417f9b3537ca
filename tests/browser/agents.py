"""The agents of the browser's tests. They wait for files, so that a test decides when they go on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from ag_ui.core import (
    BaseEvent,
    StateDeltaEvent,
    StateSnapshotEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
)
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from perdure import App
from perdure.agents import RunContext, WorkflowContext
from perdure.execution.task_context import TaskContext

FOLDER = Path(os.environ["PERDURE_TEST_FOLDER"])

app = App()


@app.agent("gated")
async def gated(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Says one word, waits for a file with the run's id as its name, and says another."""
    name = f"{run.run_id}-{run.attempt}"
    yield TextMessageStartEvent(message_id=name, role="assistant")
    yield TextMessageContentEvent(message_id=name, delta="before ")
    while not (FOLDER / run.run_id).exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)
    yield TextMessageContentEvent(message_id=name, delta="after")
    yield TextMessageEndEvent(message_id=name)


@app.agent("counting")
async def counting(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Counts to three in its state."""
    yield StateSnapshotEvent(snapshot={"count": 0, "of": "sheep"})
    for number in range(1, 4):
        delta = [{"op": "replace", "path": "/count", "value": number}]
        yield StateDeltaEvent.model_validate({"delta": delta})


async def asks_once(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Call the tool, then say so."""
    if len(messages) == 1:
        yield {0: DeltaToolCall(name="weather", json_args='{"city": "Rome"}', tool_call_id="call-weather")}
    else:
        yield "asked"


calling = Agent(FunctionModel(stream_function=asks_once))


@calling.tool_plain
async def weather(city: str) -> str:
    """What it is like outside."""
    return f"sunny in {city}"


app.agent("calling", calling)


@app.workflow("parent")
async def parent(ctx: WorkflowContext) -> None:
    """Starts one child and waits for it."""
    await ctx.run_child("workflow:leaf")


@app.workflow("leaf")
async def leaf(ctx: WorkflowContext) -> None:
    """Says one line."""
    await ctx.log("here")


@app.workflow("listening")
async def listening(ctx: WorkflowContext) -> Any:
    """Returns what comes with the signal `go`."""
    return await ctx.wait_for_signal("go")


@app.task("talking", inherit=["PERDURE_TEST_FOLDER"])
def talking(ctx: TaskContext) -> None:
    """Says something on both streams."""
    sys.stdout.write("\x1b[32mall is green\x1b[0m\n")
    sys.stderr.write("look out\n")


@app.workflow("onboard")
async def onboard(run: WorkflowContext, name: str, plan: Literal["free", "team"], seats: int = 1) -> str:
    """Makes room for somebody new."""
    return f"{name} has {seats} seats of {plan}"
