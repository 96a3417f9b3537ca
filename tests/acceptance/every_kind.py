"""A run of every kind for the fault tests: each does something first, then something that takes until the test lets it.

What they really did stands in a file, a line each: what, and in which version of this code.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_evals import Case, Dataset

from perdure import App
from perdure.agents import WorkflowContext

FOLDER = Path(os.environ["PERDURE_TEST_FOLDER"])
VERSION = os.environ["PERDURE_TEST_VERSION"]

app = App(version=VERSION)


def did(what: str) -> None:
    """Note an effect that outlives this process."""
    with (FOLDER / "effects").open("a") as file:
        file.write(f"{what} {VERSION}\n")


async def held(what: str) -> str:
    """Note it, and wait until the test makes a file."""
    did(what)
    while not (FOLDER / "go").exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)
    return what


async def once(what: str) -> str:
    """Note it."""
    did(what)
    return what


async def two_tools(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Call `first`, then `second`, then say so."""
    seen = sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
    if seen < 2:
        yield {0: DeltaToolCall(name=("first", "second")[seen], json_args="{}", tool_call_id=f"call-{seen}")}
    else:
        yield "both done"


agent = Agent(FunctionModel(stream_function=two_tools))


@agent.tool
async def first(ctx: RunContext[object]) -> str:
    """Returns at once."""
    return await once("agent:first")


@agent.tool
async def second(ctx: RunContext[object]) -> str:
    """Returns when the test lets it."""
    return await held("agent:second")


app.agent("agent", agent)
app.agent("remote", url=os.environ["PERDURE_TEST_ENDPOINT"])


@app.workflow("workflow")
async def workflow(ctx: WorkflowContext) -> list[str]:
    """Two steps."""
    return [await ctx.step(once, "workflow:first"), await ctx.step(held, "workflow:second")]


@app.workflow("quick")
async def quick(ctx: WorkflowContext) -> None:
    """Two steps with a little sleep between them, after which a worker must be found again."""
    await ctx.step(once, f"{ctx.run_id}:first")
    await ctx.sleep(0.2)
    await ctx.step(once, f"{ctx.run_id}:second")


TASK = """
echo "task:second $PERDURE_TEST_VERSION" >> "$PERDURE_TEST_FOLDER/effects"
while [ ! -e "$PERDURE_TEST_FOLDER/go" ]; do sleep 0.05; done
"""
INHERITED = ["PERDURE_TEST_FOLDER", "PERDURE_TEST_VERSION"]

# A task has no steps: it begins anew.
app.task("task", command=["sh", "-c", TASK], backoff_limit=9, inherit=INHERITED)


async def judged(what: str) -> str:
    """The first case ends at once, the second when the test lets it."""
    return await (once if what == "eval:first" else held)(what)


app.eval(
    "eval",
    judged,
    dataset=Dataset[str, str, Any](name="two", cases=[Case(inputs="eval:first"), Case(inputs="eval:second")]),
)
