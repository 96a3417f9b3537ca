"""What the caller who started a run said, as the run's agent reads it (veryfront.md 1.2): `RunContext.request`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from perdure.domain.stored_run import Run
from perdure.execution.overrides import ClientTool, Overrides, overrides_of

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


def _nothing() -> Mapping[str, object]:
    return _NOTHING


@dataclass(frozen=True, slots=True)
class Trigger:
    """What made the run: `kind` is `api`, `schedule`, `webhook` or `manual`, `id` what it is there.

    The rest is the place in a conversation that the caller named.
    """

    kind: str | None = None
    id: str | None = None
    schedule_id: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class SpawnedFrom:
    """The place in its parent's conversation that a child run was spawned from."""

    conversation_id: str | None = None
    message_id: str | None = None
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """Where a run comes from. `root_run_id` is its own id where it has no parent; `spawned_from` None then."""

    trigger: Trigger = field(default_factory=Trigger)
    parent_run_id: str | None = None
    root_run_id: str | None = None
    spawned_from: SpawnedFrom | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class ContextDocument:
    """An item of a `context` list. `type` says which of the others it has: `text`, `json` (`data`) or `resource`
    (`uri`, perhaps with `mime_type` and `text`)."""

    type: str
    title: str | None = None
    text: str | None = None
    data: object = None
    uri: str | None = None
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A run's request, typed: where the run comes from, and what its input says beside the messages.

    `documents` are a `context` list's items, `place` is a `context` object (`project_id`, `branch_id`,
    `conversation_id`, `project_reference`, `environment_context`); a run has one or the other, or none. A Pydantic AI
    agent's model sees the documents; `place`, `forwarded_props` and `state` (an AG-UI client's) are for tools.
    `thinking` is False (off) or a budget in tokens.
    """

    origin: RunOrigin = field(default_factory=RunOrigin)
    model: str | None = None
    allowed_tools: frozenset[str] | None = None
    thinking: int | bool | None = None
    max_steps: int | None = None
    tools: tuple[ClientTool, ...] = ()
    documents: tuple[ContextDocument, ...] = ()
    place: Mapping[str, object] = field(default_factory=_nothing)
    forwarded_props: Mapping[str, object] = field(default_factory=_nothing)
    state: object = None
    allow_delegation: bool | None = None
    active_chat_id: str | None = None


def origin_of(run: Run) -> RunOrigin:
    """Where a stored run comes from."""
    said, spawned = run.spec.origin, run.spawned_from
    return RunOrigin(
        trigger=Trigger(
            said.trigger_kind,
            said.trigger_id,
            said.schedule_id,
            said.conversation_id,
            said.message_id,
            said.tool_call_id,
        ),
        parent_run_id=run.parent_run_id,
        root_run_id=run.root_run_id,
        spawned_from=None
        if spawned is None
        else SpawnedFrom(spawned.conversation_id, spawned.message_id, spawned.tool_call_id),
        created_by=run.created_by,
    )


def start_request(given: Mapping[str, object], origin: RunOrigin) -> StartRequest:
    """The request of a run with this input, which was validated when the run was created or started."""
    overrides: Overrides = overrides_of(given)
    context, delegation = given.get("context"), given.get("allow_delegation")
    return StartRequest(
        origin=origin,
        model=overrides.model,
        allowed_tools=overrides.allowed_tools,
        thinking=overrides.thinking,
        max_steps=overrides.max_steps,
        tools=overrides.tools,
        documents=_documents(context),
        place=_object(context),
        forwarded_props=_object(given.get("forwarded_props")),
        state=given.get("state"),
        allow_delegation=delegation if isinstance(delegation, bool) else None,
        active_chat_id=_text(given.get("active_chat_id")),
    )


def _documents(value: object) -> tuple[ContextDocument, ...]:
    items = value if isinstance(value, list) else []
    return tuple(
        ContextDocument(
            type=_text(item.get("type")) or "text",
            title=_text(item.get("title")),
            text=_text(item.get("text")),
            data=item.get("data"),
            uri=_text(item.get("uri")),
            mime_type=_text(item.get("mimeType")),
        )
        for item in items
        if isinstance(item, Mapping)
    )


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else _NOTHING


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
