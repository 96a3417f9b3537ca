"""What an attempt of an agent run has to do: the turn that it takes up, or nothing but to wait for the user.

A run that is not interactive has one turn, which is the run. For a kind of agent there is no difference: each attempt
is given the conversation so far, and answers it (`domain/turns.py` says what a turn is).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from ag_ui.core import BaseEvent, CustomEvent

from perdure.domain.event import CUSTOM
from perdure.domain.fold import TURN_ENDED, TURN_STARTED, LogFold
from perdure.domain.message import Message
from perdure.domain.past import Past
from perdure.domain.run import Kind, Park, Waiting, WaitingReason
from perdure.domain.run_profile import checkpoint_characters
from perdure.domain.stored_run import Run
from perdure.domain.transitions import INTERRUPTED
from perdure.domain.turns import TurnFold, Turns
from perdure.execution.attempt import Attempt, StopReason
from perdure.services import events as event_service
from perdure.services.core import Core

FOR_THE_USER: Final = Waiting(WaitingReason.INPUT)


@dataclass(frozen=True, slots=True)
class Work:
    """What an attempt finds: the past of its turn, the conversation up to it, and the event that begins it.

    `begins` is None for a turn that has begun; `turn` is None for a run of one turn. `waits`: there is nothing to do
    before the user's next message; `stopped`: the user has stopped the turn before it could go on; `more`: another
    message waits for its turn already.
    """

    past: Past
    messages: tuple[Message, ...]
    turn: int | None = None
    begins: BaseEvent | None = None
    waits: bool = False
    stopped: bool = False
    more: bool = False


async def find_work(core: Core, attempt: Attempt, run: Run, first: tuple[Message, ...]) -> Work:
    """Read the run's log. `first`: the messages that it was started with."""
    log, fold = LogFold(), TurnFold(first, checkpoint_characters(run))
    # The claim of a fresh run wrote the only event.
    if attempt.claimed.latest_event_id > 1:
        async for line in event_service.own_lines(core, run.key):
            log.add(line)
            if run.kind is Kind.AGENT:
                fold.add(line)
    turns = fold.turns()
    if run.kind is not Kind.AGENT or not (run.spec.interactive or turns.converse or turns.number > 1):
        return Work(log.past(), first)
    return _next_turn(log, turns)


def _next_turn(log: LogFold, turns: Turns) -> Work:
    if turns.open:
        return Work(log.past(), turns.messages, turns.number, stopped=turns.interrupted, more=bool(turns.inbox))
    if not turns.inbox:
        return Work(log.past(), turns.messages, turns.number, waits=True)
    said = turns.inbox[0]
    number = turns.number + 1
    begins = CustomEvent(name=TURN_STARTED, value={"turn": number, "messageId": said.message.id})
    log.observe(begins)
    return Work(
        log.past(), (*turns.messages, said.message), number, begins, stopped=said.stopped, more=len(turns.inbox) > 1
    )


def turn_ended(work: Work, status: str, metadata: dict[str, object] | None = None) -> BaseEvent:
    """The event that ends a turn: `completed` or `stopped`. `metadata` is what its model responses cost."""
    more = {} if metadata is None else {"metadata": metadata}
    return CustomEvent(name=TURN_ENDED, value={"turn": work.turn, "status": status, **more})


def wait_for_user(attempt: Attempt, work: Work) -> Park:
    """The command with which the attempt ends: a message that waits already, or came meanwhile, is next at once."""
    read_to = 0 if work.more else attempt.claimed.latest_event_id
    return Park(FOR_THE_USER, attempt.claimed.fence, read_to=read_to)


@asynccontextmanager
async def interruptible(core: Core, attempt: Attempt, work: Work) -> AsyncIterator[None]:
    """While the turn runs: the user's stop cancels the attempt's task, with `StopReason.INTERRUPTED`."""
    task = asyncio.current_task()
    if work.turn is None or task is None:
        yield
        return
    watch = asyncio.create_task(_watch(core, attempt, task), name="turn-watch")
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _watch(core: Core, attempt: Attempt, task: asyncio.Task[object]) -> None:
    claimed = attempt.claimed
    async with aclosing(core.hub.follow(claimed.key, claimed.latest_event_id)) as rows:
        async for row in rows:
            if CUSTOM in row.events.types and f'"{INTERRUPTED}"' in row.events.text and attempt.stop is None:
                attempt.stop = StopReason.INTERRUPTED
                task.cancel()
                return
