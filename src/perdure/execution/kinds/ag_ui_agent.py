"""Runs one attempt of an agent that is an AG-UI endpoint elsewhere: its stream becomes our run's log.

What the agent has said completely is recorded, step by step, and sent along when it must be asked again: because the
connection broke, or this worker was lost. What was begun and not completed is taken back. A turn of the agent ends when
it wants something from outside; then our run waits, and the answers are sent with the next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx
import msgspec
from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    EventType,
    RunErrorEvent,
    RunFinishedCancelledOutcome,
    RunFinishedEvent,
    RunFinishedInterruptOutcome,
    RunFinishedSuccessOutcome,
)

from perdure.domain.ag_ui_history import History
from perdure.domain.agui import RESERVED
from perdure.domain.errors import EgressRefused
from perdure.domain.fold import SUPERSEDED
from perdure.domain.past import MODEL_STEP
from perdure.execution.ag_ui_input import Json, base_input
from perdure.execution.definitions import AgentDefinition, RemoteAgent
from perdure.execution.emitter import ATTEMPT_LOST, Emitter
from perdure.execution.event_reader import read_events
from perdure.execution.kinds.function_events import FunctionEvents, parse_event
from perdure.execution.log import Completed, Outcome, PendingCall, RunContext, RunFailed, Waiting, WaitingReason
from perdure.services.egress import CONNECT_SECONDS

INTERRUPT: Final = "perdure.agent.interrupt"
"""Name of the CUSTOM event with which an agent's interrupt is told, as AG-UI describes it."""

UNREACHABLE: Final = "REMOTE_UNREACHABLE"
REFUSED: Final = "REMOTE_REFUSED"
CONNECTION_LOST: Final = "connection_lost"

_WAITS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds before the agent is asked again, as long as it says nothing complete."""

_AGAIN: Final = frozenset({408, 425, 429})
_KNOWN: Final = frozenset(kind.value for kind in EventType)
_STARTS: Final = frozenset(
    {
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CHUNK",
        "REASONING_START",
        "REASONING_MESSAGE_START",
        "REASONING_MESSAGE_CHUNK",
        "TOOL_CALL_START",
        "TOOL_CALL_CHUNK",
    }
)


class _Broken(Exception):
    """The connection broke, or the agent cannot answer now: ask again."""


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step: what the agent said completely, in its own ids, and how its turn ended if it did.

    `waiting` are the calls (our id, the agent's id, name) or interrupts that it waits for.
    """

    messages: list[Json] = []
    ids: list[str] = []
    state: Any = None
    waiting: list[tuple[str, str, str]] = []
    interrupted: bool = False
    finished: bool = False
    result: Any = None


@dataclass(slots=True)
class _Talk:
    """Where the conversation with the agent stands: what is recorded, and the turn that is going on."""

    messages: list[Json]
    state: Any
    ids: set[str] = field(default_factory=set)
    resume: list[Json] = field(default_factory=list)
    steps: int = 0
    turn: int = 0


async def run_ag_ui_agent(definition: AgentDefinition, run: RunContext) -> Outcome:
    """One attempt. Raises RunFailed, EgressRefused."""
    return await _Attempt(cast("RemoteAgent", definition.target), run).run()


class _Attempt:
    def __init__(self, remote: RemoteAgent, run: RunContext) -> None:
        self._remote = remote
        self._run = run
        self._emitter = Emitter(run)
        self._base = base_input(run)
        self._talk = _Talk(list(self._base["messages"]), self._base["state"])
        self._tools = frozenset(tool["name"] for tool in self._base["tools"])
        self._events = FunctionEvents(self._emitter.fold)
        self._history = History()
        self._heard: set[str] = set()

    async def run(self) -> Outcome:
        await self._emitter.begin()
        outcome = self._replay()
        if outcome is not None:
            return outcome
        async with self._run.egress.client() as client:
            tries = 0
            while True:
                before = self._talk.steps
                try:
                    return await self._ask(client)
                except _Broken as error:
                    tries = 0 if self._talk.steps > before else tries + 1
                    if tries > len(_WAITS):
                        raise RunFailed(f"The agent cannot be reached: {error}", UNREACHABLE) from error
                    await self._emitter.supersede(CONNECTION_LOST)
                    self._forget()
                    await asyncio.sleep(_WAITS[max(0, tries - 1)])

    # --- what is recorded --------------------------------------------------------------------------------------------

    def _replay(self) -> Outcome | None:
        """Take up what earlier attempts recorded; answers how the run stands if the agent need not be asked."""
        while (recorded := self._run.run_log.step(self._key())) is not None:
            record = msgspec.json.decode(recorded, type=_Record)
            self._take(record)
            if record.finished:
                return Completed(record.result)
            waiting = self._answered(record)
            if waiting is not None:
                return waiting
        return None

    def _key(self) -> str:
        return f"{MODEL_STEP}ag_ui:{self._talk.steps}"

    def _take(self, record: _Record) -> None:
        talk = self._talk
        talk.messages += record.messages
        talk.ids |= set(record.ids)
        talk.state = record.state
        talk.steps += 1
        if record.waiting:
            talk.turn += 1
            talk.ids.clear()

    def _answered(self, record: _Record) -> Waiting | None:
        """What the agent waited for goes into the next turn; answers what is still missing."""
        reason = WaitingReason.APPROVAL if record.interrupted else WaitingReason.TOOL
        missing = [PendingCall(name, said, reason) for name, _, said in record.waiting if name not in self._run.answers]
        if missing:
            return Waiting(reason, tuple(missing))
        self._talk.resume = []
        for name, theirs, _ in record.waiting:
            answer = self._run.answers[name]
            if record.interrupted:
                self._talk.resume.append({"interruptId": theirs, "status": "resolved", "payload": answer.value})
                continue
            content = answer.value if isinstance(answer.value, str) else msgspec.json.encode(answer.value).decode()
            error = {"error": content} if answer.is_error else {}
            made = {"id": f"result:{theirs}", "role": "tool", "toolCallId": theirs, "content": content, **error}
            self._talk.messages.append(made)
        return None

    async def _record(self, **ending: Any) -> None:
        """Record what was said since the last record; from now on it is not asked for again."""
        theirs = {ours: wanted for wanted, ours in self._events.names.items()}
        said = [_renamed(message, theirs) for message in self._history.messages() if message["role"] != "reasoning"]
        record = _Record(said, sorted(self._heard), self._talk.state, **ending)
        await self._emitter.record(self._key(), msgspec.json.encode(record))
        self._take(record)
        self._history, self._heard = History(), set()

    def _forget(self) -> None:
        """What was said and not recorded is taken back in the log: forget it here, too."""
        self._events = FunctionEvents(self._emitter.fold)
        self._history, self._heard = History(), set()

    # --- one request -------------------------------------------------------------------------------------------------

    async def _ask(self, client: httpx.AsyncClient) -> Outcome:
        """Ask the agent, and record what it answers. Raises _Broken where it must be asked again."""
        talk = self._talk
        asked = self._base | {"runId": f"{self._run.run_id}.{talk.turn}", "messages": talk.messages}
        asked |= {"state": talk.state, **({"resume": talk.resume} if talk.resume else {})}
        headers = {**self._remote.headers, "Content-Type": "application/json", "Accept": "text/event-stream"}
        timeout = httpx.Timeout(self._remote.idle_seconds, connect=CONNECT_SECONDS)
        body = msgspec.json.encode(asked)
        try:
            async with client.stream(
                "POST", self._remote.url, headers=headers, content=body, timeout=timeout
            ) as answer:
                await _check_answer(answer)
                async with aclosing(cast("Any", read_events(answer.aiter_bytes()))) as events:
                    return await self._listen(events)
        except EgressRefused:
            raise
        except httpx.HTTPError as error:
            raise _Broken(str(error) or type(error).__name__) from error

    async def _listen(self, events: AsyncIterator[Json]) -> Outcome:
        async for item in events:
            if item.get("type") not in _KNOWN:
                continue
            event = parse_event(item)
            match event:
                case RunFinishedEvent():
                    return await self._finish(event)
                case RunErrorEvent():
                    raise RunFailed(event.message, event.code)
                case CustomEvent() if event.name.startswith(RESERVED):
                    if event.name == SUPERSEDED:  # the agent is one of ours, and was lost itself
                        await self._emitter.supersede(ATTEMPT_LOST)
                        self._forget()
                case _:
                    await self._hear(event, item)
        raise _Broken("its stream ended before its run did")

    async def _hear(self, event: BaseEvent, item: Mapping[str, Any]) -> None:
        kind = event.type.value
        if kind in ("RUN_STARTED", "MESSAGES_SNAPSHOT"):
            return
        named = [item[key] for key in ("messageId", "toolCallId") if isinstance(item.get(key), str)]
        if any(name in self._talk.ids for name in named) and kind != "TOOL_CALL_RESULT":
            return  # the agent repeats its run from the beginning
        if kind in _STARTS and self._complete():
            await self._record()
        self._heard.update(named)
        for accepted in self._events.accept(event):
            await self._say(accepted)

    async def _say(self, event: BaseEvent) -> None:
        await self._emitter.emit(event)
        made = event.model_dump(mode="json", by_alias=True)
        if made["type"] == "STATE_SNAPSHOT":
            self._talk.state = made["snapshot"]
        self._history.add(made)

    def _complete(self) -> bool:
        """Whether something was said, and nothing of it is open."""
        if not self._history.messages():
            return False
        past = self._emitter.fold.past()
        calls = [call for call in past.calls if not call.settled and (call.open or call.result is None)]
        return not (calls or past.open_messages or past.open_spans)

    # --- the end of a turn -------------------------------------------------------------------------------------------

    async def _finish(self, event: RunFinishedEvent) -> Outcome:
        for accepted in self._events.end_chunk():
            await self._say(accepted)
        await self._emitter.end_open()
        outcome = event.outcome
        if isinstance(outcome, RunFinishedCancelledOutcome):
            raise RunFailed("The agent's run was cancelled.", "REMOTE_CANCELLED")
        if isinstance(outcome, RunFinishedInterruptOutcome):
            return await self._interrupted(outcome)
        asked = outcome.pending_tool_call_ids if isinstance(outcome, RunFinishedSuccessOutcome) else None
        theirs = {ours: wanted for wanted, ours in self._events.names.items()}
        calls = [call for call in self._emitter.fold.past().calls if not call.settled and call.result is None]
        waiting = [
            (call.id, theirs.get(call.id, call.id), call.name)
            for call in calls
            if call.name in self._tools or theirs.get(call.id, call.id) in (asked or ())
        ]
        if not waiting:
            await self._record(finished=True, result=event.result)
            return Completed(event.result)
        await self._record(waiting=waiting)
        return Waiting(WaitingReason.TOOL, tuple(PendingCall(name, said) for name, _, said in waiting))

    async def _interrupted(self, outcome: RunFinishedInterruptOutcome) -> Outcome:
        waiting = []
        for interrupt in outcome.interrupts:
            ours = self._emitter.fold.unused(interrupt.id)
            self._emitter.fold.reserve([ours])
            await self._emitter.emit(
                CustomEvent(name=INTERRUPT, value={**interrupt.model_dump(mode="json", by_alias=True), "id": ours})
            )
            waiting.append((ours, interrupt.id, interrupt.reason))
        await self._record(waiting=waiting, interrupted=True)
        reason = WaitingReason.APPROVAL
        return Waiting(reason, tuple(PendingCall(name, said, reason) for name, _, said in waiting))


async def _check_answer(answer: httpx.Response) -> None:
    """Raises _Broken for what may go better next time, and RunFailed for a refusal."""
    if answer.is_success:
        return
    said = f"it answers with status {answer.status_code}"
    if answer.is_server_error or answer.status_code in _AGAIN:
        raise _Broken(said)
    raise RunFailed(f"The agent cannot be asked: {said}.", REFUSED)


def _renamed(message: Json, names: Mapping[str, str]) -> Json:
    """A message with the ids that the agent gave."""
    made = {**message, "id": names.get(message["id"], message["id"])}
    if "toolCallId" in message:
        made["toolCallId"] = names.get(message["toolCallId"], message["toolCallId"])
    if "toolCalls" in message:
        made["toolCalls"] = [{**call, "id": names.get(call["id"], call["id"])} for call in message["toolCalls"]]
    return made
