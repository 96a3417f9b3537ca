"""The agents of these tests: what they do is what they are told.

Run by real workers as `perdure dev …/agents.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from ag_ui.core import BaseEvent
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from perdure import App
from perdure.agents import RunContext, last_user_text

CALLED = {"look": ["look"], "ask": ["ask_user"], "both": ["ask_user", "ask_again"], "send": ["send"]}
"""The first word of what is said, and the tools that the model calls for it."""

app = App()


async def obedient(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Does what the first word says: see CALLED; `slow` takes its time, `fail` fails, all else is repeated."""
    asked, seen = "", list[str]()
    for part in (part for message in messages if isinstance(message, ModelRequest) for part in message.parts):
        if isinstance(part, UserPromptPart):
            asked, seen = str(part.content), []
        elif isinstance(part, ToolReturnPart):
            seen.append(f"{part.tool_name}: {part.content}")
    word, _, rest = asked.partition(" ")
    if word in CALLED and not seen:
        arguments = json.dumps({"what": rest})
        yield f"I will {word}."
        yield {
            place: DeltaToolCall(name=name, json_args=arguments, tool_call_id=f"call-{len(messages)}-{name}")
            for place, name in enumerate(CALLED[word])
        }
    elif seen:
        yield "; ".join(seen)
    elif word == "fail":
        yield "I will "
        raise RuntimeError("told to fail")
    elif word == "slow":
        for number in range(int(rest)):
            yield f"w{number} "
            await asyncio.sleep(0.02)
    else:
        yield "You said: "
        yield asked


agent = Agent(FunctionModel(stream_function=obedient, model_name="obedient-1"))


@agent.tool_plain
async def look(what: str) -> str:
    """Looks at something."""
    return f"saw {what}"


@agent.tool_plain(requires_approval=True)
async def send(what: str) -> str:
    """Sends something, when a person has agreed."""
    return f"sent {what}"


@app.agent("mirror")
async def mirror(run: RunContext) -> AsyncIterator[BaseEvent | dict[str, object]]:
    """Tells what it was given, and has a state."""
    given = {"said": last_user_text(run.messages), "props": run.input.get("forwarded_props")}
    given |= {"context": run.input.get("context"), "state": run.request.state, "thread": run.input.get("thread_id")}
    yield {"type": "STATE_SNAPSHOT", "snapshot": {"seen": True}}
    yield {"type": "STEP_STARTED", "stepName": "mirror"}
    yield {"type": "REASONING_MESSAGE_CHUNK", "messageId": "thought", "delta": "Hm."}
    yield {"type": "TEXT_MESSAGE_CHUNK", "messageId": "answer", "delta": json.dumps(given)}
    yield {"type": "STEP_FINISHED", "stepName": "mirror"}
    yield {"type": "RUN_FINISHED", "threadId": "", "runId": "", "result": {"kept": 1}}


app.agent("obedient", agent, description="Does what it is told.")
