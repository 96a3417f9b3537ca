"""What `perdure runs list`, `get` and `tail` do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

import msgspec
import typer

from perdure.cli.custom_lines import answer_commands
from perdure.cli.folding import folded, folded_value
from perdure.cli.follow import View, show_run
from perdure.cli.output import write_json, write_line, write_table
from perdure.cli.remote import ask
from perdure.cli.spans import ago, milliseconds
from perdure.client import Client, Run

_PAGE = 200
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are listed; None or empty means any."""

    statuses: tuple[str, ...]
    kind: str | None
    agent_id: str | None
    target: str | None
    tag: str | None
    parent: str | None
    project: str | None


def list_runs(context: typer.Context, wanted: Wanted, *, limit: int, as_json: bool) -> None:
    """List at most `limit` runs."""

    async def work(client: Client) -> list[Run]:
        return await _gather(client, wanted, limit)

    found = ask(context, work)
    if as_json:
        write_json({"data": found})
        return
    now = datetime.fromtimestamp(time(), UTC)
    write_table(
        ("RUN", "STATUS", "KIND", "OF", "CREATED", "TOOK", "DETAIL"),
        (_row(run, now) for run in found),
        empty="There are no such runs.",
    )


async def _gather(client: Client, wanted: Wanted, limit: int) -> list[Run]:
    found: list[Run] = []
    cursor: str | None = None
    while len(found) < limit:
        page = await client.runs.list(
            project=wanted.project,
            kind=wanted.kind,
            statuses=wanted.statuses,
            agent_id=wanted.agent_id,
            target=wanted.target,
            tag=wanted.tag,
            parent_run_id=wanted.parent,
            limit=min(_PAGE, limit - len(found)),
            cursor=cursor,
        )
        found += page.data
        cursor = page.next
        if cursor is None:
            break
    return found


def _row(run: Run, now: datetime) -> tuple[str, ...]:
    took = milliseconds(run.duration_ms) if run.duration_ms is not None else ""
    return (
        run.run_id,
        run.status,
        run.kind,
        run.agent_id or run.target or "",
        ago(run.created_at, now),
        took,
        _why(run),
    )


def _why(run: Run) -> str:
    if run.waiting is not None:
        return ", ".join(call.tool_name for call in run.waiting.calls) or run.waiting.reason
    return folded(run.error.message, 60) if run.error is not None else ""


def get(context: typer.Context, run_id: str, *, as_json: bool) -> None:
    """Show one run."""

    async def work(client: Client) -> Run:
        return await client.runs.get(run_id)

    run = ask(context, work)
    if as_json:
        write_json(run)
        return
    for name, value in _members(run):
        write_line(f"{name:<13} {value}")


def _members(run: Run) -> Iterator[tuple[str, str]]:
    yield "run", run.run_id
    yield "status", f"{run.status}{' (cancelling)' if run.cancelling else ''}"
    yield run.kind, run.agent_id or run.target or ""
    for name, value in (("conversation", run.conversation_id), ("parent", run.parent_run_id), ("by", run.created_by)):
        if value is not None:
            yield name, value
    for name, moment in (("created", run.created_at), ("started", run.started_at), ("ended", run.completed_at)):
        if moment is not None:
            yield name, moment.isoformat(timespec="milliseconds")
    if run.held_by is not None:
        yield "after", run.held_by
    if run.duration_ms is not None:
        yield "took", milliseconds(run.duration_ms)
    yield "attempt", str(run.attempt)
    yield "events", str(run.latest_event_id)
    if run.error is not None:
        yield "error", f"{folded(run.error.message, 4 * _WIDTH)}{f' [{run.error.code}]' if run.error.code else ''}"
    yield from _waiting(run)
    if run.output is not None:
        yield "output", run.output if isinstance(run.output, str) else _indented(run.output)


def _waiting(run: Run) -> Iterator[tuple[str, str]]:
    if run.waiting is None:
        return
    yield "waits for", run.waiting.reason
    for call in run.waiting.calls:
        yield f"  {call.reason}", f"{call.tool_name}  ({call.tool_call_id})"
        for command in answer_commands(run.run_id, call.tool_call_id, call.reason):
            yield "", f"$ {command}"


def _indented(value: object) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if "\n" in text else folded_value(value, _WIDTH)


def tail(context: typer.Context, run_id: str, *, follow: bool, wait: bool, after: int, as_json: bool) -> None:
    """Show a run's events; the exit code is how it stands."""
    view = View(follow=follow, after=after, through_waiting=wait, as_json=as_json)
    raise typer.Exit(ask(context, lambda client: show_run(client, run_id, view)))
