"""The agents that the browser talks to: what is said to them says what they do. Some wait for a file of a test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ag_ui.core import BaseEvent, TextMessageContentEvent, TextMessageEndEvent, TextMessageStartEvent
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from perdure import App
from perdure.agents import RunContext

FOLDER = Path(os.environ["PERDURE_TEST_FOLDER"])
ARGUMENTS = {"pay": '{"cents": 250}', "pick_color": '{"question": "Which?"}'}
"""The tools that the model calls when their name is said, and what it gives them."""

app = App()


async def opened(gate: str) -> None:
    """Wait for a file, which another process makes."""
    while not (FOLDER / gate).exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)


async def obedient(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Calls the tool that is named, or says `one`, waits for the file that is named, and says `two`."""
    last = messages[-1]
    results = [part for part in last.parts if isinstance(part, ToolReturnPart)]
    prompts = [part.content for message in messages if isinstance(message, ModelRequest)
               for part in message.parts if isinstance(part, UserPromptPart)]  # fmt: skip
    word, _, gate = str(prompts[-1]).partition(" ")
    if results:
        yield "; ".join(f"It came back: {part.content}" for part in results)
    elif word in ARGUMENTS:
        yield {0: DeltaToolCall(name=word, json_args=ARGUMENTS[word], tool_call_id=f"call-{len(messages)}")}
    elif word == "wait":
        yield "**one** "
        await opened(gate)
        yield "two"
    else:
        yield f"You said: {prompts[-1]}"


talker = Agent(FunctionModel(stream_function=obedient))


@talker.tool_plain(requires_approval=True)
async def pay(cents: int) -> str:
    """Pays."""
    return f"paid {cents}"


app.agent("talker", talker)


@app.agent("gated")
async def gated(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Says which attempt it is, waits for a file with the run's id as its name, and says that it is done."""
    name = f"{run.run_id}-{run.attempt}"
    yield TextMessageStartEvent(message_id=name, role="assistant")
    yield TextMessageContentEvent(message_id=name, delta=f"attempt {run.attempt} ")
    await opened(run.run_id)
    yield TextMessageContentEvent(message_id=name, delta="is done")
    yield TextMessageEndEvent(message_id=name)
