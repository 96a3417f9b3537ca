"""What `perdure batches` does."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import typer

from perdure.cli.exits import ExitCode
from perdure.cli.inputs import read_text
from perdure.cli.output import fail, note, write_json, write_line
from perdure.cli.remote import ask
from perdure.client import Batch, Client, CreatedBatch
from perdure.client.scheduling import Scheduling

_CODES: Final = MappingProxyType(
    {"completed": ExitCode.DONE, "failed": ExitCode.FAILED, "cancelled": ExitCode.CANCELLED}
)


def create(
    context: typer.Context,
    file: Path,
    batch_id: str | None,
    project: str | None,
    scheduling: Scheduling,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Start a batch; with `wait` stay until it is done."""
    requests = _requests(file)

    async def work(client: Client) -> CreatedBatch:
        project_id = None if project is None else (await client.projects.get(project)).id
        return await client.batches.create(requests, batch_id=batch_id, project_id=project_id, **scheduling)

    made = ask(context, work)
    if made.duplicate:
        note("This batch existed already.")
    if wait:
        note(f"batch {made.batch.batch_id}")
        _waited(context, made.batch.batch_id, None, as_json=as_json)
    if as_json:
        write_json(made)
        return
    write_line(made.batch.batch_id)
    note(f"{made.batch.total} task runs. Wait for them: perdure batches wait {made.batch.batch_id}")


def show(context: typer.Context, batch_id: str, *, as_json: bool) -> None:
    """Show a batch."""
    _tell(ask(context, lambda client: client.batches.get(batch_id)), as_json=as_json)


def cancel(context: typer.Context, batch_id: str, *, wait: bool, as_json: bool) -> None:
    """Cancel a batch; with `wait` stay until all of its runs have ended."""
    answer = ask(context, lambda client: client.batches.cancel(batch_id))
    if not answer.cancelled:
        note(f"The batch had ended before: {answer.batch.status}.")
    if wait:
        answer = msgspec.structs.replace(answer, batch=ask(context, lambda client: client.batches.wait(batch_id)))
    if as_json:
        write_json(answer)
    else:
        _tell(answer.batch, as_json=False)


def wait(context: typer.Context, batch_id: str, timeout: float | None, *, as_json: bool) -> None:
    """Stay until a batch is done; the exit code is how it ended."""
    _waited(context, batch_id, timeout, as_json=as_json)


def _waited(context: typer.Context, batch_id: str, timeout: float | None, *, as_json: bool) -> None:
    async def work(client: Client) -> Batch:
        try:
            return await client.batches.wait(batch_id, timeout=timeout)
        except TimeoutError:
            return await client.batches.get(batch_id)

    batch = ask(context, work)
    _tell(batch, as_json=as_json)
    raise typer.Exit(_CODES.get(batch.status, ExitCode.UNFINISHED))


def _tell(batch: Batch, *, as_json: bool) -> None:
    if as_json:
        write_json(batch)
        return
    counts = ", ".join(f"{count} {status}" for status, count in batch.counts.items() if count)
    write_line(f"{batch.status}: {batch.ended} of {batch.total} ended ({counts})")


def _requests(file: Path) -> list[Any]:
    """The task requests of a file: a JSON array, or one JSON value on each line that is not empty."""
    text = read_text(file)
    try:
        if text.lstrip().startswith("["):
            return msgspec.json.decode(text, type=list[Any])
        return [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        fail(f"{file} holds neither JSON Lines nor a JSON array: {error}.")
