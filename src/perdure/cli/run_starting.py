"""What `perdure runs create` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from perdure.cli.exits import ExitCode
from perdure.cli.follow import View, show_run
from perdure.cli.inputs import read_object, read_text
from perdure.cli.output import fail, note, write_json, write_json_line, write_line
from perdure.cli.remote import ask
from perdure.client import Client, CreatedRun


@dataclass(frozen=True, slots=True)
class Wanted:
    """The run to start, as it was said."""

    agent: str
    prompt: str | None
    input_file: Path | None
    conversation: str | None
    public_id: str | None
    project: str | None


def create(context: typer.Context, wanted: Wanted, *, follow: bool, wait: bool, as_json: bool) -> None:
    """Start it; with `follow` show it, too."""
    more = read_object(wanted.input_file) if wanted.input_file is not None else {}
    messages = _messages(wanted.prompt, more)

    async def work(client: Client) -> ExitCode:
        created = await _create(client, wanted, messages, more)
        _tell(created, follow=follow, as_json=as_json)
        if not follow:
            return ExitCode.DONE
        return await show_run(client, created.run.run_id, View(through_waiting=wait, as_json=as_json))

    raise typer.Exit(ask(context, work))


async def _create(client: Client, wanted: Wanted, messages: list[Any], more: dict[str, Any]) -> CreatedRun:
    project_id = (await client.projects.get(wanted.project)).id if wanted.project is not None else None
    return await client.runs.create(
        wanted.agent,
        messages,
        project_id=project_id,
        conversation=wanted.conversation,
        public_id=wanted.public_id,
        input=more,
    )


def _messages(prompt: str | None, more: dict[str, Any]) -> list[Any]:
    """The file's messages, then the prompt."""
    given = more.pop("messages", [])
    if not isinstance(given, list):
        fail("`messages` of the input file must be a list.")
    if prompt == "-":
        prompt = read_text(Path("-"))
    if prompt is None and not given:
        fail("Say something: a PROMPT, or `messages` in the --input file.")
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
