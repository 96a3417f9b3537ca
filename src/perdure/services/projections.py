"""Projections of the logs, kept current: what runs are found by (search), and their calls (analytics).

Nothing is done when an event is appended. A pass looks for runs whose log or row moved since they were projected, reads
on from where it was, and writes the result with the new place in one transaction. One process at a time makes a pass;
a write counts only where nobody else has written meanwhile, so that a rebuild beside it does no harm. A run that ended
while no server ran is found by the time of its end: everything before `Progress.ended_to` is done.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec

from perdure.domain.event import StoredEvents
from perdure.domain.ids import RunKey
from perdure.domain.projection import Projector, State
from perdure.domain.run_text import INPUT_CHARS, Texts, input_text
from perdure.services.core import Core
from perdure.store import projections, run_events
from perdure.store.projections import Projected, Text, Update
from perdure.store.runs import at
from perdure.telemetry import LogLine, get_logger

BATCH = 50
"""Runs that are projected together. With ROWS it bounds the memory of a pass."""

ROWS = 1_000
"""Rows of logs that are read together."""

MARGIN = timedelta(seconds=30)
"""How far clocks of servers may be apart, and how long a run's end may take to be committed."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass did. `full`: there was more than it took, so the next one should follow soon."""

    projected: int = 0
    full: bool = False


async def project_ended(core: Core, *, thorough: bool) -> Pass:
    """Project runs that have ended; a `thorough` pass looks further back, as far as anything may be missing."""
    async with projections.alone(core.database) as progress:
        if progress is None:
            return Pass()
        settled = at(core.clock()) - MARGIN
        since = progress.ended_to if thorough else max(progress.ended_to, settled + MARGIN * 0.9)
        keys, newest = await projections.due_ended(core.database, progress.generation, BATCH, since)
        await _project(core, keys, progress.generation)
        full = len(keys) == BATCH
        if thorough:
            # What is due comes in the order of its time: everything before the newest of a full batch is done.
            await projections.reached(core.database, min(newest, settled) if full and newest is not None else settled)
        return Pass(len(keys), full)


async def project_live(core: Core) -> Pass:
    """Project runs that go on."""
    async with projections.alone(core.database) as progress:
        if progress is None:
            return Pass()
        keys = await projections.due_live(core.database, progress.generation, BATCH)
        await _project(core, keys, progress.generation)
        return Pass(len(keys), len(keys) == BATCH)


async def catch_up(core: Core) -> None:
    """Project everything that is due, unless another process is at it."""
    while (await project_ended(core, thorough=True)).full or (await project_live(core)).full:
        pass


async def rebuild(core: Core, told: Callable[[int], Awaitable[None]]) -> int:
    """Make all projections anew from the logs, beside running servers; how many runs there were.

    It can be broken off: the next call goes on with what is left. `told` hears after each portion how many are done.
    """
    generation = await projections.begin_rebuild(core.database)
    done = 0
    last: RunKey | None = None
    while keys := await projections.due_for_rebuild(core.database, generation, BATCH, last):
        await _project(core, keys, generation)
        last = keys[-1]
        done += len(keys)
        await told(done)
    await projections.end_rebuild(core.database, generation)
    get_logger().info(LogLine.PROJECTIONS_REBUILT, runs=done)
    return done


async def measure(core: Core) -> None:
    """Set the gauge that says how far behind the live runs are."""
    oldest = await projections.oldest_behind(core.database)
    core.metrics.projection_lag(0.0 if oldest is None else max(0.0, (core.clock() - oldest) / 1000))


async def _project(core: Core, keys: Sequence[RunKey], generation: int) -> None:
    """Bring runs to the end of their logs, a portion of each at a time."""
    left = list(keys)
    while left:
        left = await _portion(core, left, generation)


async def _portion(core: Core, keys: Sequence[RunKey], generation: int) -> list[RunKey]:
    """The next portion of each run; those that have more."""
    found = [_begun(run, generation) for run in await projections.load_projected(core.database, keys)]
    rows_each = max(10, ROWS // max(1, len(found)))
    tails = await run_events.read_tails(core.database, [(run.key, run.event_id) for run in found], rows_each)
    updates: list[Update] = []
    more: list[RunKey] = []
    for run, tail in zip(found, tails, strict=True):
        if tail is None:
            continue  # deleted meanwhile
        rows = tail.rows
        if rows and rows[0].first_event_id != run.event_id + 1:
            # Rows were put together meanwhile, and the place is inside of one.
            rows = tuple(
                await run_events.read(core.database, run.key, run.event_id, public_only=False, limit=rows_each)
            )
        update = _fold(run, rows, generation)
        updates.append(update)
        if rows and update.event_id < tail.latest_event_id:
            more.append(run.key)
    await projections.write(core.database, updates)
    return more


def _begun(run: Projected, generation: int) -> Projected:
    """The run as it goes on: from the log's beginning where it is new or of an older generation."""
    return run if run.state is not None and run.generation == generation else replace(run, event_id=0, state=None)


def _fold(run: Projected, rows: Sequence[StoredEvents], generation: int) -> Update:
    fresh = run.state is None
    projector = Projector(run.state or State(), int(run.created_at.timestamp() * 1000))
    for row in rows:
        projector.add(row)
    state = projector.state
    changed = state.texts.changed or fresh
    state.texts.changed = False
    return Update(
        key=run.key,
        revision=run.revision,
        generation=generation,
        event_id=rows[-1].last_event_id if rows else run.event_id,
        run_updated_at=run.updated_at,
        state=state,
        fresh=fresh,
        text=_text(run, state.texts) if changed or run.updated_at != run.seen_updated_at else None,
        calls=projector.calls(),
        gone=tuple(projector.changes.gone),
    )


def _text(run: Projected, texts: Texts) -> Text:
    return Text(
        names=_words(run.name, run.title, run.topic),
        labels=_words(run.agent_id, run.target, *run.tags, *run.categories),
        said=_storable(
            "\n".join(filter(None, (_input(run.input), texts.text("said"), run.error, _content(run.profile))))
        ),
        results=_storable(texts.text("result")),
    )


def _input(source: str | None) -> str:
    try:
        return input_text(source)
    except (msgspec.DecodeError, RecursionError):
        return ""


def _content(profile: str | None) -> str:
    """What whoever executes the run wants it to be found by (vertesia.md 1.5); as long as an input is."""
    said = {} if profile is None else msgspec.json.decode(profile)
    content = said.get("search_content")
    return content[:INPUT_CHARS] if isinstance(content, str) else ""


def _words(*names: str | None) -> str:
    """Names as they are, and the words that they are made of: `app:billing.refund` is found by `refund`, too."""
    said = [name for name in names if name]
    apart = (re.sub(r"[\W_]+", " ", name) for name in said)
    return _storable("\n".join([*said, *(words for words, name in zip(apart, said, strict=True) if words != name)]))


def _storable(text: str) -> str:
    return text.replace("\x00", " ")
