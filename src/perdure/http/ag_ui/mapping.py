"""From `RunAgentInput` to what the services take: pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from perdure.domain.ids import ConversationId, ProjectId
from perdure.domain.message import parse_messages
from perdure.domain.project import parse_uuid
from perdure.domain.run import Answer, Kind
from perdure.domain.stored_run import Origin, RunSpec
from perdure.http.ag_ui.schemas import run_agent_input_schema
from perdure.http.requests import read_checked
from perdure.http.schema_check import SchemaCheck
from perdure.services.ag_ui import Answers
from perdure.services.control import content_of
from perdure.services.runs import RunRequest

MAX_BODY: Final = 8 * 1024 * 1024

_CHECK: Final = SchemaCheck(run_agent_input_schema())
_THREADS: Final = UUID("5f0e5f0e-a901-5d00-8a90-1a6d2f1c0a61")
"""Namespace of the conversations of threads whose id is no UUID."""


def read_input(body: bytes) -> Mapping[str, Any]:
    """A `RunAgentInput`. Raises InvalidRequest with the place."""
    asked: Any = read_checked(body, _CHECK)
    parse_messages(asked["messages"], "/messages")
    checked: Mapping[str, Any] = asked
    return checked


def conversation_of(thread_id: str, project_id: ProjectId) -> ConversationId:
    """The conversation of a thread: the one of that id, or one whose id is made of the project's and the thread's."""
    return ConversationId(parse_uuid(thread_id) or uuid5(_THREADS, f"{project_id}/{thread_id}"))


def run_request(
    asked: Mapping[str, Any], agent: str, project_id: ProjectId, conversation_id: ConversationId, created_by: str
) -> RunRequest:
    """The run that a request makes where it is no turn of one that is there."""
    given = {
        "messages": asked["messages"],
        "tools": asked.get("tools") or [],
        "context": asked.get("context") or [],
        "forwarded_props": asked.get("forwardedProps"),
        "state": asked.get("state"),
        "thread_id": asked["threadId"],
    }
    given = {name: value for name, value in given.items() if value is not None}
    return RunRequest(
        kind=Kind.AGENT,
        owner_kind="project",
        owner_id=project_id,
        fingerprint=hashlib.sha256(msgspec.json.encode([agent, given], order="deterministic")).digest(),
        agent_id=agent,
        public_id=asked["runId"],
        conversation_id=conversation_id,
        new_conversation=True,
        parent_run_id=asked.get("parentRunId") or None,
        spec=RunSpec(origin=Origin(trigger_kind="api")),
        input=msgspec.json.encode(given),
        created_by=created_by,
    )


def answers_of(asked: Mapping[str, Any]) -> Answers:
    """What the request answers: results in its tool messages, and its `resume` entries."""
    results = {
        call_id: _result(call_id, message)
        for message in asked["messages"]
        if message["role"] == "tool" and (call_id := _call_id(message)) is not None
    }
    entries: Sequence[Mapping[str, Any]] = asked.get("resume") or ()
    return Answers(results, {entry["interruptId"]: _resumed(entry) for entry in entries})


def _call_id(message: Mapping[str, Any]) -> str | None:
    call_id = message.get("toolCallId", message.get("tool_call_id"))
    return call_id if isinstance(call_id, str) else None


def _result(call_id: str, message: Mapping[str, Any]) -> Answer:
    content, error = message.get("content"), message.get("error")
    return Answer(call_id, content, content_of(error or content), is_error=error is not None)


def _resumed(entry: Mapping[str, Any]) -> Answer:
    """A decision or a result; what was abandoned is a no."""
    call_id = entry["interruptId"]
    if entry["status"] == "cancelled":
        return Answer(call_id, "Cancelled by the user.", "Cancelled by the user.", is_error=True)
    payload = entry.get("payload")
    if isinstance(payload, dict) and isinstance(payload.get("editedArgs"), dict):
        payload = {**payload, "arguments": payload["editedArgs"]}
    return Answer(call_id, payload, content_of(payload))
