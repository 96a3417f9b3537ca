"""The agents of the fault tests: they say in a file what they really did, and wait for files to go on.

Run by real workers as `perdure worker tests/acceptance/agents.py`, with PERDURE_TEST_FOLDER set.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from perdure import App
from perdure.agents import idempotency_key

FOLDER = Path(os.environ["PERDURE_TEST_FOLDER"])
WORDS = 120

app = App()


def did(what: str) -> None:
    """Note an effect that outlives this process."""
    with (FOLDER / "effects").open("a") as file:
        file.write(f"{what}\n")
        file.flush()
        os.fsync(file.fileno())


async def gate(name: str) -> None:
    """Wait until the test makes a file."""
    while not (FOLDER / name).exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)


def results(messages: list[ModelMessage]) -> int:
    """How many tool results the model has seen."""
    return sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)


async def two_tools(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Call `first`, then `second`, then say so."""
    seen = results(messages)
    did(f"model {seen}")
    if seen < 2:
        yield {0: DeltaToolCall(name=("first", "second")[seen], json_args="{}", tool_call_id=f"call-{seen}")}
    else:
        yield "both done"


two_tools_agent = Agent(FunctionModel(stream_function=two_tools))


@two_tools_agent.tool
async def first(ctx: RunContext[object]) -> str:
    """Returns at once."""
    did(f"first {idempotency_key(ctx)}")
    return "one"


@two_tools_agent.tool
async def second(ctx: RunContext[object]) -> str:
    """Returns when the test lets it."""
    did(f"second {idempotency_key(ctx)}")
    await gate("go")
    return "two"


async def storyteller(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Many words, slowly."""
    for number in range(WORDS):
        yield f"w{number} "
        await asyncio.sleep(0.02)


async def suicidal(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Call the deadly tool once."""
    if results(messages) == 0:
        yield {0: DeltaToolCall(name="deadly", json_args="{}", tool_call_id="call-deadly")}
    else:
        yield "survived"


suicidal_agent = Agent(FunctionModel(stream_function=suicidal))


@suicidal_agent.tool
async def deadly(ctx: RunContext[object]) -> str:
    """Has its effect, and the first time dies before anybody hears of it."""
    did(f"deadly {idempotency_key(ctx)}")
    if not (FOLDER / "died").exists():
        (FOLDER / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


app.agent("two_tools", two_tools_agent)
app.agent("storyteller", Agent(FunctionModel(stream_function=storyteller)))
app.agent("suicidal", suicidal_agent)
