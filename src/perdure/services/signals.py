"""The signals of the Agent Runs API and their effects (vertesia.md 4.1). Each is in the run's log, its inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from perdure.domain.agent_signals import (
    FILE_SIGNALS,
    STOP,
    answer_value,
    answered_request,
    check_file_signal,
    input_response,
    profile_change,
)
from perdure.domain.errors import InvalidRequest, RunIsTerminal, Unavailable
from perdure.domain.event import StoredEvents, custom, line_of, segment_of
from perdure.domain.ids import RunKey
from perdure.domain.input_request import InputRequest, InputStatus
from perdure.domain.run import USER_INPUT, Answer, Signal
from perdure.domain.run_files import RunFiles
from perdure.domain.stored_run import About, Run
from perdure.services import agent_runs, control, input_requests, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.lifecycle import Extra
from perdure.store import input_requests as input_request_store
from perdure.store import run_events

_TRIES: Final = 50
_ROWS_AT_ONCE: Final = 500


async def send(core: Core, run: Run, name: str, payload: dict[str, Any] | None, actor: str) -> None:
    """Take a signal, known by name or not. `actor` is who sends it, `payload` None where there is none.

    Raises RunIsTerminal, InvalidRequest for a payload that the signal cannot have, and Conflict for what contradicts
    what is stored.
    """
    said = payload or {}
    if run.status.terminal:
        raise _ended(run.key)
    if name == STOP:
        await control.interrupt(core, run.key, payload)
    elif name == USER_INPUT:
        await _user_input(core, run, said, actor)
    elif name in FILE_SIGNALS:
        check_file_signal(name, said)
        await _file_signal(core, run.key, name, said)
    else:
        change = profile_change(name, said, interactive=run.spec.interactive)
        await control.signal(core, run.key, name, payload)
        if change:
            await agent_runs.change(core, run, About(), change)


async def _user_input(core: Core, run: Run, payload: dict[str, Any], actor: str) -> None:
    """The user's next message, or the answer to what the run has asked."""
    message = payload.get("message")
    if not isinstance(message, str):
        raise InvalidRequest("`message` must be a text.", pointer="/message")
    request_id = answered_request(payload)
    if request_id is None or not await _answer(core, run, request_id, payload, actor):
        await control.signal(core, run.key, USER_INPUT, payload)


async def _answer(core: Core, run: Run, request_id: str, payload: dict[str, Any], actor: str) -> bool:
    """Whether the run waits for what this answers: an open tool call, an approval, or an input request."""
    said = custom("perdure.signal", {"name": USER_INPUT, "payload": payload, "answers": request_id})
    value = answer_value(payload)
    if run.waiting is not None and any(call.id == request_id for call in run.waiting.calls):
        answer = Answer(request_id, value, control.content_of(value))
        applied = await lifecycle.apply(core, run.key, answer, Extra(before=(segment_of([said]),)))
        if applied.transition is not None:
            return True
    asked = await _open_request(core, run.key, request_id)
    if asked is None:
        return await _was_sent(core, run.key, said)
    values = _values(asked, payload)
    await input_requests.respond(core, run.project_id, asked.conversation_id, asked.id, values, actor)
    with suppress(RunIsTerminal):
        await control.note(core, run.key, said)
    return True


async def _was_sent(core: Core, key: RunKey, said: dict[str, object]) -> bool:
    """Whether the same answer came before: a client sends it again when it did not hear that it was taken."""
    line = line_of(said)
    async for row in _custom_rows(core, key):
        if line in row.lines():
            return True
    return False


async def _open_request(core: Core, key: RunKey, request_id: str) -> InputRequest | None:
    found = await input_request_store.of_run(core.database, key)
    still_open = (asked for asked in found if asked.status is InputStatus.OPEN)
    return next((asked for asked in still_open if request_id in (str(asked.id), asked.tool_call_id)), None)


def _values(asked: InputRequest, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a form: those that the response says, or its message for a form of one field."""
    values = input_response(payload).get("values")
    if isinstance(values, dict):
        return values
    fields: list[dict[str, Any]] = msgspec.json.decode(asked.fields)
    if len(fields) != 1:
        names = ", ".join(str(field.get("name")) for field in fields)
        raise InvalidRequest(
            f"The form has the fields {names}: send them as `request_input_response.values`.", pointer="/metadata"
        )
    return {str(fields[0]["name"]): payload.get("message")}


async def _file_signal(core: Core, key: RunKey, name: str, payload: dict[str, Any]) -> None:
    """Record what became of a file, and tell the agent of a batch as soon as it is settled: once, as a user's turn.

    Both are decided on the log and written only if no other signal came meanwhile.
    """
    signal: Signal | None = Signal(name, payload)
    for tries in range(_TRIES):
        run = await run_service.get(core, key)
        if run.status.terminal:
            raise _ended(key)
        files = await _files_of(core, key)
        if signal is not None and files.knows(name, payload):
            signal = None
        if signal is not None:
            files.add(name, payload)
        turn = files.due_turn()
        commands = [*([signal] if signal else ()), *([Signal(USER_INPUT, turn)] if turn else ())]
        if not commands:
            return
        if await lifecycle.signal_all(core, run, commands):
            signal = None
        else:
            await asyncio.sleep(0.001 * tries)
    raise Unavailable(f"Run {key.run_id} changes too fast. Try again.")


async def _files_of(core: Core, key: RunKey) -> RunFiles:
    files = RunFiles()
    async for row in _custom_rows(core, key):
        if '"perdure.signal"' in row.text:
            for line in row.lines():
                files.add_line(line)
    return files


async def _custom_rows(core: Core, key: RunKey) -> AsyncIterator[StoredEvents]:
    """The rows with CUSTOM events that are not of an outside writer."""
    after = 0
    while rows := await run_events.read_of_types(core.database, key, ("CUSTOM",), after, _ROWS_AT_ONCE):
        for row in rows:
            if row.first_external_sequence is None:
                yield row
        after = rows[-1].last_event_id


def _ended(key: RunKey) -> RunIsTerminal:
    return RunIsTerminal(f"Run {key.run_id} has ended: restart it before you signal it.")
