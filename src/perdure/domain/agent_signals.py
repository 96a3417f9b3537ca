"""The signals of the Agent Runs API that are more than a message in a log (vertesia.md 4.1): pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from perdure.domain.errors import InvalidRequest

STOP: Final = "Stop"
FILE_UPLOADED: Final = "FileUploaded"
FILE_REMOVED: Final = "FileRemoved"
FILE_BATCH_CLOSED: Final = "FileBatchClosed"
TRIGGER_CHECKPOINT: Final = "TriggerCheckpoint"

FILE_SIGNALS: Final = frozenset({FILE_UPLOADED, FILE_REMOVED, FILE_BATCH_CLOSED})


class ApprovalMode(StrEnum):
    """When tools that need approval ask for it. `auto_review` asks, too: there is no reviewer but a person."""

    ASK = "ask"
    AUTO_REVIEW = "auto_review"
    FULL_CONTROL = "full_control"


class Effort(StrEnum):
    """How much a model thinks."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


def profile_change(name: str, payload: Mapping[str, Any], *, interactive: bool) -> dict[str, object]:
    """What a signal changes in its run's profile, which the next turns read; nothing for any other signal.

    What is left out stays as it is; an `effort` of null clears it. A run that is not interactive has nobody to ask, so
    its mode is always `full_control`. Raises InvalidRequest.
    """
    match name:
        case "ModelConfigChanged":
            return _model(payload)
        case "McpConfigChanged" if "disabled_mcp_collections" in payload:
            return {"disabled_mcp_collections": _words(payload["disabled_mcp_collections"])}
        case "ToolApprovalModeChanged":
            mode = payload.get("mode")
            if mode not in tuple(ApprovalMode):
                raise InvalidRequest(f"`mode` must be one of {', '.join(ApprovalMode)}.", pointer="/mode")
            return {"tool_approval_mode": mode if interactive else ApprovalMode.FULL_CONTROL}
        case _:
            return {}


def check_file_signal(name: str, payload: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a signal about files that does not say which."""
    if name != FILE_BATCH_CLOSED:
        _text(payload, "id")
        if name == FILE_UPLOADED:
            _text(payload, "name")
        return
    _text(payload, "batch_id")
    if "file_ids" in payload:
        _words(payload["file_ids"], "/file_ids")


def answered_request(payload: object) -> str | None:
    """The id of the request that a `UserInput` answers; None for one that is a message of its own."""
    response = input_response(payload)
    request_id = response.get("request_id")
    return request_id if isinstance(request_id, str) else None


def input_response(payload: object) -> Mapping[str, Any]:
    """`metadata.request_input_response` of a `UserInput`."""
    metadata = payload.get("metadata") if isinstance(payload, dict) else None
    response = metadata.get("request_input_response") if isinstance(metadata, dict) else None
    return response if isinstance(response, dict) else {}


def answer_value(payload: object) -> object:
    """What a `UserInput` answers: its message, or an object with what else its response says."""
    message = payload.get("message") if isinstance(payload, dict) else None
    more = {name: value for name, value in input_response(payload).items() if name != "request_id"}
    if not more:
        return message
    return {**({"message": message} if message is not None else {}), **more}


def _model(payload: Mapping[str, Any]) -> dict[str, object]:
    changed: dict[str, object] = {}
    if "model" in payload:
        changed["model"] = _text(payload, "model")
    if "effort" in payload:
        effort = payload["effort"]
        if effort is not None and effort not in tuple(Effort):
            raise InvalidRequest(f"`effort` must be null or one of {', '.join(Effort)}.", pointer="/effort")
        changed["effort"] = effort
    return changed


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"`{name}` must be a text of at least one character.", pointer=f"/{name}")
    return value


def _words(value: object, pointer: str = "/disabled_mcp_collections") -> list[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise InvalidRequest(f"`{pointer[1:]}` must be an array of texts.", pointer=pointer)
    return value
