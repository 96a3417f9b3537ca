"""The projections of the logs: current, the same however they were made, and made by one at a time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.event import StoredEvents, line_of
from perdure.domain.projection import Projector, State
from perdure.domain.run import Restart
from perdure.domain.stored_run import About
from perdure.execution.projector import Projecting
from perdure.services import lifecycle, projections
from perdure.store.runs import at
from tests.store.harness import START_MS, ManualClock, new_run, server
from tests.store.projecting import (
    Event,
    append,
    call,
    complete,
    described_run,
    model_step,
    projection,
    result,
    superseded,
    text,
)

MESSAGES = st.sampled_from(["m1", "m2", "m3"])
CALLS = st.sampled_from(["c1", "c2", "c3"])
EVENTS = st.one_of(
    st.builds(lambda name, word: text(name, f"{word} ", word * 3), MESSAGES, st.sampled_from(["apple", "pear"])),
    st.builds(lambda name, tool: call(name, tool, '{"city": "Rome", "days": 3}'), CALLS, st.sampled_from(["t", "u"])),
    st.builds(lambda name: [result(name, "sunny")], CALLS),
    st.builds(lambda name: [result(name, "no", isError=True)], CALLS),
    st.builds(lambda name, gone: [superseded(name, *gone)], MESSAGES, st.lists(CALLS, max_size=2)),
    st.builds(lambda name: [superseded(f"r-{name}")], CALLS),
    st.builds(lambda number: [model_step(number)], st.integers(1, 3)),
    st.just(
        [{"type": "CUSTOM", "name": "perdure.signal", "value": {"name": "UserInput", "payload": {"message": "go"}}}]
    ),
    st.just([{"type": "RUN_FINISHED", "metadata": {"inputTokens": 3, "outputTokens": 4}}]),
    st.just([{"type": "RUN_ERROR", "message": "no"}]),
    st.just([{"type": "TEXT_MESSAGE_CHUNK", "delta": "more"}, {"type": "TOOL_CALL_CHUNK", "toolCallId": "c1"}]),
)


def rows_of(events: list[Event], ends: list[int]) -> list[StoredEvents]:
    """The events as rows that end at the given places."""
    rows = []
    start = 0
    for end in [*sorted({end for end in ends if 0 < end < len(events)}), len(events)]:
        part = events[start:end]
        lines = "[" + ",\n".join(map(line_of, part)) + "]"
        rows.append(
            StoredEvents(start + 1, START_MS + start, None, True, tuple(str(event["type"]) for event in part), lines)
        )
        start = end
    return rows


def projected(rows: list[StoredEvents], since: int) -> tuple[bytes, dict[str, object]]:
    """The state after all rows, and the calls as they are stored; the state is written down after each row."""
    state, calls = State(), dict[str, object]()
    for row in rows:
        projector = Projector(state, since)
        projector.add(row)
        for key in projector.changes.gone:
            calls.pop(key, None)
        calls.update({str(made["key"]): made for made in projector.calls()})
        state = msgspec.json.decode(msgspec.json.encode(projector.state), type=State)
    return msgspec.json.encode(state, order="deterministic"), calls


@given(st.lists(EVENTS, max_size=30), st.lists(st.integers(1, 100), max_size=10), st.integers(0, 20))
def test_any_split_of_the_log_gives_the_same(parts: list[list[Event]], ends: list[int], forked_at: int) -> None:
    events = [event for part in parts for event in part]
    if events:
        since = START_MS + forked_at
        assert projected(rows_of(events, ends), since) == projected(rows_of(events, []), since)


async def test_a_run_is_projected_from_where_it_was(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        key = await described_run(core, "a", about=About(title="Weekly report"), said="please summarise")
        await append(core, key, [*text("m1", "first "), *call("c1", "look", '{"q": "x"}')])
        await projections.catch_up(core)
        first = await projection(core, key)
        assert first is not None
        assert "'first'" in first.document
        assert "'summarise'" in first.document
        assert "'weekly':" in first.document
        assert first.calls == ()
        clock.now += 700
        await append(core, key, [result("c1", "found"), *text("m2", "second")])
        await complete(core, key, {"inputTokens": 7, "outputTokens": 2, "model": "m", "provider": "p"})
        await projections.catch_up(core)
        second = await projection(core, key)
    assert second is not None
    assert second.event_id > first.event_id
    assert "'second'" in second.document
    aggregate, tool = second.calls
    assert (aggregate["call_type"], aggregate["input_tokens"], aggregate["output_tokens"]) == ("aggregate", 7, 2)
    assert (tool["tool"], tool["success"], tool["parameters"]) == ("look", True, '{"q":"x"}')
    assert tool["duration_ms"] >= 690


async def test_model_calls_come_from_the_recorded_steps(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        failed = {"at": START_MS + 1, "ms": 40, "error": "ModelHTTPError", "message": "429"}
        meter = {"at": START_MS + 50, "ms": 30, "failed": [failed]}
        await append(
            core,
            key,
            [*text("m1", "hello"), model_step(1, meter=meter), *call("c1", "look"), result("c1", "no", isError=True)],
        )
        await append(core, key, [model_step(2, tokens=(20, 8))])
        await complete(core, key, {"inputTokens": 30, "outputTokens": 13})
        await projections.catch_up(core)
        found = await projection(core, key)
    assert found is not None
    calls = [
        (made["kind"], made.get("call_type"), made["success"], made.get("error_type"), made.get("duration_ms"))
        for made in found.calls
    ]
    assert calls == [
        ("llm", "start", True, None, 30),
        ("llm", "start", False, "ModelHTTPError", 40),
        ("llm", "resume_tools", True, None, None),
        ("tool", None, False, "tool_error", 1),
    ]
    assert found.first_response_ts is not None


async def test_a_restarted_run_goes_on_and_a_deleted_one_is_gone(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        await append(core, key, text("m1", "before"))
        await complete(core, key)
        await projections.catch_up(core)
        ended = await projection(core, key)
        await lifecycle.apply(core, key, Restart(False))
        await projections.catch_up(core)
        again = await projection(core, key)
        assert ended is not None
        assert again is not None
        assert again.event_id == ended.event_id + 1
        assert again.document == ended.document
        await core.database.execute("DELETE FROM runs WHERE run_id = $1", key.run_id)
        await projections.catch_up(core)
        assert await projection(core, key) is None
        assert await core.database.fetch("SELECT 1 FROM run_calls") == []


async def test_names_that_change_later_are_found(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        key = await new_run(core)
        await complete(core, key)
        await projections.catch_up(core)
        clock.now += 60_000
        await core.database.execute("UPDATE runs SET title = 'Harvest', updated_at = $1", at(clock.now))
        await projections.catch_up(core)
        found = await projection(core, key)
    assert found is not None
    assert found.document == "'echo':2B 'harvest':1A"


async def test_a_rebuild_makes_everything_anew_and_goes_on_where_it_was_broken_off(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "BATCH", 3)
    done: list[int] = []

    async def told(count: int) -> None:
        done.append(count)
        if len(done) == 2:
            raise asyncio.CancelledError

    async def told_all(count: int) -> None:
        done.append(count)

    async with server(database, hints=False) as core:
        keys = [await new_run(core) for _ in range(10)]
        for key in keys:
            await append(core, key, [*text("m", f"word{key.run_id[-1]}"), *call("c", "look"), result("c", "x")])
            await complete(core, key)
        await projections.catch_up(core)
        before = [await projection(core, key) for key in keys]
        await core.database.execute("UPDATE run_texts SET document = ''")
        await core.database.execute(
            "INSERT INTO run_calls SELECT project_id, run_id, 'x', 'log', 'llm', now(), NULL, NULL, true FROM runs"
        )
        with pytest.raises(asyncio.CancelledError):
            await projections.rebuild(core, told)
        assert done == [3, 6]
        assert await projections.rebuild(core, told_all) == 4
        assert [await projection(core, key) for key in keys] == before
        assert await projections.rebuild(core, told_all) == 10


async def test_many_at_once_do_no_harm(database: str) -> None:
    """Two servers that project, a rebuild, and logs that grow meanwhile: in the end each run is as from scratch."""

    async def nothing(count: int) -> None:
        pass

    async with server(database, hints=False) as one, server(database, hints=False) as two:
        keys = [await new_run(one) for _ in range(8)]

        async def grow() -> None:
            for number in range(6):
                for key in keys:
                    await append(
                        one, key, [*text(f"m{number}", "tick "), *call(f"c{number}", "t"), result(f"c{number}", "x")]
                    )
            for key in keys:
                await complete(one, key)

        loops = [Projecting(one), Projecting(two)]
        for loop in loops:
            await loop.start()
        await asyncio.gather(grow(), projections.rebuild(two, nothing), projections.rebuild(one, nothing))
        for loop in loops:
            await loop.stop()
        await projections.catch_up(one)
        found = [await projection(one, key) for key in keys]
        await projections.rebuild(one, nothing)
        scratch = [await projection(one, key) for key in keys]
    assert found == scratch
    assert all(made is not None and len(made.calls) == 6 for made in found)


async def test_it_happens_by_itself(database: str) -> None:
    async with server(database, hints=False) as core:
        looking = Projecting(core)
        await looking.start()
        try:
            key = await new_run(core)
            await append(core, key, text("m", "hello"))
            await complete(core, key)
            async with asyncio.timeout(20):
                while "'hello'" not in getattr(await projection(core, key), "document", ""):
                    pass
        finally:
            await looking.stop()


async def test_a_very_long_run_keeps_its_beginning_and_its_end(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        for number in range(60):
            words = " ".join(f"w{number}x{place}" for place in range(900))
            await append(core, key, text(f"m{number}", words))
        await complete(core, key)
        await projections.catch_up(core)
        found = await projection(core, key)
    assert found is not None
    assert "'w0x5'" in found.document
    assert "'w59x899'" in found.document
    assert "'w30x5'" not in found.document
