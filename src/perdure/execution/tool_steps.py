"""What a tool call came to, as a recorded step: its result, or the failure that the model or the run is told of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from ag_ui.core import BaseEvent
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ToolReturn,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_core import PydanticSerializationError, from_json, to_json

ToolSignal = ToolRetryError | ToolFailedError | ModelRetry | ToolFailed
"""Raised by a tool for the model to see; every other exception fails the run."""


class ToolCrashed(Exception):
    """A tool raised an exception, which fails the run. Stands for the recorded one in later attempts."""

    def __init__(self, message: str, type_name: str) -> None:
        super().__init__(message)
        self.type_name = type_name


class _Step(msgspec.Struct, omit_defaults=True):
    """A tool call's outcome. `request` holds what the model is told: a list of one ModelRequest, as JSON.

    `wrapped`: the tool returned a ToolReturn, whose user content is the second part of the request.
    """

    kind: Literal["return", "retry", "failed", "raised", "external", "question", "approval"]
    request: msgspec.Raw = msgspec.Raw(b"null")
    wrapped: bool = False
    metadata: msgspec.Raw = msgspec.Raw(b"null")
    tools: list[str] | None = None
    message: str = ""
    type: str = ""


def encode_return(name: str, call_id: str, result: object) -> bytes:
    """A step for what a tool returned. Raises when that cannot be written as JSON."""
    parts: list[ModelRequestPart] = [return_part(name, call_id, result)]
    if not isinstance(result, ToolReturn):
        return msgspec.json.encode(_Step("return", _request(parts)))
    if result.content:
        parts.append(UserPromptPart(result.content))
    step = _Step("return", _request(parts), wrapped=True, metadata=_json(result.metadata), tools=result.tools)
    return msgspec.json.encode(step)


def encode_signal(name: str, call_id: str, signal: ToolSignal) -> bytes:
    """A step for a failure that the model is told of."""
    kind: Literal["retry", "failed"] = "retry" if isinstance(signal, ToolRetryError | ModelRetry) else "failed"
    return msgspec.json.encode(_Step(kind, _request([signal_part(name, call_id, signal)]), message=str(signal)))


def encode_error(error: Exception) -> bytes:
    """A step for an exception that fails the run."""
    return msgspec.json.encode(_Step("raised", message=str(error), type=type(error).__name__))


def encode_deferral(deferral: CallDeferred | ApprovalRequired) -> bytes:
    """A step for a call whose result or approval comes from outside."""
    kind = "approval" if isinstance(deferral, ApprovalRequired) else deferral.kind
    return msgspec.json.encode(_Step(kind, metadata=_json(deferral.metadata)))


def replay(recorded: bytes) -> object:
    """Returns what the tool returned, or raises what it raised, as the first time. A model sees no difference."""
    step = msgspec.json.decode(recorded, type=_Step)
    match step.kind:
        case "return":
            return _returned(step)
        case "retry":
            # As the tool raised it, so that the library counts it against the tool's retries again.
            raise ModelRetry(step.message)
        case "failed":
            raise ToolFailedError(_parts(step)[0])
        case "raised":
            raise ToolCrashed(step.message, step.type)
        case "approval":
            raise ApprovalRequired(from_json(bytes(step.metadata)))
        case "external" | "question" as kind:
            raise CallDeferred(from_json(bytes(step.metadata)), kind=kind)


def signal_part(name: str, call_id: str, signal: ToolSignal) -> ToolReturnPart:
    """What the model is told of a failure."""
    match signal:
        case ToolRetryError(tool_retry=ToolReturnPart() as part):
            return part
        case ToolFailedError(tool_failed=part):
            return part
        case ToolRetryError() | ModelRetry():
            return ToolReturnPart(name, str(signal), call_id, outcome="retried")
        case ToolFailed():
            return ToolReturnPart(name, str(signal), call_id, outcome="failed")


def return_part(name: str, call_id: str, result: object) -> ToolReturnPart:
    """What the model is told of a result."""
    value = result.return_value if isinstance(result, ToolReturn) else result
    return ToolReturnPart(name, value, call_id)


def attached_events(result: object) -> list[BaseEvent]:
    """The AG-UI events that a tool returned for the client, as `ToolReturn(…, metadata=event or list of events)`."""
    if not isinstance(result, ToolReturn):
        return []
    metadata = result.metadata
    found = metadata if isinstance(metadata, Sequence) and not isinstance(metadata, str | bytes) else [metadata]
    return [event for event in found if isinstance(event, BaseEvent)]


def _request(parts: Sequence[ModelRequestPart]) -> msgspec.Raw:
    return msgspec.Raw(ModelMessagesTypeAdapter.dump_json([ModelRequest(parts=parts)]))


def _json(metadata: object) -> msgspec.Raw:
    """Metadata is the application's own and may be anything; what JSON cannot say is left out."""
    try:
        return msgspec.Raw(to_json(metadata))
    except PydanticSerializationError:
        return msgspec.Raw(b"null")


def _parts(step: _Step) -> tuple[ToolReturnPart, UserPromptPart | None]:
    parts = ModelMessagesTypeAdapter.validate_json(bytes(step.request))[0].parts
    returned, prompt = parts[0], parts[1] if len(parts) > 1 else None
    assert isinstance(returned, ToolReturnPart)
    return returned, prompt if isinstance(prompt, UserPromptPart) else None


def _returned(step: _Step) -> object:
    returned, prompt = _parts(step)
    if not step.wrapped:
        return returned.content
    content = None if prompt is None else prompt.content
    return ToolReturn(returned.content, content=content, metadata=from_json(bytes(step.metadata)), tools=step.tools)
