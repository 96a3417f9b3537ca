"""The agents of these tests: what they do is what they are told, and some wait for files that a test makes.

Run by real workers as `perdure dev …/agents.py`, with PERDURE_TEST_FOLDER set.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ag_ui.core import BaseEvent
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from perdure import App
from perdure.agents import RunContext, last_user_text

FOLDER = Path(os.environ["PERDURE_TEST_FOLDER"])
TOOLS = {"look": ["look"], "both": ["look", "count"], "send": ["send"], "break": ["broken"], "wait": ["gate"]}
"""The first word of what is said, and the tools that the model calls for it."""

app = App()


def said(messages: list[ModelMessage]) -> list[str]:
    """What the user has said, turn by turn."""
    requests = (message.parts for message in messages if isinstance(message, ModelRequest))
    return [str(part.content) for parts in requests for part in parts if isinstance(part, UserPromptPart)]


def results(messages: list[ModelMessage]) -> list[str]:
    """What tools have returned since the user spoke last."""
    found: list[str] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                found = []
            elif isinstance(part, ToolReturnPart):
                found.append(f"{part.tool_name}: {part.content}")
    return found


async def obedient(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Does what the first word says: see TOOLS; `slow` takes its time, `until` speaks until
    there is a file, `fail` fails, `history` tells what was said."""
    text = said(messages)[-1] if said(messages) else ""
    word, _, rest = text.partition(" ")
    seen = results(messages)
    if word in TOOLS and not seen:
        arguments = json.dumps({"what": rest})
        calls = {
            place: DeltaToolCall(name=name, json_args=arguments, tool_call_id=f"call-{len(messages)}-{place}")
            for place, name in enumerate(TOOLS[word])
        }
        yield f"I will {word}."
        yield calls
    elif seen:
        yield "; ".join(seen)
    elif word == "fail":
        yield "I will "
        raise RuntimeError("told to fail")
    elif word == "slow":
        for number in range(int(rest or 40)):
            yield f"w{number} "
            await asyncio.sleep(0.02)
    elif word == "until":
        number = 0
        while not (FOLDER / rest).exists():
            yield f"w{number} "
            number += 1
            await asyncio.sleep(0.02)
    elif word == "history":
        yield json.dumps(said(messages))
    else:
        yield "You said: "
        yield text


agent = Agent(FunctionModel(stream_function=obedient, model_name="obedient-1"))


@agent.tool_plain
async def look(what: str) -> str:
    """Looks at something."""
    return f"saw {what}"


@agent.tool_plain
async def count(what: str) -> int:
    """Counts letters."""
    return len(what)


@agent.tool_plain(requires_approval=True)
async def send(what: str) -> str:
    """Sends something, when a person has agreed."""
    return f"sent {what}"


@agent.tool_plain
async def broken(what: str) -> str:
    """Does not work."""
    raise RuntimeError(f"no {what}")


@agent.tool_plain
async def gate(what: str) -> str:
    """Waits until the test makes a file."""
    while not (FOLDER / what).exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)
    return f"through {what}"


@app.agent("planner")
async def planner(run: RunContext) -> AsyncIterator[BaseEvent | dict[str, object]]:
    """Publishes a plan and what it was told, tells how far it is, and waits for the file that it was told of."""
    text = last_user_text(run.messages)
    await run.plan([{"goal": "look", "status": "completed"}, "act"], comment="Two steps")
    await run.publish("weather", {"told": text, "degrees": [1, 2.5]})
    await run.progress(1, 2, "half of it")
    await run.message("beware", type="warning", details={"level": 3})
    while text and not (FOLDER / text).exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)
    await run.publish("weather", None)
    yield {"type": "TEXT_MESSAGE_CHUNK", "messageId": "answer", "delta": "done"}


@app.agent("writer")
async def writer(run: RunContext) -> AsyncIterator[BaseEvent | dict[str, object]]:
    """Writes what it was told into a file, keeps notes of its own, and says what files there are."""
    text = last_user_text(run.messages)
    await run.artifacts.write("out/said.txt", text)
    await run.artifacts.write("tool-results/notes.json", json.dumps({"length": len(text)}), "application/json")
    names = sorted(one.path for one in await run.artifacts.list())
    yield {"type": "TEXT_MESSAGE_CHUNK", "messageId": "files", "delta": ", ".join(names)}


app.agent("obedient", agent, description="Does what it is told.")
app.agent("obedient/other", agent, description="The same by another name.")
