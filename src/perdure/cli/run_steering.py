"""What `perdure runs cancel`, `restart`, `signal`, `approve` and `resume` do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from perdure.cli.exits import ExitCode
from perdure.cli.follow import View, show_run
from perdure.cli.inputs import read_text, value_of
from perdure.cli.output import fail, note, write_json, write_json_line
from perdure.cli.remote import ask
from perdure.client import Client, OpenCall, Run


@dataclass(frozen=True, slots=True)
class After:
    """What to do when the run was told: follow it (through what it waits for), write JSON."""

    follow: bool
    wait: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about one tool call, or about `every` one that waits for approval."""

    approved: bool
    message: str | None
    every: bool


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's result, said on the command line or in a file."""

    call: str
    text: str | None
    file: Path | None
    is_error: bool


def cancel(context: typer.Context, run_id: str, *, reason: str | None, as_json: bool) -> None:
    """Cancel a run."""
    answer = ask(context, lambda client: client.runs.cancel(run_id, reason=reason))
    if as_json:
        write_json(answer)
    elif not answer.cancelled:
        note(f"The run had ended before: {answer.run.status}.")
    else:
        note("The run is cancelled." if answer.run.status.ended else "The run is being cancelled.")


def cancel_tree(context: typer.Context, run_id: str, *, reason: str | None, as_json: bool) -> None:
    """Cancel a run's tree."""
    answer = ask(context, lambda client: client.runs.cancel_tree(run_id, reason=reason))
    if as_json:
        write_json(answer)
    else:
        note(f"{answer.cancelled} {'run' if answer.cancelled == 1 else 'runs'} cancelled.")


def signal(context: typer.Context, run_id: str, name: str, payload: str | None, *, as_json: bool) -> None:
    """Send a signal."""
    answer = ask(context, lambda client: client.runs.signal(run_id, name, value_of(payload)))
    if as_json:
        write_json(answer)
    else:
        note(f"The signal {name} is in the run's log.")


def restart(context: typer.Context, run_id: str, *, fresh: bool | None, after: After) -> None:
    """Start a run again."""

    async def tell(client: Client, run: Run) -> object:
        return await client.runs.restart(run_id, fresh=fresh)

    _told(context, run_id, tell, after, "The run starts again.")


def approve(context: typer.Context, run_id: str, call_id: str | None, decision: Decision, after: After) -> None:
    """Decide about tool calls."""

    async def tell(client: Client, run: Run) -> object:
        calls = [call_id] if call_id is not None else _waiting_calls(run, every=decision.every)
        return [
            await client.runs.approve(run_id, one, approved=decision.approved, message=decision.message)
            for one in calls
        ]

    _told(context, run_id, tell, after, "Approved." if decision.approved else "Denied.")


def resume(context: typer.Context, run_id: str, result: ToolResult, after: After) -> None:
    """Give a tool call its result."""
    if (result.text is None) == (result.file is None):
        fail("Give the result either as RESULT or as --file.")
    text = result.text if result.file is None else read_text(result.file)

    async def tell(client: Client, run: Run) -> object:
        return await client.runs.resume(run_id, result.call, value_of(text), is_error=result.is_error)

    _told(context, run_id, tell, after, "The run has its result.")


def _told(
    context: typer.Context,
    run_id: str,
    tell: Callable[[Client, Run], Awaitable[object]],
    after: After,
    words: str,
) -> None:
    """Tell the run something, then show what comes of it: the events after those that there were before."""

    async def work(client: Client) -> ExitCode:
        before = await client.runs.get(run_id)
        answer = await tell(client, before)
        if after.as_json:
            (write_json_line if after.follow else write_json)(answer)
        else:
            note(words)
        if not after.follow:
            return ExitCode.DONE
        view = View(after=before.latest_event_id, through_waiting=after.wait, as_json=after.as_json)
        return await show_run(client, run_id, view)

    raise typer.Exit(ask(context, work))


def _waiting_calls(run: Run, *, every: bool) -> Sequence[str]:
    calls = [call for call in run.waiting.calls if call.reason == "approval"] if run.waiting is not None else []
    if not calls:
        fail(f"The run waits for no approval; it is {run.status}.", code=ExitCode.REFUSED)
    if len(calls) > 1 and not every:
        fail("Several calls wait for approval: name one, or say --all.", _listed(calls))
    return [call.tool_call_id for call in calls]


def _listed(calls: Sequence[OpenCall]) -> str:
    return "\n".join(f"  {call.tool_call_id}  {call.tool_name}" for call in calls)
