"""What becomes of a new run while another one of its conversation is live (ADR 0012, docs/run-lifecycle.md).

A run of the same tree is no other one: a child in its parent's conversation takes part in its parent's turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from perdure.domain.conversation import RunPolicy
from perdure.domain.errors import ConversationBusy, RunNotFound
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Command, Status
from perdure.domain.stored_run import NewRun, Run
from perdure.domain.transitions import QueueOp
from perdure.services import lifecycle
from perdure.services.core import Core
from perdure.services.lifecycle import NOTHING_EXTRA, Applied, Extra
from perdure.store import conversation_line as store
from perdure.store import runs
from perdure.store.conversation_line import Place
from perdure.store.database import Database
from perdure.store.runs import Move, Moved

if TYPE_CHECKING:
    from perdure.store.database import Connection


@dataclass(frozen=True, slots=True)
class _Taken:
    """Where a run stands in its conversation: whether it is in line, and the runs that it interrupts."""

    held: bool = False
    interrupted: Sequence[RunKey] = ()


_FREE: Final = _Taken()
_AT_ONCE: Final = 100
_INTERRUPTED: Final = "A new run of its conversation takes its place."


async def create(core: Core, new: NewRun, wanted: RunPolicy | None) -> tuple[Run, RunId | None] | None:
    """Create a run under a policy, by default that of its conversation; answers it with the run that it waits for.

    None when one of that id or Idempotency-Key exists.

    Raises ConversationBusy, ConversationNotFound and Unavailable.
    """
    place = None if new.conversation_id is None else Place(new.key, new.conversation_id)
    if place is None or wanted is RunPolicy.ALLOW or _only_recorded(new):
        return _at_once(await runs.create(core.database, new))
    policy: RunPolicy | None = wanted
    if wanted is None:
        run = await runs.create(core.database, new, unless_policy=True)
        if run is not None:
            return run, None
        policy = await store.policy_of(core.database, place.key.project_id, place.conversation_id)
    if policy is None or policy is RunPolicy.ALLOW:
        return _at_once(await runs.create(core.database, new))
    return await _create_under(core, new, place, policy)


async def _create_under(core: Core, new: NewRun, place: Place, policy: RunPolicy) -> tuple[Run, RunId | None] | None:
    queued = new.route is not None
    async with core.database.transaction() as connection:
        if new.new_conversation:
            await store.make_conversation(connection, place, new.created_at)
        await store.lock(connection, place)
        run = await runs.create(connection, new)
        taken = _FREE if run is None else await _take_place(connection, place, policy, queued=queued)
    await _interrupt(core, taken.interrupted)
    if run is None:
        return None
    return run, await store.held_by(core.database, new.key) if taken.held else None


def _at_once(run: Run | None) -> tuple[Run, RunId | None] | None:
    return None if run is None else (run, None)


async def apply(
    core: Core, run: Run, command: Command, extra: Extra = NOTHING_EXTRA, *, wanted: RunPolicy | None = None
) -> Applied:
    """Do a command that lets a run begin (`Enqueue`, `Restart`) under a policy, by default that of its conversation.

    Raises ConversationBusy, and what `lifecycle.apply` raises.
    """
    if run.conversation_id is None:
        return await lifecycle.apply(core, run.key, command, extra)
    place = Place(run.key, run.conversation_id)
    policy = wanted or await store.policy_of(core.database, run.project_id, run.conversation_id)
    if policy is None or policy is RunPolicy.ALLOW:
        return await lifecycle.apply(core, run.key, command, extra)
    interrupted: list[RunKey] = []

    async def write(database: Database, move: Move, now_ms: int) -> Moved | None:
        async with database.transaction() as connection:
            await store.lock(connection, place)
            moved = await runs.move(connection, move, now_ms)
            if moved is not None:
                queued = move.transition.queue is QueueOp.ENQUEUE
                interrupted[:] = (await _take_place(connection, place, policy, queued=queued)).interrupted
            return moved

    applied = await lifecycle.apply(core, run.key, command, extra, write=write)
    await _interrupt(core, interrupted)
    return applied


async def held_by(core: Core, run: Run) -> RunId | None:
    """The run that a run waits for in the line of its conversation; None where it is not in line."""
    if run.status is not Status.PENDING or run.conversation_id is None:
        return None
    return await store.held_by(core.database, run.key)


async def go_on_interrupting(core: Core) -> None:
    """Carry on with the cancels of runs that others in line interrupt, here or elsewhere."""
    await _interrupt(core, await store.to_interrupt(core.database, _AT_ONCE))


async def _take_place(connection: Connection, place: Place, policy: RunPolicy, *, queued: bool) -> _Taken:
    """Do what the policy says of a run that was just created or queued.

    One that is not `queued` is executed by its caller, who cannot be made to wait: it is refused instead, or begins at
    once while those that it interrupts end. Raises ConversationBusy.
    """
    others = await store.live_others(connection, place)
    if not others:
        return _FREE
    interrupts = policy in (RunPolicy.INTERRUPT, RunPolicy.ROLLBACK)
    if policy is RunPolicy.REJECT or not (interrupts or queued):
        raise ConversationBusy(others[-1])
    interrupted = others if interrupts else ()
    if policy is RunPolicy.ROLLBACK:
        await store.take_back(connection, place, interrupted)
    if queued:
        await store.hold(connection, place, interrupted)
    keys = [RunKey(place.key.project_id, run_id) for run_id in interrupted]
    return _Taken(queued, keys)


async def _interrupt(core: Core, keys: Sequence[RunKey]) -> None:
    """Cancel runs, the newest first: those in line before those that they wait for, which would let them go."""
    for key in reversed(keys):
        with suppress(RunNotFound):
            await lifecycle.cancel(core, key, _INTERRUPTED)


def _only_recorded(new: NewRun) -> bool:
    """Whether nobody is asked to execute the run yet; the policy comes with its start."""
    return new.status is Status.PENDING and new.route is None
