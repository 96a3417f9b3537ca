"""The snapshot of a conversation's run (veryfront.md 2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.agui import result_message_id
from perdure.domain.conversation import StoredMessage
from perdure.domain.message import Role
from perdure.domain.principal import Scope
from perdure.http.context import core_of
from perdure.http.json_schema import JsonSchema, array, integer, members, nullable, text
from perdure.http.operations import Answer, Operation, json_answer
from perdure.http.requests import conversation_id_of
from perdure.http.runs.events_routes import conversation_run
from perdure.services import snapshots
from perdure.services.snapshots import Snapshot

_Part = dict[str, Any]


async def get_run_snapshot(request: Request) -> Response:
    """GET /conversations/{conversation_id}/runs/{run_id}/snapshot."""
    run = await conversation_run(request)
    taken = await snapshots.take(core_of(request), run, conversation_id_of(request))
    return json_answer({"after_event_id": taken.after_event_id, "events": _events(taken)})


def _events(taken: Snapshot) -> list[dict[str, object]]:
    """Two events that stand in no log, and the one that ended the run."""
    shown = [made for message in taken.messages for made in _messages(message)]
    events: list[dict[str, object]] = [
        {"event_id": None, "event": {"type": "MESSAGES_SNAPSHOT", "messages": shown}},
        {"event_id": None, "event": {"type": "STATE_SNAPSHOT", "snapshot": taken.state}},
    ]
    if taken.terminal is not None:
        event_id, line = taken.terminal
        events.append({"event_id": event_id, "event": Raw(line)})
    return events


def _messages(message: StoredMessage) -> Iterator[dict[str, object]]:
    """A message in AG-UI's form, where what tools returned are messages of their own; `parts` has it as it is stored.

    Only the roles that clients of the protocol decode: one message of another role, and they drop the whole snapshot.
    """
    parts: list[_Part] = msgspec.json.decode(message.parts)
    own = {"id": str(message.id), "role": message.role, "parts": parts}
    match message.role:
        case Role.USER:
            yield {**own, "content": _text(parts)}
        case Role.REASONING:
            yield {**own, "content": "\n".join(str(part["text"]) for part in _of_type(parts, "reasoning"))}
        case Role.ASSISTANT:
            calls = [_call(part) for part in _of_type(parts, "tool_call")]
            yield {**own, "content": _text(parts), **({"toolCalls": calls} if calls else {})}
            yield from _results(message, parts)
        case Role.TOOL:
            yield from _results(message, parts)
        case Role.SYSTEM | Role.DEVELOPER | Role.ACTIVITY:
            return


def _call(part: _Part) -> dict[str, object]:
    given = part.get("arguments")
    arguments = given if isinstance(given, str) else msgspec.json.encode(part.get("input") or {}).decode()
    return {"id": part["id"], "type": "function", "function": {"name": part["name"] or "tool", "arguments": arguments}}


def _results(message: StoredMessage, parts: list[_Part]) -> Iterator[dict[str, object]]:
    for part in _of_type(parts, "tool_result"):
        output = part.get("output")
        content = output if isinstance(output, str) else msgspec.json.encode(output).decode()
        call_id = str(part["tool_call_id"])
        failed = {"error": content} if part.get("is_error") else {}
        yield {
            "id": result_message_id(str(message.id), call_id),
            "role": Role.TOOL,
            "toolCallId": call_id,
            "content": content,
            "parts": [part],
            **failed,
        }


def _text(parts: list[_Part]) -> str:
    return "\n".join(str(part["text"]) for part in _of_type(parts, "text"))


def _of_type(parts: Iterable[_Part], kind: str) -> Iterator[_Part]:
    return (part for part in parts if part["type"] == kind)


def snapshot_schema() -> JsonSchema:
    """The answer."""
    event = members({"type": text(1)}, required=("type",), closed=False, description="An event in AG-UI's form.")
    item = members(
        {"event_id": nullable(integer(1, description="Null for one that is in no log.")), "event": event},
        required=("event_id", "event"),
        closed=False,
    )
    known = {
        "after_event_id": integer(0, description="Where to go on: the stream's `after`, or its Last-Event-ID."),
        "events": array(item),
    }
    return members(known, required=tuple(known), closed=False)


SNAPSHOT: Final = Operation(
    method="GET",
    path="/conversations/{conversation_id}/runs/{run_id}/snapshot",
    handler=get_run_snapshot,
    tag="events",
    summary="Read a conversation's run as it stands",
    description=(
        "MESSAGES_SNAPSHOT with the newest messages of the conversation, STATE_SNAPSHOT, and the terminal event once "
        "the run has ended. Then follow the stream after `after_event_id`."
    ),
    scope=Scope.RUNS_READ,
    answers={200: Answer("The snapshot.", snapshot_schema())},
)
