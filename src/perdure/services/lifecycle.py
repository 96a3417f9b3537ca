"""The only writer of status (design section 3).

Each function decides with `domain.run.decide` and writes what it decided as one statement: the state, the event that
says so, the wide row and the queue row. The statement holds only if the run's revision is still the one that was
decided on; otherwise the run is read again and decided again, so the first of two contradicting commands wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from perdure.domain.batch import BatchId
from perdure.domain.errors import RunNotFound, Unavailable
from perdure.domain.event import Append, Appended, Segment, segment_of
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.lease import Claimed, Held
from perdure.domain.run import Cancel, Command, Executor, Finish, RunNames, RunState, Signal, Start, Status, Yield
from perdure.domain.scheduling import Scheduling
from perdure.domain.stored_run import Run
from perdure.domain.transitions import QueueOp, Transition, decide
from perdure.ledger.notify import (
    ANY_ROUTE,
    CANCEL_CHANNEL,
    ENDED_CHANNEL,
    LOG_CHANNEL,
    QUEUE_CHANNEL,
    RUNS_CHANNEL,
    run_item,
)
from perdure.ledger.replay import rest_of, stored_part
from perdure.services import losses
from perdure.services.core import Core
from perdure.services.open_ends import OpenEnds
from perdure.store import batches, run_queue, run_trees, runs
from perdure.store.database import Database
from perdure.store.runs import Move, Moved
from perdure.telemetry import LogLine, get_logger

_TRIES = 50
_TIDY_TRIES = 10
"""How often the end of a run whose log grows meanwhile waits for what has just come, to close that too."""
_BELOW_AT_ONCE = 200


Writer = Callable[[Database, Move, int], Awaitable[Moved | None]]
"""Stores a transition at a time in milliseconds; None when the run has moved on meanwhile."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a caller believes about a run; if it is out of date the run is read again, nothing is lost."""

    state: RunState
    revision: int
    names: RunNames
    route: str


@dataclass(frozen=True, slots=True)
class Extra:
    """What is written together with a transition: events that come before its own, and the run's results.

    `closed` says that the events before leave no message and no tool call open.
    """

    before: tuple[Segment, ...] = ()
    closed: bool = False
    output: str | None = None
    metadata: str | None = None
    input: str | None = None
    scheduling: Scheduling | None = None


NOTHING_EXTRA = Extra()


@dataclass(frozen=True, slots=True)
class Applied:
    """What a command did: the transition and the counters after it, or neither when it changed nothing."""

    transition: Transition | None
    counters: Moved | None


async def apply(
    core: Core,
    key: RunKey,
    command: Command,
    extra: Extra = NOTHING_EXTRA,
    *,
    known: Known | None = None,
    write: Writer = runs.move,
) -> Applied:
    """Do `command` to the run, or nothing where its state does not allow it. Raises RunNotFound, Unavailable.

    `write` stores the transition, by default in a statement of its own.
    """
    believed = known
    open_ends = OpenEnds(core, key)
    for tries in range(_TRIES):
        sure = believed is None
        if believed is None:
            believed = await _known(core, key)
        transition = decide(believed.state, command, believed.names)
        if transition is None and sure:
            return Applied(None, None)
        if transition is not None:
            closing, log_end = ((), None) if extra.closed else await open_ends.close(transition, extra.before)
            segments = (*extra.before, *closing, *_own_segments(transition))
            move = Move(
                key, believed.revision, transition, segments, believed.route,
                expected_event_id=log_end if tries < _TIDY_TRIES else None,
                output=extra.output, metadata=extra.metadata, input=extra.input, scheduling=extra.scheduling,
            )  # fmt: skip
            moved = await write(core.database, move, core.clock())
            if moved is not None:
                announce(core, key, transition, believed.route, limited=moved.limited)
                return Applied(transition, moved)
        believed = None
        await asyncio.sleep(0.001 * tries)
    raise Unavailable(f"Run {key.run_id} changes too fast. Try again.")


async def start_with(core: Core, run: Run, wanted: Append) -> Appended | None:
    """The first append of a caller that executes by itself: its events start the run (veryfront.md section 3).

    None when the run has moved on meanwhile, or does not wait for a caller. Raises CursorMismatch.
    """
    transition = decide(run.state, Start(), run.names)
    if transition is None:
        return None
    stored = await stored_part(core.database, run, wanted)
    if stored == wanted.event_count:
        return Appended(run.latest_event_id, run.latest_external_sequence, 0, run.revision)
    return await append_with(core, run, rest_of(wanted, stored), transition)


async def append_with(core: Core, run: Run, wanted: Append, transition: Transition) -> Appended | None:
    """Store the events of an outside writer and, after them, a transition that was decided on `run`, in one statement.

    None when the run has moved on meanwhile: then neither is stored.
    """
    segments = (*wanted.segments, *_own_segments(transition))
    move = Move(run.key, run.revision, transition, segments, run.route, expected_event_id=run.latest_event_id)
    moved = await runs.move(core.database, move, core.clock())
    if moved is None:
        return None
    announce(core, run.key, transition, run.route, limited=moved.limited)
    return Appended(moved.latest_event_id, moved.latest_external_sequence, wanted.event_count, moved.revision)


async def signal_all(core: Core, run: Run, signals: Sequence[Signal]) -> bool:
    """Send a run several signals in one statement.

    False where it has moved on since it was read, or has ended: nothing is written then.
    """
    state, events, queue = run.state, list[dict[str, object]](), QueueOp.KEEP
    transition = None
    for signal in signals:
        transition = decide(state, signal, run.names)
        if transition is None:
            return False
        state, queue = transition.state, transition.queue if queue is QueueOp.KEEP else queue
        events += transition.events
    if transition is None:
        return False
    whole = replace(transition, events=tuple(events), queue=queue)
    moved = await runs.move(
        core.database, Move(run.key, run.revision, whole, _own_segments(whole), run.route), core.clock()
    )
    if moved is not None:
        announce(core, run.key, whole, run.route, limited=moved.limited)
    return moved is not None


async def claim(core: Core, worker_id: str, routes: Sequence[str], limit: int, lease_seconds: float) -> list[Claimed]:
    """Take up to `limit` due runs for a worker. Each is running, leased and fenced when this returns."""
    lease = timedelta(seconds=lease_seconds)
    taken = await run_queue.claim(core.database, worker_id, routes, limit, core.clock, lease)
    return announce_claimed(core, taken.runs)


async def claim_external(
    core: Core, project_id: ProjectId, worker_id: str, routes: Sequence[str], lease_seconds: float
) -> Claimed | None:
    """Take one due run of a project for an external worker; None where there is none."""
    lease = timedelta(seconds=lease_seconds)
    taken = await run_queue.claim_external(core.database, project_id, worker_id, routes, core.clock, lease)
    return next(iter(announce_claimed(core, taken.runs)), None)


def announce_claimed(core: Core, claimed: list[Claimed]) -> list[Claimed]:
    """Tell everybody who follows the runs, and count them."""
    if claimed:
        keys = [taken.key for taken in claimed]
        core.hub.grew(keys)
        core.notifier.say(LOG_CHANNEL, map(run_item, keys))
        announce_moved(core, keys)
    now = core.clock()
    for taken in claimed:
        core.metrics.claimed(max(0.0, now / 1000 - taken.available_at.timestamp()))
    return claimed


async def cancel(core: Core, key: RunKey, reason: str) -> Applied:
    """Cancel a run and everything below it that is live, also where it or a run between has ended (design section 3).

    Raises RunNotFound.
    """
    applied = await apply(core, key, Cancel(reason))
    await _cancel_below(core, key)
    return applied


async def cancel_tree(core: Core, key: RunKey, reason: str) -> int:
    """As `cancel`; answers how many runs have ended by it or were told to end. Raises RunNotFound."""
    applied = await apply(core, key, Cancel(reason))
    return (applied.transition is not None) + await _cancel_below(core, key)


async def _cancel_below(core: Core, key: RunKey) -> int:
    """Cancel what is below a run, until nothing is left that was not told; answers how many runs."""
    cancelled, seen = 0, {key}  # callers name the parent and may choose their ids: a run may be its own ancestor
    while found := set(await run_trees.cancellable_below(core.database, key, _BELOW_AT_ONCE)) - seen:
        for run in found:
            with suppress(RunNotFound):
                applied = await apply(core, run, Cancel(f"Run {key.run_id}, which it is part of, was cancelled."))
                cancelled += applied.transition is not None
        seen |= found
    return cancelled


async def cancel_unbegun(core: Core, project_id: ProjectId, batch_id: BatchId, reason: str, limit: int) -> int:
    """Cancel up to `limit` runs of a batch that nobody has begun, in one statement; answers how many."""
    cancelled = decide(RunState(Status.PENDING, Executor.ENGINE), Cancel(reason), RunNames("", ""))
    assert cancelled is not None, "a pending run can be cancelled"
    ended = await batches.cancel_unbegun(core.database, project_id, batch_id, cancelled, limit, core.clock())
    for run_id in ended:
        announce(core, RunKey(project_id, run_id), cancelled, "", limited=False)
    return len(ended)


async def force_overdue_cancels(core: Core, grace: timedelta) -> int:
    """End the runs whose worker did not answer a cancel within `grace`; answers how many."""
    overdue = await run_queue.overdue_cancels(core.database, runs.at(core.clock()) - grace)
    for key in overdue:
        await apply(core, key, Cancel("The run was cancelled; its worker did not answer in time.", force=True))
    return len(overdue)


async def recover_expired(core: Core) -> int:
    """Give the runs of lost workers back to the queue; answers how many."""
    expired = await run_queue.expired(core.database, runs.at(core.clock()))
    for held in expired:
        await give_back(core, held, losses.LEASE_EXPIRED)
        get_logger().warning(LogLine.LEASE_EXPIRED, run_id=held.key.run_id, fence=held.fence)
    core.metrics.leases_expired(len(expired))
    return len(expired)


async def give_back(core: Core, held: Held, reason: str, *, extra: Extra = NOTHING_EXTRA, delay_ms: int = 0) -> Applied:
    """End an attempt without a result: the run goes back to the queue, unless another attempt holds it already.

    One that was lost too often (`services.losses`) ends as failed instead; one that waits meanwhile is not lost.
    """
    run = await runs.get(core.database, held.key) if reason in losses.LOSSES else None
    error = None if run is None or run.cancelling or run.waiting is not None else await losses.exhausted(core, run)
    command = Yield(reason, held.fence, delay_ms) if error is None else Finish(Status.FAILED, error, held.fence)
    return await apply(core, held.key, command, extra)


async def finish(core: Core, key: RunKey, command: Finish, extra: Extra = NOTHING_EXTRA) -> tuple[bool, Run]:
    """End a run from outside (`/complete`).

    Answers whether the run has (now or already) the wanted status, and the run.
    """
    applied = await apply(core, key, command, extra)
    run = await runs.get(core.database, key)
    if run is None:
        raise RunNotFound(f"There is no run {key.run_id}.")
    return applied.transition is not None or run.status is command.status, run


def announce(core: Core, key: RunKey, transition: Transition, route: str, *, limited: bool) -> None:
    """Tell this process and the others what a committed transition means for them.

    `limited`: it may have made room under a limit, for runs of any route.
    """
    core.hub.grew((key,))
    core.notifier.say(LOG_CHANNEL, (run_item(key),))
    announce_moved(core, (key,))
    if transition.state.status.terminal:
        core.router.heard_here(ENDED_CHANNEL, [run_item(key)])
    if limited:
        announce_queued(core, ANY_ROUTE)
    if transition.queue is QueueOp.ENQUEUE:
        announce_queued(core, route)
    elif transition.queue is QueueOp.CANCEL or transition.state.status is Status.CANCELLED:
        get_logger().info(LogLine.RUN_CANCELLING, run_id=key.run_id)
        core.router.heard_here(CANCEL_CHANNEL, [run_item(key)])
        core.notifier.say(CANCEL_CHANNEL, (run_item(key),))


def announce_moved(core: Core, keys: Iterable[RunKey]) -> None:
    """Tell those who watch a project of runs that were made or moved on, here and elsewhere."""
    items = list(map(run_item, keys))
    core.router.heard_here(RUNS_CHANNEL, items)
    core.notifier.say(RUNS_CHANNEL, items)


def announce_queued(core: Core, route: str) -> None:
    """Wake idle workers that serve a route (or, with ANY_ROUTE, all), here and elsewhere."""
    core.router.heard_here(QUEUE_CHANNEL, [route])
    core.notifier.say(QUEUE_CHANNEL, (route,))


def _own_segments(transition: Transition) -> tuple[Segment, ...]:
    return (segment_of(transition.events),) if transition.events else ()


async def _known(core: Core, key: RunKey) -> Known:
    run = await runs.get(core.database, key)
    if run is None:
        raise RunNotFound(f"There is no run {key.run_id}.")
    return Known(run.state, run.revision, run.names, run.route)
