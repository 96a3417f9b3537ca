"""The ledger against a small model: in whatever order things happen, the log has no gap and all followers see it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from perdure.domain.errors import CursorMismatch
from perdure.domain.event import MODEL_CALL_CONTEXT, Append, Segment
from perdure.domain.ids import RunKey
from perdure.domain.run import Finish, Status
from perdure.ledger.intake import parse_append
from perdure.services import control, events, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from tests.store.harness import WAIT_SECONDS, ManualClock, Server, events_of, new_run, start_server, whole_log

T = TypeVar("T")

TINY_ROOM = 150
"""Bytes: three small rows, then a follower falls back to the store."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as the model keeps it. `external`: it counts in the external sequence."""

    line: str
    public: bool = True
    external: bool = True


@dataclass(slots=True)
class Follower:
    """Somebody who follows, and what came. A slow one takes a row only when it is let."""

    after: int
    server: int
    slow: bool
    seen: list[tuple[int, str]] = field(default_factory=list)
    may_take: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    task: asyncio.Task[None] | None = None

    async def follow(self, core: Core, key: RunKey) -> None:
        async for delivery in core.hub.follow(key, self.after):
            if self.slow:
                await self.may_take.acquire()
            self.seen.extend(events_of([delivery.events]))


@dataclass(frozen=True, slots=True)
class Sent:
    """An append as it was sent."""

    batch: tuple[Event, ...]
    event_id: int | None
    external: int | None


class Log:
    """The model: what the log must hold, and what an append at given cursors must do (veryfront.md 2.3)."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def external_at(self, event_id: int) -> int:
        return sum(event.external for event in self.events[:event_id])

    @property
    def external(self) -> int:
        return self.external_at(len(self.events))

    def append(self, sent: Sent) -> int | None:
        """How many events are newly stored; None for a mismatch."""
        skip = self._stored(sent)
        if skip is None:
            return None
        self.events.extend(sent.batch[skip:])
        return len(sent.batch) - skip

    def _stored(self, sent: Sent) -> int | None:
        if sent.event_id in (None, len(self.events)) and sent.external in (None, self.external):
            return 0
        if sent.event_id is not None:
            if sent.event_id >= len(self.events) or sent.external not in (None, self.external_at(sent.event_id)):
                return None
            tail = self.events[sent.event_id :]
            shared = min(len(tail), len(sent.batch))
            same = all(was.line == new.line for was, new in zip(tail, sent.batch, strict=False))  # whoever wrote it
            return shared if same else None
        return self._stored_from_outside(sent.batch, sent.external or 0)

    def _stored_from_outside(self, batch: Sequence[Event], expected: int) -> int | None:
        places = [place for place, event in enumerate(self.events) if event.external][expected:]
        counted = [place for place, event in enumerate(batch) if event.external]
        shared = min(len(places), len(counted))
        if shared == 0 or any(
            self.events[place] != batch[sent] for place, sent in zip(places[:shared], counted[:shared], strict=True)
        ):
            return None
        skip, place = counted[shared - 1] + 1, places[shared - 1] + 1
        while skip < len(batch) and not batch[skip].external and self.events[place : place + 1] == [batch[skip]]:
            skip, place = skip + 1, place + 1
        rest_fits = skip == len(batch) or expected + shared == self.external
        return skip if rest_fits else None


def body(sent: Sent) -> bytes:
    """An append as its request."""
    return msgspec.json.encode(
        {
            "events": [msgspec.Raw(event.line.encode()) for event in sent.batch],
            "expected_previous_event_id": sent.event_id,
            "expected_previous_external_event_sequence": sent.external,
        }
    )


PUBLIC = [Event(f'{{"type":"A","n":{n}}}') for n in range(2)]
PRIVATE = [Event(f'{{"type":"{MODEL_CALL_CONTEXT}","n":{n}}}', public=False, external=False) for n in range(2)]
batches = st.lists(st.sampled_from([*PUBLIC, *PUBLIC, *PRIVATE]), min_size=1, max_size=5).map(tuple)
servers = st.integers(0, 1)
around = st.integers(-2, 2)


class Stage:
    """An event loop and two servers on one database, shared by all examples; their clocks disagree."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.loop = asyncio.new_event_loop()
        self.clocks = (ManualClock(), ManualClock(1_600_000_000_000))
        self.servers = [self.do(self._start(place)) for place in (0, 1)]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, WAIT_SECONDS))

    def core(self, place: int) -> Core:
        return self.servers[place].core

    def restart(self, place: int) -> None:
        self.do(self.servers[place].stop())
        self.servers[place] = self.do(self._start(place))

    async def _start(self, place: int) -> Server:
        return await start_server(self._dsn, clock=self.clocks[place], room=TINY_ROOM if place else 1_000_000)

    def close(self) -> None:
        for server in self.servers:
            self.do(server.stop())
        self.loop.close()


class Ledger(RuleBasedStateMachine):
    """One run, its writers, its followers."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.model = Log()
        self.sent: list[Sent] = []
        self.followers: list[Follower] = []
        self.key = stage.do(new_run(stage.core(0)))
        for server in (0, 1):
            self.join(Follower(0, server, slow=False))

    @rule(server=servers, batch=batches, use_event_id=st.booleans(), use_external=st.booleans())
    def append(self, server: int, batch: tuple[Event, ...], use_event_id: bool, use_external: bool) -> None:
        at_event = len(self.model.events) if use_event_id else None
        self.send(server, Sent(batch, at_event, self.model.external if use_external else None))

    @rule(server=servers, batch=batches, event_id=st.none() | around, external=st.none() | around)
    def append_at_another_place(
        self, server: int, batch: tuple[Event, ...], event_id: int | None, external: int | None
    ) -> None:
        at_event = None if event_id is None else max(0, len(self.model.events) + event_id)
        at_external = None if external is None else max(0, self.model.external + external)
        self.send(server, Sent(batch, at_event, at_external))

    @precondition(lambda self: self.sent)
    @rule(server=servers, data=st.data(), more=st.just(()) | batches)
    def send_again(self, server: int, data: st.DataObject, more: tuple[Event, ...]) -> None:
        """The answer got lost; meanwhile the writer may have more to say."""
        again = data.draw(st.sampled_from(self.sent))
        self.send(server, Sent((*again.batch, *more), again.event_id, again.external))

    def send(self, server: int, sent: Sent) -> None:
        """The same thing to the ledger and to the model."""
        self.sent.append(sent)
        expected = self.model.append(sent)
        request = events.append(self.stage.core(server), self.key, parse_append(body(sent)))
        try:
            done = self.stage.do(request)
        except CursorMismatch:
            assert expected is None
            return
        assert done.appended_count == expected
        assert (done.latest_event_id, done.latest_external_sequence) == (len(self.model.events), self.model.external)

    @rule(server=servers, event=st.sampled_from(PUBLIC + PRIVATE))
    def append_from_inside(self, server: int, event: Event) -> None:
        segment = Segment(("A",), (event.line,), public=event.public)
        self.stage.do(self.stage.core(server).appender.append(Append(self.key, (segment,))))
        self.model.events.append(Event(event.line, event.public, external=False))

    @rule(server=servers)
    def signal(self, server: int) -> None:
        self.stage.do(control.signal(self.stage.core(server), self.key, "s", 1))
        line = '{"type":"CUSTOM","name":"perdure.signal","value":{"name":"s","payload":1}}'
        self.model.events.append(Event(line, external=False))

    @rule(several=st.lists(st.tuples(servers, st.integers(1, 5)), min_size=2, max_size=6))
    def append_at_once(self, several: list[tuple[int, int]]) -> None:
        """No cursors: all are stored, each in one piece, in some order."""
        batches = [
            tuple(Event(f'{{"type":"A","n":"{writer}.{n}"}}') for n in range(size))
            for writer, (_, size) in enumerate(several)
        ]

        async def all_at_once() -> None:
            requests = (
                events.append(self.stage.core(server), self.key, parse_append(body(Sent(batch, None, None))))
                for (server, _), batch in zip(several, batches, strict=True)
            )
            await asyncio.gather(*requests)

        self.stage.do(all_at_once())
        added = [line for _, line in self.stored()[len(self.model.events) :]]
        batches.sort(key=lambda batch: added.index(batch[0].line))
        self.model.events.extend(event for batch in batches for event in batch)

    @rule(joining=st.lists(st.tuples(servers, st.integers(-2, 8), st.booleans()), min_size=1, max_size=3))
    def follow(self, joining: list[tuple[int, int, bool]]) -> None:
        for server, back, slow in joining:
            self.join(Follower(max(0, len(self.model.events) - back), server, slow))

    def join(self, follower: Follower) -> None:
        follower.task = self.stage.loop.create_task(follower.follow(self.stage.core(follower.server), self.key))
        self.followers.append(follower)

    @precondition(lambda self: self.followers)
    @rule(data=st.data(), rows=st.integers(1, 4))
    def take(self, data: st.DataObject, rows: int) -> None:
        follower = data.draw(st.sampled_from(self.followers))
        for _ in range(rows):
            follower.may_take.release()

    @precondition(lambda self: len(self.followers) > 4)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        follower = data.draw(st.sampled_from(self.followers))
        self.followers.remove(follower)
        assert follower.task is not None
        follower.task.cancel()
        self.stage.do(asyncio.wait([follower.task]))
        self.check_seen(follower, complete=False)

    @rule(ticks=st.integers(0, 5))
    def let_time_pass(self, ticks: int) -> None:
        async def turns() -> None:
            for _ in range(ticks):
                await asyncio.sleep(0.001)

        self.stage.do(turns())

    @rule(server=servers, ms=st.integers(-50, 50))
    def move_clock(self, server: int, ms: int) -> None:
        self.stage.clocks[server].now += ms

    @precondition(lambda self: len(self.followers) > 4)
    @rule(server=servers)
    def restart(self, server: int) -> None:
        """Its followers' streams end; they have seen a beginning of what they asked for."""
        self.stage.restart(server)
        for follower in [follower for follower in self.followers if follower.server == server]:
            self.followers.remove(follower)
            self.finish_taking(follower)
            self.check_seen(follower, complete=False)

    @rule(server=servers, after=st.integers(0, 12), limit=st.integers(1, 6))
    def read_a_page(self, server: int, after: int, limit: int) -> None:
        """Public events only; the rest of a row is left for the next page."""
        page = self.stage.do(events.page(self.stage.core(server), self.key, after, limit))
        public = [
            (place, event.line)
            for place, event in enumerate(self.model.events, start=1)
            if event.public and place > after
        ]
        assert events_of(page.rows) == public[:limit]
        assert page.more == (len(public) > limit)

    def finish_taking(self, follower: Follower) -> None:
        for _ in range(len(self.model.events) + 2):
            follower.may_take.release()
        assert follower.task is not None
        self.stage.do(self.wait_for(follower.task))

    async def wait_for(self, task: asyncio.Task[None]) -> None:
        await task

    def check_seen(self, follower: Follower, *, complete: bool) -> None:
        lines = [(place, event.line) for place, event in enumerate(self.model.events, start=1)]
        wanted = lines[follower.after :]
        assert follower.seen == (wanted if complete else wanted[: len(follower.seen)])

    def stored(self) -> list[tuple[int, str]]:
        return events_of(self.stage.do(whole_log(self.stage.core(0).database, self.key)))

    @invariant()
    def log_is_the_model(self) -> None:
        rows = self.stage.do(whole_log(self.stage.core(0).database, self.key))
        run = self.stage.do(run_service.get(self.stage.core(1), self.key))
        assert events_of(rows) == [(place, event.line) for place, event in enumerate(self.model.events, start=1)]
        last_ts, external = 0, 0
        for row in rows:
            assert row.first_ts > last_ts
            last_ts = row.first_ts + len(row.types) - 1
            for place in range(row.first_event_id, row.last_event_id + 1):
                event = self.model.events[place - 1]
                assert (row.public, row.first_external_sequence is not None) == (event.public, event.external)
            if row.first_external_sequence is not None:
                assert row.first_external_sequence == external + 1
                external += len(row.types)
        assert (run.latest_event_id, run.latest_external_sequence) == (len(self.model.events), self.model.external)
        assert run.last_ts >= last_ts

    def teardown(self) -> None:
        """The run ends, and with it every stream, complete."""
        core = self.stage.core(0)
        self.stage.do(lifecycle.finish(core, self.key, Finish(Status.COMPLETED)))
        (_, line) = self.stored()[-1]
        self.model.events.append(Event(line, external=False))
        for follower in self.followers:
            self.finish_taking(follower)
            self.check_seen(follower, complete=True)


def test_the_log_and_its_followers(database: str) -> None:
    stage = Stage(database)

    class Here(Ledger):
        def __init__(self) -> None:
            super().__init__(stage)

    try:
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=45, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    finally:
        stage.close()
