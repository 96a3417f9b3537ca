"""Runs with logs of their own making, and what is projected of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from perdure.domain.event import Append, Segment, line_of
from perdure.domain.fold import encode_step
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Executor, Finish, Kind, Status
from perdure.domain.stored_run import About, NewRun, RunSpec, Visibility
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.store import run_events, runs
from tests.store.harness import PROJECT

Event = Mapping[str, Any]


def text(message_id: str, *deltas: str) -> list[Event]:
    """The events of an assistant's message."""
    return [
        {"type": "TEXT_MESSAGE_START", "messageId": message_id, "role": "assistant"},
        *({"type": "TEXT_MESSAGE_CONTENT", "messageId": message_id, "delta": delta} for delta in deltas),
        {"type": "TEXT_MESSAGE_END", "messageId": message_id},
    ]


def call(call_id: str, name: str, arguments: str = "{}") -> list[Event]:
    """The events of a call to a tool."""
    return [
        {"type": "TOOL_CALL_START", "toolCallId": call_id, "toolCallName": name},
        {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": arguments},
        {"type": "TOOL_CALL_END", "toolCallId": call_id},
    ]


def result(call_id: str, content: str, **more: object) -> Event:
    """The event of a tool's result."""
    event = {"type": "TOOL_CALL_RESULT", "toolCallId": call_id, "messageId": f"r-{call_id}", "content": content}
    return {**event, **more}


def superseded(message_id: str, *call_ids: str) -> Event:
    """The event that takes a message back."""
    value = {"messageId": message_id, "reason": "attempt_lost", "toolCallIds": list(call_ids)}
    return {"type": "CUSTOM", "name": "perdure.message.superseded", "value": value}


def model_step(number: int, *, tokens: tuple[int, int] = (10, 5), meter: Mapping[str, Any] | None = None) -> Event:
    """The private record of a model's response."""
    response = {
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
        "model_name": "gpt-test",
        "provider_name": "openai",
        "parts": [],
    }
    [line] = encode_step(f"model:{number}", msgspec.json.encode([response, *([meter] if meter else [])]))
    step: Event = msgspec.json.decode(line)
    return step


def segments(events: Sequence[Event]) -> tuple[Segment, ...]:
    """Events as they are appended: recorded steps are private."""
    return tuple(
        Segment((str(event["type"]),), (line_of(event),), public=event["type"] != "perdure.step") for event in events
    )


async def append(core: Core, key: RunKey, events: Sequence[Event], rows: int = 100) -> None:
    """Append events to a run's log, at most `rows` at once."""
    made = segments(events)
    for start in range(0, len(made), rows):
        [done] = await run_events.append(core.database, [Append(key, made[start : start + rows])], core.clock())
        assert done is not None


async def complete(core: Core, key: RunKey, metadata: dict[str, object] | None = None) -> None:
    """End a run well."""
    await lifecycle.apply(core, key, Finish(Status.COMPLETED, metadata=metadata))


async def described_run(
    core: Core,
    run_id: str,
    *,
    about: About | None = None,
    agent: str = "echo",
    tags: tuple[str, ...] = (),
    by: str | None = "user:ann",
    said: str | None = None,
    interactive: bool = True,
) -> RunKey:
    """A running run that says something about itself."""
    await core.database.execute(
        "INSERT INTO projects (id, slug, name, created_at) VALUES ($1, 'p', 'P', now()) ON CONFLICT DO NOTHING", PROJECT
    )
    key = RunKey(PROJECT, RunId(run_id))
    created = await runs.create(
        core.database,
        NewRun(
            key=key,
            kind=Kind.AGENT,
            owner_kind="project",
            owner_id=PROJECT,
            status=Status.RUNNING,
            executor=Executor.CALLER,
            spec=RunSpec(interactive=interactive),
            request_hash=b"",
            created_at=runs.at(core.clock()),
            agent_id=agent,
            tags=tags,
            created_by=by,
            input=None if said is None else msgspec.json.encode({"messages": [{"role": "user", "content": said}]}),
            about=about or About(),
        ),
    )
    assert created
    return key


PRIVATE = About(visibility=Visibility.PRIVATE)


@dataclass(frozen=True, slots=True)
class Projection:
    """Everything that is stored of one run's projections."""

    event_id: int
    first_response_ts: int | None
    document: str
    calls: tuple[dict[str, Any], ...]


async def projection(core: Core, key: RunKey) -> Projection | None:
    """What is projected of a run."""
    row = await core.database.fetchrow(
        "SELECT p.event_id, p.first_response_ts, t.document::text FROM run_projections p JOIN run_texts t"
        " USING (project_id, run_id) WHERE p.project_id = $1 AND p.run_id = $2",
        *key,
    )
    found = await core.database.fetch(
        "SELECT * FROM run_calls WHERE project_id = $1 AND run_id = $2 ORDER BY call_key", *key
    )
    calls = tuple({name: value for name, value in row.items() if value is not None} for row in found)
    return None if row is None else Projection(row[0], row[1], row[2], calls)
