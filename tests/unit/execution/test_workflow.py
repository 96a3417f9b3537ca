"""Workflows are replayed from their log: nothing is done twice, and code that does something else is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from pydantic import BaseModel

from perdure.domain.event import custom
from perdure.domain.run import WaitingReason
from perdure.domain.workflow import Nondeterminism
from perdure.execution.inputs import input_shape
from perdure.execution.kinds.workflow_context import WorkflowContext
from perdure.execution.log import Completed, RunFailed, Waiting
from perdure.execution.workflow_steps import Retry, StepFailed
from tests.store.harness import START_MS
from tests.unit.execution.workflow_log import Tape


class Order(BaseModel):
    sku: str
    amount: int = 1


@dataclass
class Shop:
    """What the steps really did."""

    done: list[str]

    async def reserve(self, sku: str) -> Order:
        self.done.append(f"reserve {sku}")
        return Order(sku=sku, amount=2)

    def charge(self, order: Order) -> float:
        self.done.append(f"charge {order.sku}")
        return 1.5 * order.amount


def line(name: str, value: Mapping[str, object]) -> str:
    return msgspec.json.encode(custom(name, value)).decode()


async def test_recorded_steps_are_not_executed_again() -> None:
    tape, shop = Tape(room=1), Shop([])

    async def workflow(ctx: WorkflowContext, order: Order) -> float:
        reserved = await ctx.step(shop.reserve, order.sku)
        assert isinstance(reserved, Order)
        return await ctx.step(shop.charge, reserved)

    with pytest.raises(ConnectionAbortedError):
        await tape.attempt(workflow, sku="a")
    tape.room = 100
    assert await tape.attempt(workflow, sku="a") == Completed(3.0)
    assert await tape.attempt(workflow, sku="a") == Completed(3.0)
    assert shop.done == ["reserve a", "charge a", "charge a"]
    assert tape.types("STEP_STARTED") == 3


async def test_gathered_steps_keep_their_results_whichever_ends_first() -> None:
    tape = Tape()
    done: list[int] = []
    first_may = asyncio.Event()

    async def work(number: int) -> int:
        if number == 0:
            await first_may.wait()
        done.append(number)
        if number == 2:
            first_may.set()
        return number

    async def branch(ctx: WorkflowContext, number: int) -> list[int]:
        return [await ctx.step(work, number), await ctx.step(work, number + 10)]

    async def workflow(ctx: WorkflowContext) -> list[list[int]]:
        return await asyncio.gather(*(branch(ctx, number) for number in range(3)))

    expected = Completed([[0, 10], [1, 11], [2, 12]])
    assert await tape.attempt(workflow) == expected
    assert done[:2] == [1, 2] or done[0] == 1
    assert await tape.attempt(workflow) == expected
    assert len(done) == 6


async def test_a_long_sleep_ends_the_attempt_and_the_time_is_kept() -> None:
    tape = Tape()

    async def workflow(ctx: WorkflowContext) -> str:
        await ctx.sleep(timedelta(days=3))
        return "awake"

    until = START_MS + 3 * 86_400_000
    assert await tape.attempt(workflow) == Waiting(WaitingReason.EVENT, until=until)
    tape.clock.now += 1_000
    assert await tape.attempt(workflow) == Waiting(WaitingReason.EVENT, until=until)
    tape.clock.now = until
    assert await tape.attempt(workflow) == Completed("awake")


async def test_branches_wait_for_the_soonest_of_what_they_need() -> None:
    tape = Tape()

    async def workflow(ctx: WorkflowContext) -> list[object]:
        return list(
            await asyncio.gather(
                ctx.sleep_until(datetime.fromtimestamp(START_MS / 1000 + 60, UTC)),
                ctx.wait_for_signal("go", timeout=30),
                ctx.approve("Really?", key="ask"),
                return_exceptions=True,
            )
        )

    outcome = await tape.attempt(workflow)
    assert isinstance(outcome, Waiting)
    assert (outcome.reason, outcome.until, outcome.several) == (WaitingReason.EVENT, START_MS + 30_000, True)
    (call,) = outcome.calls
    assert (call.name, call.reason) == ("approve", WaitingReason.APPROVAL)
    tape.add(line("perdure.run.waiting", {"reason": "event", "calls": [{"toolCallId": call.id}]}))
    tape.add(line("perdure.run.approval", {"toolCallId": call.id, "value": {"approved": True, "message": "fine"}}))
    tape.clock.now += 60_000
    outcome = await tape.attempt(workflow)
    assert isinstance(outcome, Completed)
    _, timed_out, approval = outcome.output if isinstance(outcome.output, list) else []
    assert "No signal" in str(timed_out)
    assert approval == {"approved": True, "message": "fine", "value": {"approved": True, "message": "fine"}}
    assert tape.types("TOOL_CALL_RESULT") == 1


async def test_signals_are_taken_in_order_and_once_also_those_that_came_before() -> None:
    tape = Tape()
    for number in range(2):
        tape.add(line("perdure.signal", {"name": "go", "payload": {"sku": f"s{number}", "amount": number}}))
    tape.add(line("perdure.signal", {"name": "other", "payload": None}))

    async def workflow(ctx: WorkflowContext) -> list[int]:
        return [(await ctx.wait_for_signal("go", type=Order)).amount for _ in range(3)]

    outcome = await tape.attempt(workflow)
    assert outcome == Waiting(WaitingReason.EVENT)
    tape.add(line("perdure.signal", {"name": "go", "payload": {"sku": "s", "amount": 2}}))
    assert await tape.attempt(workflow) == Completed([0, 1, 2])


async def test_a_step_is_tried_again_and_then_fails_for_good() -> None:
    tape = Tape()
    tries: list[str] = []

    async def flaky(ctx: WorkflowContext) -> None:
        tries.append(ctx.idempotency_key)
        raise ValueError("no")

    async def workflow(ctx: WorkflowContext) -> str:
        try:
            await ctx.step(flaky, ctx, retry=Retry(attempts=3, delay=10, factor=3))
        except StepFailed as failed:
            return f"{failed.type}: {failed.error}"
        return "?"

    assert await tape.attempt(workflow) == Waiting(WaitingReason.EVENT, until=START_MS + 10_000)
    tape.clock.now += 10_000
    assert await tape.attempt(workflow) == Waiting(WaitingReason.EVENT, until=START_MS + 40_000)
    tape.clock.now += 30_000
    for _ in range(2):
        assert await tape.attempt(workflow) == Completed("ValueError: no")
    assert tries == ["run-1.0.0"] * 3


async def test_a_step_has_its_time() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    async def workflow(ctx: WorkflowContext) -> None:
        await ctx.step(slow, timeout=0.01)

    with pytest.raises(StepFailed, match="TimeoutError"):
        await Tape().attempt(workflow)


async def test_what_is_random_and_what_time_it_was_stays() -> None:
    tape = Tape()

    async def workflow(ctx: WorkflowContext) -> list[object]:
        found = [ctx.random.random(), (await ctx.now()).isoformat()]
        await ctx.sleep(60)
        return found

    assert isinstance(await tape.attempt(workflow), Waiting)
    tape.clock.now += 60_000
    first = await tape.attempt(workflow)
    tape.clock.now += 60_000
    assert first == await tape.attempt(workflow)
    assert isinstance(first, Completed)
    assert isinstance(first.output, list)
    assert first.output[1] == "2023-11-14T22:13:20+00:00"


async def test_children_are_started_once_and_waited_for() -> None:
    tape = Tape()

    async def workflow(ctx: WorkflowContext) -> list[object]:
        return list(
            await asyncio.gather(ctx.run_child("task:a", {"n": 1}), ctx.run_child("agent:b", "hello", key="talk"))
        )

    for _ in range(2):
        outcome = await tape.attempt(workflow)
        assert isinstance(outcome, Waiting)
        assert (outcome.reason, outcome.until) == (WaitingReason.EVENT, None)
        tape.clock.now += 60_000
    assert [(wanted.target, wanted.input) for wanted in tape.links.asked] == [
        ("task:a", b'{"n":1}'),
        (
            "agent:b",
            b'{"messages":[{"role":"user","content":"hello"}],"context":{"project_id":null,"branch_id":null}}',
        ),
    ]


@pytest.mark.parametrize("change", ["another step", "another call", "fewer calls"])
async def test_code_that_does_something_else_fails_and_names_both(change: str) -> None:
    tape, shop = Tape(), Shop([])

    async def before(ctx: WorkflowContext) -> None:
        await ctx.step(shop.reserve, "a")
        await ctx.wait_for_signal("paid")

    async def after(ctx: WorkflowContext) -> None:
        if change == "another step":
            await ctx.step(shop.charge, Order(sku="a"))
        elif change == "another call":
            await ctx.step(shop.reserve, "a")
            await ctx.wait_for_signal("shipped")

    assert isinstance(await tape.attempt(before), Waiting)
    with pytest.raises(Nondeterminism) as found:
        await tape.attempt(after)
    assert found.value.code == "nondeterminism"
    words = {
        "another step": ("step 'Shop.charge'", "step 'Shop.reserve'"),
        "another call": ("signal 'shipped'", "signal 'paid'"),
        "fewer calls": ("has ended", "step 'Shop.reserve'"),
    }[change]
    assert all(word in found.value.detail for word in words), found.value.detail


async def test_what_is_told_is_told_once() -> None:
    tape = Tape()

    async def workflow(ctx: WorkflowContext) -> None:
        await ctx.log("begins")
        await ctx.sleep(60)
        await ctx.log("goes on")
        await ctx.progress(1, 2)
        await ctx.sleep(60)
        await ctx.publish("state", "done")

    for _ in range(3):
        await tape.attempt(workflow)
        tape.clock.now += 60_000
    assert tape.types("perdure.log") == 2
    assert tape.types("perdure.progress") == tape.types("perdure.published") == 1


async def test_a_step_cannot_call_the_context() -> None:
    async def workflow(ctx: WorkflowContext) -> None:
        await ctx.step(ctx.sleep, 1)

    with pytest.raises(StepFailed, match="only the workflow itself can"):
        await Tape().attempt(workflow)


async def test_an_input_that_does_not_fit_fails_the_run() -> None:
    async def workflow(ctx: WorkflowContext, order: Order) -> None: ...

    with pytest.raises(RunFailed) as failed:
        await Tape().attempt(workflow, amount=1)
    assert failed.value.code == "invalid_input"


def test_the_input_of_several_parameters_is_an_object_of_them() -> None:
    async def workflow(ctx: WorkflowContext, sku: str, when: datetime, amount: int = 1) -> None: ...

    shape = input_shape(workflow)
    schema = shape.schema()
    assert schema is not None
    assert (schema["required"], schema["additionalProperties"]) == (["sku", "when"], False)
    assert shape.arguments({"sku": "a", "when": "2030-01-01T00:00:00Z"}) == {
        "sku": "a",
        "when": datetime(2030, 1, 1, tzinfo=UTC),
        "amount": 1,
    }


def test_an_input_without_a_type_is_any_object() -> None:
    async def workflow(ctx: WorkflowContext, input: object) -> None: ...

    del workflow.__annotations__["input"]
    shape = input_shape(workflow)
    assert shape.schema() is None
    assert shape.arguments({"a": 1}) == {"input": {"a": 1}}
