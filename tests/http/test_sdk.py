"""The SDK's calls for all but single runs of agents; and the examples of docs/sdk.md."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from perdure.client import ApiError, Client, RetryPolicy
from perdure.domain.catalog import Published
from perdure.domain.run import Kind
from perdure.execution.demo import demo_app
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.executor import Executor
from perdure.execution.hands import WorkerOptions
from perdure.execution.kinds.resolve import Resolver
from perdure.services import catalog, lifecycle
from perdure.telemetry import Tracing
from tests.http.runs_app import ADMIN_KEY, PROJECT, Api, served
from tests.http.test_input_requests import form
from tests.store.harness import WAIT_SECONDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sdk.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
QUICK = RetryPolicy(first_delay=0.01, longest_delay=0.05)

Main = Callable[[str, str], Awaitable[Any]]


@pytest.fixture
async def url(at_work: Api) -> AsyncIterator[str]:
    """A server whose worker executes `echo`."""
    application = demo_app(None)
    executor = Executor(at_work.core, Resolver(application), 0.01, Tracing())
    working = await PostgresEngine(at_work.core, WorkerOptions()).work(frozenset({("agent", "echo")}), executor.execute)
    async with served(at_work.app) as running:
        yield running
    await working.stop()


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with Client(url, ADMIN_KEY, retry=QUICK) as one:
        yield one


def example(number: int) -> Main:
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[number], f"{PAGE.name}, block {number}", "exec"), names)
    main: Main = names["main"]
    return main


def external(kind: str) -> dict[str, Any]:
    """The body of a run for an external worker."""
    request = {"mode": "agent", "agent_id": "shouter", "implementation_kind": kind, "initial_status": "pending"}
    return {"kind": "agent", "owner": {"kind": "project", "id": str(PROJECT)}, "request": request}


async def asked(client: Client, kind: str, text: str = "hello") -> tuple[str, str]:
    """A run that waits for an external worker, and its conversation."""
    conversation = await client.conversations.create()
    await client.conversations.add_message(conversation.id, text, idempotency_key="once")
    where = {"conversation_mode": "existing", "conversation_id": conversation.id}
    created = await client.runs.submit({**external(kind), **where})
    return created.run.run_id, conversation.id


async def test_conversations_and_messages(client: Client) -> None:
    made = await client.conversations.create(title="One", metadata={"a": [1]})
    other = await client.conversations.create(type="support")
    assert (await client.conversations.get(made.id)) == made
    page = await client.conversations.list(limit=1)
    assert [one.id for one in page.data] == [other.id]
    assert [one.id for one in (await client.conversations.list(cursor=page.next)).data] == [made.id]
    changed = await client.conversations.update(made.id, title="Two")
    assert (changed.title, changed.metadata) == ("Two", {"a": [1]})
    first = await client.conversations.add_message(made.id, "Hello.", idempotency_key="k")
    assert (await client.conversations.add_message(made.id, "Hello.", idempotency_key="k")).id == first.id
    await client.conversations.add_message(made.id, [{"type": "text", "text": "Yes?"}], role="assistant")
    messages = (await client.conversations.messages(made.id)).data
    assert [(message.role, message.text) for message in messages] == [("user", "Hello."), ("assistant", "Yes?")]
    await client.conversations.delete(made.id)
    with pytest.raises(ApiError) as gone:
        await client.conversations.get(made.id)
    assert (gone.value.status, gone.value.code) == (404, "conversation_not_found")


async def test_a_snapshot(client: Client) -> None:
    created = await client.runs.create("echo", "some words", conversation="new")
    async for _ in client.runs.stream(created.run.run_id):
        pass
    snapshot = await client.conversations.snapshot(str(created.conversation_id), created.run.run_id)
    kinds = [one.event["type"] for one in snapshot.events]
    assert kinds == ["MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "RUN_FINISHED"]
    assert snapshot.events[-1].event_id == snapshot.after_event_id


async def test_forms(at_work: Api, client: Client) -> None:
    path, key = await at_work.conversation_run()
    conversation = path.split("/")[2]
    await at_work.client.post(f"/conversations/{conversation}/input-requests", json=form(key.run_id))
    (waiting,) = (await client.inputs.list(conversation, status="open")).data
    assert (waiting.status, waiting.title, waiting.run_id) == ("open", "Tea", key.run_id)
    with pytest.raises(ApiError) as wrong:
        await client.inputs.respond(conversation, waiting.id, {"nothing": 1})
    assert wrong.value.status == 400
    for _ in range(2):
        answered = await client.inputs.respond(conversation, waiting.id, {"who": "ada"})
        assert answered.status == "submitted"
        assert answered.latest_response is not None
        assert answered.latest_response.values["who"] == "ada"
    await at_work.client.post(f"/conversations/{conversation}/input-requests", json=form(key.run_id, tool_call_id="c2"))
    (other,) = (await client.inputs.list(conversation, status="open")).data
    assert (await client.inputs.cancel(conversation, other.id)).status == "cancelled"
    assert (await client.inputs.list(conversation, status="open")).data == ()


async def test_schedules(client: Client) -> None:
    made = await client.schedules.create("Often", "* * * * *", agent="echo", max_runs=3)
    assert [one.id for one in await client.schedules.list()] == [made.id]
    assert (await client.schedules.pause(made.id)).status == "paused"
    assert (await client.schedules.get(made.id)).status == "paused"
    assert (await client.schedules.resume(made.id)).status == "active"
    run = await client.schedules.trigger(made.id, idempotency_key="k")
    assert (await client.schedules.trigger(made.id, idempotency_key="k")).run_id == run.run_id
    await client.schedules.delete(made.id)


async def test_batches(at_work: Api, client: Client) -> None:
    requests = [{"target": "task:t", "config": {"number": number}} for number in range(3)]
    made = await client.batches.create(requests, batch_id=str(uuid4()))
    batch = made.batch
    assert (made.duplicate, batch.status, batch.total, batch.done, len(made.run_ids)) == (False, "pending", 3, False, 3)
    again = await client.batches.create(requests, batch_id=batch.batch_id)
    assert (again.duplicate, again.run_ids) == (True, made.run_ids)
    with pytest.raises(ApiError) as reused:
        await client.batches.create(requests[:1], batch_id=batch.batch_id)
    assert reused.value.code == "idempotency_key_reused"
    with pytest.raises(TimeoutError, match="3 runs of batch"):
        await client.batches.wait(batch.batch_id, timeout=0.1)
    waiting = asyncio.create_task(client.batches.wait(batch.batch_id, timeout=WAIT_SECONDS))
    cancelled = await client.batches.cancel(batch.batch_id)
    assert (cancelled.cancelled, cancelled.batch.cancelled_at) == (True, (await waiting).cancelled_at)
    assert (await waiting).counts["cancelled"] == (await waiting).ended == 3
    assert not (await client.batches.get(batch.batch_id)).counts["pending"]


async def test_a_batch_in_another_project(client: Client) -> None:
    other = await client.projects.create("other")
    made = await client.batches.create([{"target": "task:t"}], project_id=other.id, priority=-5)
    assert (await client.runs.get(made.run_ids[0])).priority == -5
    assert (await client.batches.get(made.batch.batch_id)).total == 1
    assert (await client.batches.cancel(made.batch.batch_id)).batch.status == "cancelled"
    assert (await client.runs.get(made.run_ids[0])).project_id == other.id


async def test_what_is_served_is_started_by_its_target(at_work: Api, client: Client) -> None:
    schema = {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}
    said = Published(Kind.WORKFLOW, "flow", "Flows.", "7", json.dumps(schema))
    await catalog.publish(at_work.core, [said])
    entries = {entry.target: entry for entry in await client.catalog.list()}
    found = entries["workflow:flow"]
    assert (found.description, found.version, found.input_schema) == ("Flows.", "7", schema)
    assert "worker-1" in [worker.id for worker in found.workers]
    assert entries["agent:echo"].input_schema is None
    with pytest.raises(ApiError) as unfit:
        await client.runs.start("workflow:flow")
    assert (unfit.value.code, unfit.value.problem["pointer"]) == ("invalid_request", "/request/input")
    flow = await client.runs.start("workflow:flow", {"sku": "a"}, public_id="mine")
    assert (flow.run.run_id, flow.run.workflow_id, flow.run.input) == ("mine", "flow", {"sku": "a"})
    task = await client.runs.start("task:t", {"to": "Ada"}, timeout_seconds=5, name="one")
    assert (task.run.config, task.run.timeout_seconds) == ({"to": "Ada"}, 5)
    assert (await client.runs.start("eval:smoke")).run.target == "eval:smoke"
    for wrong in ("agent:echo", "t", "task:"):
        with pytest.raises(ValueError, match="is no target"):
            await client.runs.start(wrong)


async def test_a_worker_claims_renews_and_hears_of_a_cancel(client: Client) -> None:
    worker = await client.workers.register("shouting", "one")
    await worker.heartbeat()
    assert await worker.claim() is None
    run_id, _ = await asked(client, "shouting")
    async with asyncio.timeout(WAIT_SECONDS), aclosing(worker.claims(lease_seconds=5, wait_seconds=1)) as claims:
        held = await anext(claims)
        assert (held.run.run_id, held.run.attempt) == (run_id, 1)
        await worker.session(run_id, "session-1")
        renewed = await worker.renew(run_id)
        assert renewed is not None
        assert (renewed.worker_session or {})["session_key"] == "session-1"
        await client.runs.cancel(run_id)
        await held.lost.wait()
    assert (await client.runs.get(run_id)).status == "cancelled"


async def test_a_worker_that_lost_its_run_cannot_write(at_work: Api, client: Client) -> None:
    worker = await client.workers.register("shouting", "one")
    run_id, conversation = await asked(client, "shouting")
    first = await worker.claim()
    assert first is not None
    async with at_work.core.database.connection() as connection:
        await connection.execute("UPDATE run_queue SET lease_expires_at = now() - interval '1 second'")
    await lifecycle.recover_expired(at_work.core)
    second = await worker.claim()
    assert second is not None
    with pytest.raises(ApiError) as stale:
        await client.conversations.append(conversation, run_id, [{"type": "A"}], fence=first.fence)
    assert stale.value.code == "stale_fence"
    assert not (await client.runs.complete(run_id, "failed", fence=first.fence)).completed
    assert (await client.runs.complete(run_id, "completed", fence=second.fence)).completed


async def test_the_example_of_a_conversation(url: str) -> None:
    assert await example(0)(url, ADMIN_KEY) == "two lamps"


async def test_the_example_of_a_batch(url: str) -> None:
    counts = await example(1)(url, ADMIN_KEY)
    assert counts == {**dict.fromkeys(counts, 0), "cancelled": 3}


async def test_the_example_of_a_schedule(url: str, client: Client) -> None:
    run_id = await example(2)(url, ADMIN_KEY)
    assert (await client.runs.get(run_id)).agent_id == "echo"


async def test_the_example_of_a_worker(url: str, client: Client) -> None:
    run_id, conversation = await asked(client, "shouting", "hello there")
    async with asyncio.timeout(WAIT_SECONDS):
        assert await example(3)(url, ADMIN_KEY) == run_id
    assert (await client.conversations.messages(conversation)).data[-1].text == "HELLO THERE"
    assert len(BLOCKS) == 4
