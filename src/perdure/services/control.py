"""Steer a run from outside: tool results, approvals, signals, restart."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec

from perdure.domain.errors import (
    Conflict,
    InvalidRequest,
    RunIsTerminal,
    RunNotActive,
    RunNotTerminal,
    ToolResultConflict,
    ToolResultNotWaiting,
)
from perdure.domain.event import TOOL_CALL_RESULT
from perdure.domain.ids import RunKey
from perdure.domain.run import Answer, Interrupt, Note, Restart, Signal, Status
from perdure.domain.stored_run import Run
from perdure.services import conversation_line, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import run_events

MAX_RESULT_BYTES = 64 * 1024
_ROWS_AT_ONCE = 500


async def cancel(core: Core, key: RunKey, reason: str, wait_seconds: float) -> tuple[bool, Run]:
    """Cancel a run and wait a little for its worker; answers whether it is or will be cancelled, and the run."""
    applied = await lifecycle.cancel(core, key, reason)
    run = await run_service.get(core, key)
    asked = applied.transition is not None or run.cancelling
    if run.cancelling:
        run = await _ended(core, run, wait_seconds)
    return asked and (run.status is Status.CANCELLED or not run.status.terminal), run


async def _ended(core: Core, run: Run, seconds: float) -> Run:
    """The run when its worker has ended it, or as it is after `seconds`."""
    try:
        async with asyncio.timeout(seconds), aclosing(core.hub.follow(run.key, run.latest_event_id)) as rows:
            async for _ in rows:
                pass
    except TimeoutError:
        pass
    return await run_service.get(core, run.key)


async def resume(core: Core, key: RunKey, answer: Answer) -> bool:
    """Give a waiting run the result or the approval that it waits for; answers whether it had it already.

    Raises RunNotActive, ToolResultConflict, ToolResultNotWaiting (veryfront.md 3.3), InvalidRequest over 64 KB.
    """
    if len(msgspec.json.encode(answer.value)) > MAX_RESULT_BYTES:
        raise InvalidRequest(f"A tool result is at most {MAX_RESULT_BYTES // 1024} KB of JSON.", pointer="/result")
    applied = await lifecycle.apply(core, key, answer)
    if applied.transition is not None:
        return False
    run = await run_service.get(core, key)
    given = await _given_before(core, run, answer.tool_call_id)
    if given == _comparable(answer):
        return True
    if run.status.terminal:
        raise RunNotActive(f"Run {key.run_id} has ended ({run.status}).")
    if given is not None:
        raise ToolResultConflict(f"Tool call {answer.tool_call_id} was answered before, with another result.")
    raise ToolResultNotWaiting(f"Run {key.run_id} is not waiting for tool call {answer.tool_call_id}.")


async def signal(core: Core, key: RunKey, name: str, payload: object) -> None:
    """Write a signal into the run's log, its inbox; a run that waits for one goes on. Raises RunIsTerminal."""
    applied = await lifecycle.apply(core, key, Signal(name, payload))
    if applied.transition is None:
        raise RunIsTerminal(f"Run {key.run_id} has ended: restart it before you signal it.")


async def note(core: Core, key: RunKey, event: dict[str, object]) -> None:
    """Tell a run's log something, also while the run waits. Raises RunIsTerminal."""
    applied = await lifecycle.apply(core, key, Note(event))
    if applied.transition is None:
        raise RunIsTerminal(f"Run {key.run_id} has ended, and its log with it.")


async def interrupt(core: Core, key: RunKey, payload: object) -> None:
    """Stop the turn that an interactive run is in, and only the turn. Raises RunIsTerminal, and Conflict for a run that
    is one turn."""
    run = await run_service.get(core, key)
    if not run.spec.interactive:
        raise Conflict("The run is not interactive, so its one turn is the run: cancel it instead.")
    applied = await lifecycle.apply(core, key, Interrupt(payload))
    if applied.transition is None:
        raise RunIsTerminal(f"Run {key.run_id} has ended: restart it before you signal it.")


async def restart(core: Core, key: RunKey, fresh: bool | None, *, converse: bool = False) -> Run:
    """Start an ended run again: same run, next attempt. `fresh` forgets its recorded steps (default: only when it had
    completed, since there is nothing left to go on with). `converse`: a run whose turn had ended waits for the user's
    next message. Raises RunNotTerminal, and ConversationBusy by the policy of its conversation."""
    run = await run_service.get(core, key)
    forget = run.status is Status.COMPLETED if fresh is None else fresh
    applied = await conversation_line.apply(core, run, Restart(forget, converse))
    if applied.transition is None:
        raise RunNotTerminal(f"Run {key.run_id} is {run.status}: only a run that has ended can be restarted.")
    return await run_service.get(core, key)


def _comparable(answer: Answer) -> bytes:
    return msgspec.json.encode([answer.content, answer.is_error], order="deterministic")


async def _given_before(core: Core, run: Run, tool_call_id: str) -> bytes | None:
    """What was answered to a tool call before, in a form to compare; None when nothing was."""
    after = 0
    while rows := await run_events.read(core.database, run.key, after, limit=_ROWS_AT_ONCE):
        for row in rows:
            if row.first_external_sequence is None:
                for kind, line in zip(row.types, row.lines(), strict=True):
                    found = _answer_in(kind, line, tool_call_id)
                    if found is not None:
                        return found
        after = rows[-1].last_event_id
    return None


def _answer_in(kind: str, line: str, tool_call_id: str) -> bytes | None:
    if kind not in (TOOL_CALL_RESULT, "CUSTOM") or tool_call_id not in line:
        return None
    event = msgspec.json.decode(line)
    if kind == TOOL_CALL_RESULT and event.get("toolCallId") == tool_call_id:
        return msgspec.json.encode([event.get("content"), bool(event.get("isError"))], order="deterministic")
    value = event.get("value")
    if event.get("name") == "perdure.run.approval" and value.get("toolCallId") == tool_call_id:
        return msgspec.json.encode([content_of(value.get("value")), False], order="deterministic")
    return None


def content_of(value: object) -> str:
    """A tool result as the text of its AG-UI event: strings as they are, anything else as key-sorted JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()
