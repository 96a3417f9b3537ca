"""How runs end: once, whole families of them, and so that the conversation stays usable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import msgspec
import pytest

from perdure.domain.event import TERMINAL_TYPES, Append, Segment
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import (
    Cancel,
    Executor,
    Finish,
    Kind,
    Park,
    PendingCall,
    RunError,
    Status,
    Waiting,
    WaitingReason,
    Yield,
)
from perdure.domain.stored_run import NewRun, RunSpec
from perdure.ledger.intake import parse_append
from perdure.services import control, events, lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import runs
from tests.store.harness import PROJECT, ROUTE, ManualClock, events_of, new_run, server, whole_log

CALL: dict[str, object] = {"type": "TOOL_CALL_START", "toolCallId": "c1", "toolCallName": "ask"}
TEXT: dict[str, object] = {"type": "TEXT_MESSAGE_START", "messageId": "m1", "role": "assistant"}


async def log_of(core: Core, key: RunKey) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for _, line in events_of(await whole_log(core.database, key))]


async def append(core: Core, key: RunKey, *made: object) -> None:
    await events.append(core, key, parse_append(msgspec.json.encode({"events": made})))


async def child(core: Core, run_id: str, parent: str, status: Status = Status.PENDING) -> RunKey:
    """A run that an engine executes, beneath another (which need not exist)."""
    key = RunKey(PROJECT, RunId(run_id))
    new = NewRun(
        key=key,
        kind=Kind.AGENT,
        owner_kind="project",
        owner_id=PROJECT,
        status=status,
        executor=Executor.ENGINE,
        spec=RunSpec(),
        request_hash=b"",
        created_at=runs.at(core.clock()),
        agent_id="echo",
        parent_run_id=RunId(parent),
        route=ROUTE,
    )
    assert await runs.create(core.database, new)
    return key


# ── the first terminal status wins ──


async def test_of_many_endings_at_once_one_wins(database: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        for executor, status in ((Executor.CALLER, Status.RUNNING), (Executor.ENGINE, Status.PENDING)):
            key = await new_run(one, executor=executor, status=status)
            endings: list[Awaitable[lifecycle.Applied]] = [
                lifecycle.apply(core, key, command)
                for core in (one, two)
                for command in (
                    Finish(Status.COMPLETED),
                    Finish(Status.FAILED, RunError("broken", "BROKEN")),
                    Cancel("enough"),
                    Cancel("too late", force=True),
                )
            ]
            applied = await asyncio.gather(*endings)
            (winner,) = [done.transition for done in applied if done.transition is not None]
            run = await run_service.get(two, key)
            told = [event for event in await log_of(one, key) if event["type"] in TERMINAL_TYPES]
            assert run.status is winner.state.status
            assert run.error == winner.error
            assert told == list(winner.events)
            assert (run.revision, run.completed_at is not None) == (1, True)


async def test_signals_and_an_ending_at_once(database: str) -> None:
    """Every accepted signal is in the log, before the end."""
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        key = await new_run(one)
        signals = [control.signal(core, key, "s", number) for number in range(10) for core in (one, two)]
        done = await asyncio.gather(
            *signals, lifecycle.finish(one, key, Finish(Status.COMPLETED)), return_exceptions=True
        )
        accepted = sum(answer is None for answer in done)
        told = [event["type"] for event in await log_of(one, key)]
        assert told == ["CUSTOM"] * accepted + ["RUN_FINISHED"]


# ── open ends ──


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
async def test_what_is_open_is_closed_before_the_end(database: str, status: Status) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        await append(core, key, TEXT, CALL)
        await lifecycle.finish(core, key, Finish(status))
        told = (await log_of(core, key))[2:]
        assert [event["type"] for event in told] == [
            "TEXT_MESSAGE_END", "TOOL_CALL_END", "TOOL_CALL_RESULT", "RUN_ERROR",
        ]  # fmt: skip


@pytest.mark.parametrize("ending", [Finish(Status.COMPLETED), Finish(Status.FAILED), Cancel("enough")])
async def test_a_call_that_waits_gets_one_result(database: str, ending: Finish | Cancel) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        await append(core, key, CALL, {"type": "TOOL_CALL_END", "toolCallId": "c1"})
        await lifecycle.apply(core, key, Park(Waiting(WaitingReason.TOOL, (PendingCall("c1", "ask"),)), None))
        await lifecycle.apply(core, key, ending)
        results = [event for event in await log_of(core, key) if event["type"] == "TOOL_CALL_RESULT"]
        assert [(event["toolCallId"], event["isError"]) for event in results] == [("c1", True)]


@pytest.mark.parametrize("park", [True, False])
async def test_a_cancelled_run_that_is_parked_or_given_back_ends_whole(database: str, park: bool) -> None:
    """What the worker had still in hand, and writes with the transition, is closed too."""
    async with server(database, hints=False) as core:
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        (lease,) = await lifecycle.claim(core, "w", [ROUTE], 1, 30)
        await lifecycle.cancel(core, key, "enough")
        lines = tuple(msgspec.json.encode(event).decode() for event in (TEXT, CALL))
        in_hand = lifecycle.Extra(before=(Segment((str(TEXT["type"]), str(CALL["type"])), lines),))
        waiting = Waiting(WaitingReason.TOOL, (PendingCall("c1", "ask"),))
        command = Park(waiting, lease.fence) if park else Yield("drained", lease.fence)
        await lifecycle.apply(core, key, command, in_hand)
        assert (await run_service.get(core, key)).status is Status.CANCELLED
        told = [event["type"] for event in await log_of(core, key)]
        assert sorted(map(str, told[4:-1])) == ["TEXT_MESSAGE_END", "TOOL_CALL_END", "TOOL_CALL_RESULT"]
        assert told[-1] == "RUN_ERROR"


async def test_what_opens_while_a_run_is_cancelled_is_closed_too(database: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        for _ in range(10):
            key = await new_run(one)
            opened = [{**CALL, "toolCallId": f"c{number}"} for number in range(12)]
            await asyncio.gather(
                *(append(one, key, event) for event in opened),
                lifecycle.cancel(two, key, "enough"),
                return_exceptions=True,
            )
            told = await log_of(one, key)
            assert told[-1]["type"] == "RUN_ERROR"
            started = [event["toolCallId"] for event in told if event["type"] == "TOOL_CALL_START"]
            closed = [event["toolCallId"] for event in told if event["type"] == "TOOL_CALL_RESULT"]
            assert started == closed


async def test_a_run_that_never_stops_growing_can_be_cancelled(database: str) -> None:
    async with server(database, hints=False) as one, server(database, hints=False) as two:
        key = await new_run(one)
        stop = asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                await one.appender.append(Append(key, (Segment(("A",), ('{"type":"A"}',), external=True),)))

        writers = [asyncio.create_task(write()) for _ in range(3)]
        async with asyncio.timeout(10):
            await lifecycle.cancel(two, key, "enough")
        stop.set()
        await asyncio.wait(writers)
        assert all(writer.exception() is not None for writer in writers)
        assert (await run_service.get(one, key)).status is Status.CANCELLED


SUPERSEDED: dict[str, object] = {"type": "CUSTOM", "name": "perdure.message.superseded"}
STRANGE: list[dict[str, object]] = [
    TEXT | {"messageId": ""},
    TEXT | {"messageId": {"a": 1}},
    TEXT | {"messageId": "m", "role": 7},
    {"type": "TEXT_MESSAGE_END"},
    {"type": "REASONING_MESSAGE_START", "messageId": "r"},
    {"type": "REASONING_START", "messageId": ["r"]},
    {"type": "STEP_STARTED", "stepName": None},
    {"type": "TOOL_CALL_START"},
    CALL | {"toolCallName": None, "parentMessageId": 3},
    CALL | {"toolCallId": ""},
    {"type": "TOOL_CALL_RESULT", "toolCallId": "c1", "content": {"a": [1]}, "isError": "yes", "messageId": 1},
    CALL | {"toolCallId": "c2"},
    {"type": "CUSTOM"},
    {"type": "CUSTOM", "name": ["x"], "value": 1},
    SUPERSEDED | {"value": {"messageId": "m", "toolCallIds": [{}, [], 1, "c2"]}},
    SUPERSEDED | {"value": {"messageId": ["m"], "toolCallIds": "c1"}},
    {"type": "CUSTOM", "name": "perdure.run.waiting", "value": {"calls": [1, {"toolCallId": {}}]}},
    {"type": "CUSTOM", "name": "perdure.run.approval", "value": [1]},
    {"type": "CUSTOM", "name": "perdure.run.restarted", "value": {"fresh": True}},
    {"type": "CUSTOM", "name": "perdure.run.attempt", "value": None},
    {"type": "perdure.step", "key": 1, "value": 2},
    {"type": "perdure.step", "key": "model", "text": "{", "more": True},
    {"type": "perdure.step", "key": "model", "text": 5},
]  # fmt: skip


async def test_whatever_a_caller_has_written_its_run_can_be_ended(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core)
        await append(core, key, *STRANGE)
        await lifecycle.cancel(core, key, "enough")
        assert (await run_service.get(core, key)).status is Status.CANCELLED


async def test_an_output_belongs_to_the_end_that_brought_it(database: str) -> None:
    async with server(database, hints=False) as core:
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        output, metadata = '{"n": 1}', '{"model":"m"}'
        extra = lifecycle.Extra(output=output, metadata=metadata)
        await lifecycle.finish(core, key, Finish(Status.COMPLETED), extra)
        ended = await run_service.get(core, key)
        assert (ended.output, ended.metadata, ended.error) == (output, metadata, None)
        again = await control.restart(core, key, fresh=True)
        assert (again.output, again.metadata, again.completed_at) == (None, metadata, None)
        await lifecycle.finish(core, key, Finish(Status.FAILED, RunError("broken")))
        failed = await run_service.get(core, key)
        assert (failed.output, failed.error) == (None, RunError("broken"))
        assert (await control.restart(core, key, fresh=None)).error is None


# ── families ──


async def test_a_cancel_reaches_every_live_descendant(database: str) -> None:
    async with server(database, hints=False) as core:
        root = await new_run(core, run_id="root")
        family = [await child(core, f"child-{n}", "root") for n in range(3)]
        family += [await child(core, f"grandchild-{n}", "child-1") for n in range(3)]
        stranger = await child(core, "stranger", "somebody else")
        await lifecycle.cancel(core, root, "enough")
        assert {(await run_service.get(core, key)).status for key in (root, *family)} == {Status.CANCELLED}
        assert (await run_service.get(core, stranger)).status is Status.PENDING
        error = (await run_service.get(core, family[-1])).error
        assert error is not None
        assert "Run root" in error.message, "which run was cancelled, however far up it is"


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}], ids=["its own parent", "a circle"])
async def test_a_family_may_be_a_circle(database: str, parents: dict[str, str]) -> None:
    """Callers choose run ids and name parents that need not exist yet."""
    async with server(database, hints=False) as core:
        await new_run(core)
        for run_id, parent in parents.items():
            await child(core, run_id, parent)
        await lifecycle.claim(core, "w", [ROUTE], 10, 30)
        async with asyncio.timeout(10):
            await lifecycle.cancel(core, RunKey(PROJECT, RunId("a")), "enough")
        for run_id in parents:
            assert (await run_service.get(core, RunKey(PROJECT, RunId(run_id)))).cancelling


# ── cancels that nobody answers ──


async def test_a_worker_that_does_not_answer_is_fenced(database: str) -> None:
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as core:
        key = await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        (lease,) = await lifecycle.claim(core, "w", [ROUTE], 1, 3_600)
        await append(core, key, CALL)
        await lifecycle.cancel(core, key, "enough")
        grace = timedelta(seconds=5)
        clock.now += 5_000
        assert await lifecycle.force_overdue_cancels(core, grace) == 0
        clock.now += 1
        assert await lifecycle.force_overdue_cancels(core, grace) == 1
        run = await run_service.get(core, key)
        assert (run.status, run.fence > lease.fence) == (Status.CANCELLED, True)
        assert [event["type"] for event in await log_of(core, key)][-2:] == ["TOOL_CALL_RESULT", "RUN_ERROR"]
        late = await lifecycle.apply(core, key, Finish(Status.COMPLETED, fence=lease.fence))
        assert late.transition is None
