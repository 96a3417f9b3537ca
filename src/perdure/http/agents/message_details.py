"""What messages say beside their text, by the conventions that clients of the protocol read (vertesia.md 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

_APPROVAL_OPTIONS: Final = ({"id": "approve", "label": "Approve"}, {"id": "deny", "label": "Deny"})

Said = tuple[str, dict[str, Any]]
"""A message's text and its details."""


def said_by_user(payload: Mapping[str, Any]) -> Said:
    """The echo of a `UserInput`. `ack` tells the client which of its messages it is."""
    details: dict[str, Any] = {"event_class": "user_content", "_deliveryStatus": "consumed"}
    ack, metadata = payload.get("client_message_id"), payload.get("metadata")
    if isinstance(ack, str):
        details["ack"] = ack
    if isinstance(metadata, dict) and "request_input_response" in metadata:
        details["request_input_response"] = metadata["request_input_response"]
    text = payload.get("message")
    return (text if isinstance(text, str) else ""), details


def tool_details(call_id: str, name: str, group: str, event: str, status: str) -> dict[str, Any]:
    """A tool's call on its way: `event` is started, completed or failed; `status` running, completed or error."""
    return {
        "event_class": "activity",
        "tool": name,
        "tool_event": event,
        "tool_status": status,
        "tool_use_id": call_id,
        "tool_run_id": call_id,
        "activity_id": call_id,
        "activity_group_id": group,
    }


def open_call(call: object) -> Said:
    """The question for a tool call that waits for an approval or a result. Its id is the call's."""
    told = call if isinstance(call, dict) else {}
    name = str(told.get("toolCallName", ""))
    details: dict[str, Any] = {"request_id": told.get("toolCallId"), "tool": name, "reason": told.get("reason")}
    if told.get("reason") == "approval":
        details["ux"] = {"options": [dict(option) for option in _APPROVAL_OPTIONS], "variant": "warning"}
        return f"May the tool {name} run?", details
    details["ux"] = {"free_response": {}}
    return f"The tool {name} waits for its result.", details


def asked_for_input(asked: Mapping[str, Any]) -> Said:
    """An input request: the form is among the details."""
    details: dict[str, Any] = {
        "request_id": asked.get("id"),
        "fields": asked.get("fields"),
        "ux": {"free_response": {}},
    }
    return str(asked.get("title") or ""), details


def file_details(files: dict[str, dict[str, Any]], signal: str, payload: Mapping[str, Any], now_ms: int) -> Said:
    """The state of a conversation's files after a signal about them. `files` is kept up to date, by id."""
    file_id = payload.get("id")
    if signal == "FileUploaded" and isinstance(file_id, str):
        known = {name: payload[name] for name in ("name", "content_type", "reference", "artifact_path", "size")
                 if payload.get(name) is not None}  # fmt: skip
        files[file_id] = {"id": file_id, "size": 0, **known, "status": "ready", "started_at": now_ms}
        files[file_id]["completed_at"] = now_ms
    elif signal == "FileRemoved" and isinstance(file_id, str):
        files.pop(file_id, None)
    failed = payload.get("failed_uploads")
    broken = [file for file in failed if isinstance(file, dict)] if isinstance(failed, list) else []
    details: dict[str, Any] = {
        "system_type": "file_processing",
        "files": [*files.values(), *(_broken(file, place, now_ms) for place, file in enumerate(broken))],
        "pending_count": 0,
        "ready_count": len(files),
        "error_count": len(broken),
    }
    if isinstance(payload.get("batch_id"), str):
        details["batch_id"] = payload["batch_id"]
    return f"{len(files)} file{'' if len(files) == 1 else 's'} ready.", details


def _broken(file: Mapping[str, Any], place: int, now_ms: int) -> dict[str, Any]:
    return {
        "id": f"failed-{place}",
        "name": str(file.get("name", "")),
        "content_type": "application/octet-stream",
        "size": 0,
        "status": "error",
        "error": str(file.get("error") or "The upload failed."),
        "started_at": now_ms,
    }


def token_usage(metadata: object) -> dict[str, int] | None:
    """What a run's model responses cost, from the metadata of its end; None where nothing is known."""
    said = metadata if isinstance(metadata, dict) else {}
    given, made = said.get("inputTokens"), said.get("outputTokens")
    if not isinstance(given, int) or not isinstance(made, int):
        return None
    return {"prompt": given, "result": made, "total": given + made}


def arguments_said(deltas: list[str]) -> object:
    """A tool call's arguments, from the pieces in which they came: what a model wrote may be no JSON."""
    text = "".join(deltas)
    try:
        return msgspec.json.decode(text) if text else {}
    except msgspec.DecodeError:
        return text
