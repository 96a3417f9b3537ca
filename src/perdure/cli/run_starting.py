"""What `perdure runs create` does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from perdure.cli.exits import ExitCode
from perdure.cli.follow import View, show_run
from perdure.cli.inputs import object_of, read_text
from perdure.cli.output import fail, note, write_json, write_json_line, write_line
from perdure.cli.remote import ask
from perdure.client import Client, CreatedRun
from perdure.client.scheduling import Scheduling
from perdure.domain.run import Kind

Start = Callable[[Client], Awaitable[CreatedRun]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The run to start, as it was said."""

    target: str
    prompt: str | None
    given: str | None
    conversation: str | None
    public_id: str | None
    project: str | None
    scheduling: Scheduling


def create(context: typer.Context, wanted: Wanted, *, follow: bool, wait: bool, as_json: bool) -> None:
    """Start it; with `follow` show it, too."""
    given = object_of(wanted.given) if wanted.given is not None else {}
    start = _agent(wanted, given) if _kind(wanted.target) == "agent" else _job(wanted, given)

    async def work(client: Client) -> ExitCode:
        created = await start(client)
        _tell(created, follow=follow, as_json=as_json)
        if not follow:
            return ExitCode.DONE
        return await show_run(client, created.run.run_id, View(through_waiting=wait, as_json=as_json))

    raise typer.Exit(ask(context, work))


def _kind(target: str) -> str:
    """The kind that a target names; a name without one is an agent's."""
    kind, colon, _ = target.partition(":")
    return kind if colon and kind in tuple(Kind) else Kind.AGENT


def _agent(wanted: Wanted, more: dict[str, Any]) -> Start:
    messages = _messages(wanted.prompt, more)

    async def start(client: Client) -> CreatedRun:
        return await client.runs.create(
            wanted.target.removeprefix("agent:"),
            messages,
            project_id=await _project_id(client, wanted.project),
            conversation=wanted.conversation,
            public_id=wanted.public_id,
            input=more,
            **wanted.scheduling,
        )

    return start


def _job(wanted: Wanted, given: dict[str, Any]) -> Start:
    """A workflow, a task or an eval."""
    if wanted.prompt is not None or wanted.conversation is not None:
        fail("Only agents have a PROMPT and a --conversation: say --input '{…}'.")

    async def start(client: Client) -> CreatedRun:
        return await client.runs.start(
            wanted.target,
            given,
            project_id=await _project_id(client, wanted.project),
            public_id=wanted.public_id,
            **wanted.scheduling,
        )

    return start


async def _project_id(client: Client, ref: str | None) -> str | None:
    return None if ref is None else (await client.projects.get(ref)).id


def _messages(prompt: str | None, more: dict[str, Any]) -> list[Any]:
    """The input's messages, then the prompt."""
    given = more.pop("messages", [])
    if not isinstance(given, list):
        fail("`messages` of the input must be a list.")
    if prompt == "-":
        prompt = read_text(Path("-"))
    if prompt is None and not given:
        fail("Say something: a PROMPT, or `messages` in the --input.")
    return [*given, *([] if prompt is None else [{"role": "user", "content": prompt}])]


def _tell(created: CreatedRun, *, follow: bool, as_json: bool) -> None:
    run_id = created.run.run_id
    if as_json:
        (write_json_line if follow else write_json)(created)
        return
    if created.duplicate:
        note("This run existed already.")
    if follow:
        note(f"run {run_id}")
    else:
        write_line(run_id)
        note(f"Watch it: perdure runs tail -f {run_id}")
