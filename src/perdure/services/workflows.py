"""What a workflow does beside its own log: child runs, and signals that come while it works."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from perdure.domain.errors import InvalidRequest
from perdure.domain.event import CUSTOM
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.run import Kind
from perdure.domain.stored_run import About, Run, RunSpec
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import RunRequest
from perdure.store import run_events

_ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRequest:
    """A child to be started. `target` is `<kind>:<name>`; `key` makes it the same child when it is asked for again."""

    target: str
    input: bytes | None
    key: str
    name: str | None = None
    timeout_seconds: int | None = None
    backoff_limit: int | None = None


async def start_child(core: Core, parent: Run, wanted: ChildRequest) -> RunId:
    """Create a child run of a run, or find the one that was created before.

    Raises InvalidRequest for a target that names no kind, and what `services.runs.create` raises.
    """
    word, _, name = wanted.target.partition(":")
    if word not in tuple(Kind) or not name:
        raise InvalidRequest(f"{wanted.target!r} is no target: write agent:<name>, workflow:…, task:… or eval:….")
    kind = Kind(word)
    configured = kind in (Kind.TASK, Kind.EVAL)
    request = RunRequest(
        kind=kind,
        owner_kind="project",
        owner_id=parent.project_id,
        fingerprint=hashlib.sha256(f"{wanted.target}\n".encode() + (wanted.input or b"")).digest(),
        agent_id=name if kind is Kind.AGENT else None,
        target=None if kind is Kind.AGENT else wanted.target,
        idempotency_key=wanted.key,
        parent_run_id=parent.run_id,
        spec=RunSpec(
            name=wanted.name,
            workflow_id=name if kind is Kind.WORKFLOW else None,
            timeout_seconds=wanted.timeout_seconds,
            backoff_limit=wanted.backoff_limit,
            config=msgspec.json.decode(wanted.input) if configured and wanted.input is not None else None,
        ),
        input=None if configured else wanted.input,
        created_by=parent.created_by,
        about=About(visibility=parent.about.visibility),
    )
    return (await run_service.create(core, parent.project_id, request)).run.run_id


async def ended_children(core: Core, project_id: ProjectId, run_ids: Iterable[str]) -> dict[str, Run]:
    """Those of the children that have ended."""
    found = await run_service.get_many(core, [RunKey(project_id, RunId(run_id)) for run_id in run_ids])
    return {run.run_id: run for run in found.values() if run.status.terminal}


async def signals_after(core: Core, key: RunKey, after: int) -> tuple[list[tuple[str, object]], int]:
    """Name and payload of the signals after an event id, in order; and the id up to which there are no others."""
    found: list[tuple[str, object]] = []
    while rows := await run_events.read_of_types(core.database, key, (CUSTOM,), after, _ROWS_AT_ONCE):
        for row in rows:
            if row.first_external_sequence is None and '"perdure.signal"' in row.text:
                events = [msgspec.json.decode(line) for line in row.lines()]
                found += [
                    (event["value"]["name"], event["value"].get("payload"))
                    for event in events
                    if event.get("name") == "perdure.signal"
                ]
        after = rows[-1].last_event_id
    return found, after
