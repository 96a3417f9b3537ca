"""Telemetry that a program tells of an agent run that it executes itself (vertesia.md 1.5), and the calls in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, assert_never

import msgspec

from perdure.domain.call import Call, clipped, countable, tool_key
from perdure.domain.errors import InvalidRequest

Number = Annotated[float, msgspec.Meta(ge=0, le=2**53)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
ToolType = Literal["builtin", "interaction", "remote", "skill"]
CallType = Literal["start", "resume_tools", "resume_user", "checkpoint", "nested_interaction", "background"]


class _Event(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="eventType", forbid_unknown_fields=True
):
    """What all of them say."""

    timestamp: Moment
    run_id: str
    model: str
    environment_id: str
    environment_type: str
    interaction_id: str
    agent_run_id: str | None = None
    parent_run_id: str | None = None
    ancestor_run_ids: list[str] | None = None


class TokenUsage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens of a whole run."""

    input: Number
    output: Number


class EndConversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the agent itself judged its conversation."""

    status: Literal["success", "failure"]
    reason: str | None = None


class RunStarted(_Event, frozen=True, tag="agent_run_started"):
    """A run begins."""

    interactive: bool
    task_id: str | None = None
    user_channels: list[object] | None = None


class RunCompleted(_Event, frozen=True, tag="agent_run_completed"):
    """A run ended."""

    success: bool
    duration_ms: Number
    total_iterations: Number
    total_tool_calls: Number
    total_llm_calls: Number
    error_type: str | None = None
    error_message: str | None = None
    token_usage: TokenUsage | None = None
    end_conversation: EndConversation | None = None


class LlmCall(_Event, frozen=True, tag="llm_call"):
    """A model was asked. `prompt_tokens` include the cached ones."""

    prompt_tokens: Number
    completion_tokens: Number
    total_tokens: Number
    duration_ms: Number
    success: bool
    streaming_enabled: bool
    tool_use_count: Number
    call_type: CallType
    prompt_cached_tokens: Number | None = None
    prompt_cache_write_tokens: Number | None = None
    attempt_number: Number | None = None
    error_type: str | None = None
    nested_interaction_id: str | None = None
    tool_name: str | None = None
    tool_type: ToolType | None = None


class ToolCall(_Event, frozen=True, tag="tool_call"):
    """A tool was called."""

    tool_name: str
    tool_use_id: str
    tool_type: ToolType
    iteration: Number
    success: bool
    duration_ms: Number
    parameters: object = None
    parameters_size_bytes: Number | None = None
    result_size_bytes: Number | None = None
    error_type: str | None = None
    error_message: str | None = None
    spawned_child_workflow: object = None


AgentEvent = RunStarted | RunCompleted | LlmCall | ToolCall


def parse_events(value: object) -> tuple[AgentEvent, ...]:
    """The events of a decoded JSON array. Raises InvalidRequest that says what is wrong with the first bad one."""
    try:
        return tuple(msgspec.convert(value, type=list[AgentEvent]))
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"events: {error}") from None


def calls_of(events: Sequence[AgentEvent]) -> tuple[Call, ...]:
    """The calls that events tell of. The same event, told twice, has the same key."""
    made = {call.key: call for call in map(_call, events)}
    return tuple(made.values())


def _call(event: AgentEvent) -> Call:
    at = int(event.timestamp.timestamp() * 1000)
    match event:
        case LlmCall():
            return Call(
                key=_key(event),
                source="told",
                kind="llm",
                at=at,
                duration_ms=_whole(event.duration_ms),
                success=event.success,
                error_type=_error(event.success, event.error_type),
                model=event.model,
                environment=event.environment_id,
                tool=event.tool_name,
                tool_type=event.tool_type,
                call_type=event.call_type,
                nested=event.call_type == "nested_interaction" or event.nested_interaction_id is not None,
                attempt=_whole(event.attempt_number),
                input_tokens=_whole(event.prompt_tokens),
                output_tokens=_whole(event.completion_tokens),
                cached_input_tokens=_whole(event.prompt_cached_tokens),
                cache_write_tokens=_whole(event.prompt_cache_write_tokens),
                tool_use_count=_whole(event.tool_use_count),
            )
        case ToolCall():
            return Call(
                key=tool_key(event.tool_use_id),
                source="told",
                kind="tool",
                at=at,
                duration_ms=_whole(event.duration_ms),
                success=event.success,
                error_type=_error(event.success, event.error_type),
                error_message=None if event.error_message is None else clipped(event.error_message),
                model=event.model,
                environment=event.environment_id,
                tool=event.tool_name,
                tool_type=event.tool_type,
                tool_call_id=event.tool_use_id,
                iteration=_whole(event.iteration),
                input_bytes=_whole(event.parameters_size_bytes),
                output_bytes=_whole(event.result_size_bytes),
                parameters=countable(event.parameters),
            )
        case RunStarted():
            return Call(key=_key(event), source="told", kind="run", at=at, success=True, call_type="started")
        case RunCompleted():
            return Call(
                key=_key(event),
                source="told",
                kind="run",
                at=at,
                duration_ms=_whole(event.duration_ms),
                success=event.success,
                error_type=_error(event.success, event.error_type),
                error_message=None if event.error_message is None else clipped(event.error_message),
                call_type="completed",
                input_tokens=None if event.token_usage is None else _whole(event.token_usage.input),
                output_tokens=None if event.token_usage is None else _whole(event.token_usage.output),
            )
        case _:
            assert_never(event)


def _key(event: AgentEvent) -> str:
    told = hashlib.sha256(msgspec.json.encode(event, order="deterministic")).hexdigest()
    return f"told:{told[:32]}"


def _error(success: bool, error_type: str | None) -> str | None:
    return None if success else (error_type or "unknown")


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
