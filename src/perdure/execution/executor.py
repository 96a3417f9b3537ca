"""Run one attempt: load the run, fold its log, resolve what executes it, let it run, write how it ended.

Read `execute` from top to bottom: each line is one stage. Whatever the attempt leaves unsaid goes into the log together
with the transition that ends it, in one statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol, assert_never

import msgspec
from ag_ui.core import BaseEvent

from perdure.domain.closing import closing_events
from perdure.domain.errors import PerdureError, RunNotFound, Unavailable
from perdure.domain.event import line_of
from perdure.domain.ids import RunKey
from perdure.domain.message import Message, parse_messages
from perdure.domain.past import Past
from perdure.domain.run import Command, Finish, Park, RunError, RunState, Status, WaitingReason, Yield
from perdure.domain.run_profile import profile_of
from perdure.domain.stored_run import Run
from perdure.domain.transitions import Transition
from perdure.execution.artifacts import RunArtifacts
from perdure.execution.attempt import Attempt, StopReason
from perdure.execution.kinds.remote import remote_kind
from perdure.execution.log import Completed, Outcome, RunContext, Waiting
from perdure.execution.recorder import LeaseLost, Recorder
from perdure.execution.request import origin_of
from perdure.execution.retries import AttemptFailed, retry_delay
from perdure.execution.turns import Work, find_work, interruptible, turn_ended, wait_for_user
from perdure.execution.workflow_links import ServerLinks
from perdure.services import lifecycle, losses
from perdure.services import messages as message_service
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.lifecycle import Extra, Known
from perdure.telemetry import LogLine, TracedRun, Tracing, get_logger, run_context

RunKind = Callable[[RunContext], Awaitable[Outcome]]
"""Runs one attempt of one run and answers how it ended; an exception means that the run failed."""

_NO_INPUT: Final[Mapping[str, object]] = MappingProxyType({})
_WRITE_RETRY_SECONDS = 0.25


class Resolve(Protocol):
    """Finds what executes a run. Raises NotFound."""

    def __call__(self, run: Run) -> RunKind: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended: the command that says so, what goes with it, and the word for the metrics.

    `closes`: why what is open in the log is closed; `last` are the events that come after that.
    """

    command: Command
    outcome: str
    output: str | None = None
    metadata: str | None = None
    closes: str | None = None
    last: tuple[BaseEvent, ...] = ()


class Executor:
    """Executes attempts for a worker."""

    def __init__(self, core: Core, resolve: Resolve, flush_seconds: float, tracing: Tracing) -> None:
        self._core = core
        self._resolve = resolve
        self._flush_seconds = flush_seconds
        self._tracing = tracing
        self._log = get_logger()

    async def execute(self, attempt: Attempt) -> None:
        """Run one attempt to its end. Cancel the task (with `attempt.stop` set) to interrupt it."""
        claimed, run = attempt.claimed, attempt.run
        with run_context(project_id=str(claimed.key.project_id), run_id=claimed.key.run_id, attempt=claimed.attempt):
            target = run.agent_id or run.target
            self._log.debug(LogLine.RUN_CLAIMED, kind=run.kind, target=target, fence=claimed.fence)
            self._core.metrics.attempt_began()
            ending = None
            try:
                ending = await self._attempt(attempt, run)
            finally:
                self._core.metrics.attempt_ended(kind=run.kind, outcome=ending.outcome if ending else "lost")

    async def _attempt(self, attempt: Attempt, run: Run) -> Ending | None:
        claimed = attempt.claimed
        given = msgspec.json.decode(run.input, type=dict[str, object]) if run.input is not None else _NO_INPUT
        work = await find_work(self._core, attempt, run, await self._first_messages(run, given))
        recorder = self._recorder(attempt, work.past)
        with self._tracing.attempt(_traced(run), claimed.attempt):
            try:
                ending = await self._run(attempt, run, given, work, recorder)
            except LeaseLost:
                ending = None
            except asyncio.CancelledError:
                if attempt.stop is None:
                    await asyncio.shield(recorder.close())
                    raise
                ending = self._interrupted(attempt, work)
        if ending is None:
            await recorder.close()
            self._log.warning(LogLine.LEASE_LOST, fence=claimed.fence)
            return None
        await self._end(attempt, run, recorder, ending)
        return ending

    async def _first_messages(self, run: Run, given: Mapping[str, object]) -> tuple[Message, ...]:
        """Those of the request; one without any means what the conversation says before the run."""
        messages = given.get("messages")
        if isinstance(messages, list) and (messages or run.spec.interactive):
            return parse_messages(messages, "/request/input/messages")
        stored = await message_service.before_run(self._core, run)
        return tuple(Message(str(one.id), one.role, tuple(msgspec.json.decode(one.parts))) for one in stored)

    def _recorder(self, attempt: Attempt, past: Past) -> Recorder:
        task = asyncio.current_task()

        def lost() -> None:
            if attempt.stop is None and task is not None:
                attempt.stop = StopReason.LOST
                task.cancel()

        return Recorder(self._core, attempt.claimed, past, self._flush_seconds, lost)

    async def _run(
        self, attempt: Attempt, run: Run, given: Mapping[str, object], work: Work, recorder: Recorder
    ) -> Ending:
        if work.waits:
            return Ending(wait_for_user(attempt, work), "waiting")
        try:
            if work.begins is not None:
                await recorder.emit(work.begins)
            if work.stopped:
                return _stopped(attempt, work)
            context = self._context(attempt, run, given, work, recorder)
            async with interruptible(self._core, attempt, work):
                kind = await remote_kind(self._core, run) if run.spec.remote else self._resolve(run)
                outcome = await kind(context)
        except (LeaseLost, asyncio.CancelledError):
            raise
        except Exception as error:
            if isinstance(error, Unavailable):
                return Ending(Yield("database_away", attempt.claimed.fence, delay_ms=1_000), "retried")
            if isinstance(error, AttemptFailed) and (delay := await retry_delay(self._core, run, error)) is not None:
                return Ending(Yield(losses.ATTEMPT_FAILED, attempt.claimed.fence, delay_ms=delay), "retried")
            return self._failed(attempt, error)
        return _ended(outcome, attempt, run, work)

    def _context(
        self, attempt: Attempt, run: Run, given: Mapping[str, object], work: Work, recorder: Recorder
    ) -> RunContext:
        return RunContext(
            run_id=run.run_id,
            conversation_id=str(run.conversation_id) if run.conversation_id else None,
            attempt=attempt.claimed.attempt,
            agent=run.agent_id or "",
            messages=work.messages,
            input=given,
            answers=work.past.answers,
            run_log=recorder,
            stopping=lambda: attempt.stop is not None,
            clock=self._core.clock,
            past=work.past,
            origin=origin_of(run),
            tracing=self._tracing,
            profile=profile_of(run, first_turn=work.turn in (None, 1)),
            egress=self._core.egress,
            files=RunArtifacts(self._core, attempt.claimed, recorder),
            links=ServerLinks(self._core, attempt),
            spec=run.spec,
            outputs=partial(run_service.output_of, self._core, run.project_id),
            started_ms=_ms(run.started_at),
            deadline_ms=_ms(run.scheduling.deadline),
        )

    def _failed(self, attempt: Attempt, error: Exception) -> Ending:
        if isinstance(error, PerdureError):
            reason = RunError(error.detail, error.code)
        else:
            self._log.warning(LogLine.RUN_FAILED, exc_info=error)
            reason = RunError(f"{type(error).__name__}: {error}", "FAILED")
        metadata = _exited(error.exit_code) if isinstance(error, AttemptFailed) else None
        command = Finish(Status.FAILED, reason, attempt.claimed.fence)
        return Ending(command, "failed", metadata=metadata, closes="failed")

    def _interrupted(self, attempt: Attempt, work: Work) -> Ending | None:
        match attempt.stop:
            case StopReason.CANCELLED:
                reason = RunError("The run was cancelled.", "CANCELLED")
                return Ending(Finish(Status.CANCELLED, reason, attempt.claimed.fence), "cancelled", closes="cancelled")
            case StopReason.INTERRUPTED:
                return _stopped(attempt, work)
            case StopReason.DRAINED:
                return Ending(Yield("worker_stopped", attempt.claimed.fence), "handed_back")
            case StopReason.LOST | None:
                return None
            case _:
                assert_never(attempt.stop)

    async def _end(self, attempt: Attempt, run: Run, recorder: Recorder, ending: Ending) -> None:
        """Write the end of the attempt, however long the database is away: until then the lease is ours."""
        if ending.closes is not None:
            recorder.take_last(closing_events(recorder.past(), ending.closes))
        recorder.take_last(ending.last)
        before = await recorder.close()
        extra = Extra(before=before, closed=True, output=ending.output, metadata=ending.metadata)
        known = Known(
            RunState(
                Status.RUNNING,
                run.executor,
                attempt.claimed.attempt,
                attempt.claimed.fence,
                latest_signal_id=run.latest_signal_id,
            ),
            attempt.claimed.revision,
            run.names,
            run.route,
        )
        transition = await self._write(run.key, ending.command, extra, known)
        if transition is not None:
            self._say(run, ending, transition.state.status)

    async def _write(self, key: RunKey, command: Command, extra: Extra, known: Known) -> Transition | None:
        while True:
            try:
                return (await lifecycle.apply(self._core, key, command, extra, known=known)).transition
            except Unavailable:
                await asyncio.sleep(_WRITE_RETRY_SECONDS)
            except RunNotFound:
                return None

    def _say(self, run: Run, ending: Ending, status: Status) -> None:
        if status.terminal:
            code = ending.command.error.code if isinstance(ending.command, Finish) and ending.command.error else None
            ended = self._core.clock()
            started_ms = int(run.created_at.timestamp() * 1000)
            self._tracing.run_ended(
                _traced(run), status=status, attempt=run.attempt, started_ms=started_ms, ended_ms=ended
            )
            seconds = (ended - started_ms) / 1000
            self._log.info(LogLine.RUN_ENDED, status=status, code=code, seconds=round(seconds, 3))
        elif isinstance(ending.command, Yield):
            line = LogLine.RUN_HANDED_BACK if ending.outcome == "handed_back" else LogLine.RUN_RETRIED
            self._log.info(line, reason=ending.command.reason)
        elif status is Status.WAITING and isinstance(ending.command, Park):
            self._log.info(LogLine.RUN_WAITING, waiting_for=ending.command.waiting.reason)


def _traced(run: Run) -> TracedRun:
    conversation = str(run.conversation_id) if run.conversation_id else None
    return TracedRun(str(run.project_id), run.run_id, run.kind, run.agent_id or run.target or "", conversation)


def _exited(code: int) -> str:
    """The metadata of a run whose process has ended: the canonical run's `exit_code` (veryfront.md 1.4)."""
    return line_of({"exit_code": code})


def _stopped(attempt: Attempt, work: Work) -> Ending:
    """The user has stopped the turn: what it left open is closed, and the run waits for the next message."""
    return Ending(wait_for_user(attempt, work), "waiting", closes="cancelled", last=(turn_ended(work, "stopped"),))


def _ended(outcome: Outcome, attempt: Attempt, run: Run, work: Work) -> Ending:
    fence = attempt.claimed.fence
    match outcome:
        case Completed() if work.turn is not None and run.spec.interactive:
            return Ending(
                wait_for_user(attempt, work), "waiting", last=(turn_ended(work, "completed", outcome.metadata()),)
            )
        case Completed():
            metadata = outcome.metadata()
            stored = None if metadata is None else line_of(metadata)
            return Ending(
                Finish(Status.COMPLETED, fence=fence, metadata=metadata),
                "completed",
                output=None if outcome.output is None else line_of(outcome.output),
                metadata=stored if outcome.exit_code is None else _exited(outcome.exit_code),
            )
        case Waiting():
            # A signal that came meanwhile may be what it waits for.
            read_to = attempt.claimed.latest_event_id if outcome.reason is WaitingReason.EVENT else None
            return Ending(Park(outcome, fence, read_to), "waiting")
        case _:
            assert_never(outcome)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
