"""What a push runtime is sent (veryfront.md 1.8): our runs and messages in the runtimes' own words.

They know the parts of a chat's user interface: a tool's call and its result are one part there, in the message of the
call. What has no word there is sent as a `data-…` part, which runtimes pass over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from perdure.domain.message import Message, Role
from perdure.domain.part import Part
from perdure.domain.stored_run import Run

_RUN_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CALL_ID_CHARACTERS: Final = 256
_ROLES: Final = MappingProxyType(
    {Role.SYSTEM: "system", Role.DEVELOPER: "system", Role.USER: "user", Role.TOOL: "tool"}
)


def can_be_sent(run_id: str) -> bool:
    """Whether a runtime accepts the run's id."""
    return _RUN_ID.fullmatch(run_id) is not None


def push_body(run: Run, messages: Sequence[Message], slug: str) -> dict[str, Any]:
    """The body of `POST {invoke_url}` for a run in a conversation, about `messages`; `slug` is its project's."""
    asked: Mapping[str, Any] = {} if run.input is None else msgspec.json.decode(run.input)
    place = asked.get("context")
    return {
        "messages": ui_messages(run.run_id, messages),
        "context": _context(run, place if isinstance(place, Mapping) else {}, slug),
        **_given({"model": asked.get("model"), "allowDelegation": asked.get("allow_delegation")}),
        **_given({"forwardedProps": _forwarded(asked), "runtimeOverrides": _overrides(asked)}),
        "durableRootRun": _root_run(run),
    }


def ui_messages(run_id: str, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as runtimes read them; those of which nothing is left are left out."""
    results = {
        part["tool_call_id"]: part for message in messages for part in message.parts if part["type"] == "tool_result"
    }
    called = {part["id"] for message in messages for part in message.parts if part["type"] == "tool_call"}
    made = [
        {
            "id": message.id or f"{run_id}-{place}",
            "role": _ROLES.get(message.role, "assistant"),
            "parts": list(_ui_parts(message.parts, results, called)),
        }
        for place, message in enumerate(messages)
    ]
    return [message for message in made if message["parts"]]


def _ui_parts(parts: Iterable[Part], results: Mapping[object, Part], called: set[object]) -> Iterable[dict[str, Any]]:
    for part in parts:
        if part["type"] == "tool_result":
            if part["tool_call_id"] not in called:
                yield _tool(part["tool_call_id"], "tool", {}, part)
        else:
            yield _ui_part(part, results)


def _ui_part(part: Part, results: Mapping[object, Part]) -> dict[str, Any]:
    match part["type"]:
        case "text":
            return {"type": "text", "text": part["text"]}
        case "reasoning":
            return {"type": "reasoning", "text": part["text"], **_given({"signature": part.get("signature")})}
        case "step_start":
            return {"type": "step-start"}
        case "image" | "file":
            return _file(part)
        case "tool_call":
            return _tool(part["id"], part["name"], part.get("input"), results.get(part["id"]))
        case "data":
            return {"type": f"data-{part.get('name') or 'data'}", "data": part.get("value")}
        case kind:
            return {"type": f"data-{kind}", "data": dict(part)}


def _file(part: Part) -> dict[str, Any]:
    media_type = part.get("media_type") or ("image/png" if part["type"] == "image" else "application/octet-stream")
    inline = None if part.get("data") is None else f"data:{media_type};base64,{part['data']}"
    url = part.get("url") or inline or f"upload:{part.get('upload_id') or part.get('file_id')}"
    return {
        "type": "file",
        "mediaType": media_type,
        "url": url,
        **_given({"filename": part.get("filename") or None, "uploadId": part.get("upload_id") or None}),
    }


def _tool(call_id: object, name: object, input: object, result: Part | None) -> dict[str, Any]:
    made = {"type": "dynamic-tool", "toolCallId": call_id, "toolName": name, "input": input or {}}
    if result is None:
        return {**made, "state": "input-available"}
    if result.get("is_error") is True:
        error = result.get("error") or result.get("output")
        text = error if isinstance(error, str) else msgspec.json.encode(error).decode()
        return {**made, "state": "output-error", "errorText": text or "The tool failed."}
    return {**made, "state": "output-available", "output": result.get("output")}


def _context(run: Run, place: Mapping[str, Any], slug: str) -> dict[str, Any]:
    return {
        "conversationId": str(run.conversation_id),
        "projectId": str(run.project_id),
        "projectSlug": slug,
        "branchId": run.spec.targets.runtime_branch_id or place.get("branch_id"),
        **_given({"environmentContext": place.get("environment_context")}),
    }


def _forwarded(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The forwarded props, with the context list and the client's tools under the names that runtimes look for."""
    props = asked.get("forwarded_props")
    context, tools = asked.get("context"), asked.get("tools")
    made = {
        **(props if isinstance(props, Mapping) else {}),
        **({"runtimeContext": context} if isinstance(context, list) and context else {}),
        **({"runtimeTools": tools} if isinstance(tools, list) and tools else {}),
    }
    return made or None


def _overrides(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    said = asked.get("runtime_overrides")
    if not isinstance(said, Mapping):
        return None
    return _given(
        {
            "allowedTools": said.get("allowed_tools"),
            "thinking": said.get("thinking"),
            "maxSteps": said.get("max_steps"),
        }
    )


def _root_run(run: Run) -> dict[str, Any]:
    spawned = run.spec.origin if run.parent_run_id is not None else None
    parent, call = run.parent_run_id, None if spawned is None else spawned.tool_call_id
    return {
        "runId": run.run_id,
        "messageId": str(run.message_id),
        "latestEventId": run.latest_event_id,
        "latestExternalEventSequence": run.latest_external_sequence,
        **_given(
            {
                "parentConversationId": None if spawned is None else spawned.conversation_id,
                "parentRunId": parent if parent is not None and can_be_sent(parent) else None,
                "spawnedFromToolCallId": call if call and len(call) <= _CALL_ID_CHARACTERS else None,
            }
        ),
    }


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    """What is there: runtimes take absent members, but not null ones."""
    return {name: value for name, value in members.items() if value is not None}
