"""What an AG-UI agent elsewhere is asked: `RunAgentInput` (AG-UI 1.0) of a run of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from ag_ui.core import Message as AgUiMessage
from pydantic import TypeAdapter, ValidationError

from perdure.domain.message import Message, Role, text_of
from perdure.execution.log import RunContext

Json = dict[str, Any]

_MESSAGE: Final[TypeAdapter[object]] = TypeAdapter(AgUiMessage)


def thread_of(run: RunContext) -> str:
    """The thread's id: that of the AG-UI client who started the run, else the conversation's, else the run's."""
    thread = run.input.get("thread_id")
    return thread if isinstance(thread, str) else run.conversation_id or run.run_id


def base_input(run: RunContext) -> Json:
    """The request without `runId`, with the messages that were there before the run."""
    request = run.request
    return {
        "threadId": thread_of(run),
        "protocolVersion": "1.0",
        "messages": list(_messages(run)),
        "tools": [
            {"name": tool.name, "description": tool.description or "", "parameters": dict(tool.parameters)}
            for tool in request.tools
        ],
        "context": list(_context(run.input.get("context"))),
        "state": request.state if request.state is not None else {},
        "forwardedProps": run.input.get("forwarded_props") or {},
    }


def _messages(run: RunContext) -> Iterator[Json]:
    """Messages that came as AG-UI's go on as they are; of all others what they say and call."""
    given = run.input.get("messages")
    raw = given if isinstance(given, list) and len(given) == len(run.messages) else [None] * len(run.messages)
    for place, (one, message) in enumerate(zip(raw, run.messages, strict=True)):
        if isinstance(one, dict) and _is_ag_ui(one):
            yield one
        else:
            yield from _converted(message, message.id or f"message-{place}")


def _is_ag_ui(message: Json) -> bool:
    try:
        _MESSAGE.validate_python(message)
    except ValidationError:
        return False
    return True


def _converted(message: Message, name: str) -> Iterator[Json]:
    if message.role in (Role.REASONING, Role.ACTIVITY):
        return
    calls = [part for part in message.parts if part["type"] == "tool_call"]
    text = text_of(message)
    if message.role is not Role.TOOL and (text or calls or message.role is not Role.ASSISTANT):
        made: Json = {"id": name, "role": message.role.value, "content": text}
        if calls:
            made["toolCalls"] = [_call(part) for part in calls]
        yield made
    for part in message.parts:
        if part["type"] == "tool_result":
            call_id, output = str(part["tool_call_id"]), part.get("output")
            content = output if isinstance(output, str) else msgspec.json.encode(output).decode()
            yield {"id": f"{name}:{call_id}", "role": "tool", "toolCallId": call_id, "content": content}


def _call(part: Mapping[str, object]) -> Json:
    arguments = part.get("arguments") or msgspec.json.encode(part.get("input") or {}).decode()
    return {"id": part["id"], "type": "function", "function": {"name": part["name"], "arguments": arguments}}


def _context(given: object) -> Iterator[Json]:
    for item in given if isinstance(given, list) else []:
        if isinstance(item, Mapping):
            value = next((item[key] for key in ("value", "text", "data", "uri") if item.get(key) is not None), "")
            title = item.get("description") or item.get("title") or ""
            said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            yield {"description": str(title), "value": said}
