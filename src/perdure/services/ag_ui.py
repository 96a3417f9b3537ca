"""Runs of AG-UI clients (docs/ag-ui.md).

There, a run that needs something from outside ends, and the answer begins another one. Here it is one run that waits
and goes on: each of the client's runs is a turn of it, remembered with the event that it follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from perdure.domain.errors import RunExists, RunNotActive, ToolResultConflict, ToolResultNotWaiting
from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.domain.run import Answer, PendingCall, WaitingReason
from perdure.domain.stored_run import Run
from perdure.services import control
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import RunRequest
from perdure.store import ag_ui as store

_LOOKED_AT: Final = 20
"""Waiting runs of a conversation that an answer may be for."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a request answers, by tool call id: results in tool messages, and entries of `resume`."""

    results: Mapping[str, Answer]
    resumed: Mapping[str, Answer]

    def to(self, call: PendingCall) -> Answer | None:
        """The answer to a call. A decision about one is never read from a message."""
        result = None if call.reason is WaitingReason.APPROVAL else self.results.get(call.id)
        return self.resumed.get(call.id) or result


@dataclass(frozen=True, slots=True)
class Turn:
    """A client's run: which of ours it is, and its events: those after `after`, where another turn goes on up to `to`.

    `known`: it was asked for before.
    """

    run: Run
    after: int
    known: bool
    to: int | None = None


async def begin(core: Core, project_id: ProjectId, asked: RunRequest, answers: Answers) -> Turn:
    """The turn that a request asks for: one that was asked for before, the next one of a run that waits for what the
    request answers, or a new run.

    Raises what `services.runs.create` raises; RunExists where the id is that of another conversation's or agent's run;
    ToolResultNotWaiting where nothing waits for what `resume` answers; InvalidRequest for an answer that is too large.
    """
    key = RunKey(project_id, RunId(asked.public_id or ""))
    turn = await _known(core, key, asked) or await _next(core, key, asked, answers)
    if turn is None:
        if answers.resumed:
            raise ToolResultNotWaiting("No run of this thread waits for what `resume` answers.")
        created = await run_service.create(core, project_id, asked)
        return Turn(created.run, 0, created.duplicate)
    await _answer(core, turn.run, answers)
    to = await store.next_turn(core.database, turn.run.key, turn.after + 1) if turn.known else None
    return Turn(await run_service.get(core, turn.run.key), turn.after, turn.known, to)


async def goes_on_after(core: Core, key: RunKey, event_id: int) -> int | None:
    """The event after which the client has gone on with the run in another turn: `event_id`, or one after it."""
    return await store.next_turn(core.database, key, event_id)


async def _known(core: Core, key: RunKey, asked: RunRequest) -> Turn | None:
    found = await run_service.get_many(core, [key])
    run, after = found.get(key), 0
    if run is None:
        turn = await store.get_turn(core.database, key)
        if turn is None:
            return None
        run, after = await run_service.get(core, RunKey(key.project_id, turn[0])), turn[1]
    if (run.conversation_id, run.agent_id) != (asked.conversation_id, asked.agent_id):
        raise RunExists(f"Run {key.run_id} exists, in another thread or of another agent: choose another runId.")
    return Turn(run, after, known=True)


async def _next(core: Core, key: RunKey, asked: RunRequest, answers: Answers) -> Turn | None:
    conversation_id = asked.conversation_id
    if conversation_id is None or not (answers.results or answers.resumed):
        return None
    keys = await store.waiting_runs(
        core.database, key.project_id, ConversationId(conversation_id), asked.agent_id or "", _LOOKED_AT
    )
    found = await run_service.get_many(core, keys)
    for run in (found[one] for one in keys if one in found):
        if run.waiting is not None and any(answers.to(call) for call in run.waiting.calls):
            await store.add_turn(core.database, key, run.run_id, run.latest_event_id)
            return Turn(run, run.latest_event_id, known=False)
    return None


async def _answer(core: Core, run: Run, answers: Answers) -> None:
    """Give the run what it waits for; what was answered meanwhile stays as it is."""
    for call in run.waiting.calls if run.waiting is not None else ():
        answer = answers.to(call)
        if answer is not None:
            with suppress(RunNotActive, ToolResultConflict, ToolResultNotWaiting):
                await control.resume(core, run.key, answer)
