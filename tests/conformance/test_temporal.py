"""What only the temporal engine has to do: find runs in Temporal, heal what was not handed over, outlive the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionStatus

from perdure.domain.ids import RunKey
from perdure.domain.run import Status
from perdure.execution.engines.opening import TemporalPlace
from perdure.execution.engines.temporal import TemporalEngine
from perdure.execution.engines.temporal_orders import workflow_id
from perdure.execution.engines.temporal_workflow import queue_of
from perdure.execution.log import Completed, Outcome, RunContext
from perdure.services import placements
from perdure.services import runs as run_service
from perdure.services.core import Core
from tests.conformance.test_engine import LEASE_SECONDS, Cluster, Node, ended, held
from tests.temporal_server import TemporalServer

WAIT_SECONDS = 20


def on(place: TemporalPlace, database: str, stack: AsyncExitStack) -> Cluster:
    """Nodes whose engine is a Temporal server."""
    return Cluster(database, lambda core, options: TemporalEngine(core, options, place), stack)


@pytest.fixture
def place(temporal: TemporalServer) -> TemporalPlace:
    return TemporalPlace(temporal.address, task_queue=f"test-{uuid4().hex}")


@pytest.fixture
async def cluster(place: TemporalPlace, database: str) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        yield on(place, database, stack)


async def listed(client: Client, query: str, status: WorkflowExecutionStatus) -> str:
    """The id of the workflow that a query finds, as soon as it has the status."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            async for found in client.list_workflows(query):
                if found.status is status:
                    return found.id
            await asyncio.sleep(0.05)


async def at_once(ctx: RunContext) -> Outcome:
    return Completed("done")


async def executed(cluster: Cluster) -> RunKey:
    """A run that a worker has executed."""
    node = await cluster.node()
    await node.work(at_once, "a")
    key = await cluster.submit(node, "a")
    await ended(node.core, key)
    return key


async def test_a_run_is_found_in_temporal_by_its_ids(cluster: Cluster, place: TemporalPlace) -> None:
    key = await executed(cluster)
    client = await Client.connect(place.address)
    query = f"PerdureRunId = '{key.run_id}' AND PerdureProjectId = '{key.project_id}' AND PerdureTarget = 'a'"
    assert await listed(client, query, WorkflowExecutionStatus.COMPLETED) == workflow_id(place, key)


async def test_a_run_that_its_process_did_not_hand_over_is_handed_over(cluster: Cluster) -> None:
    node = await cluster.node()
    await node.engine.stop()
    key = await cluster.submit(node, "a")
    taken = await placements.take(node.core)
    assert [run.key for run in taken.runs] == [key], "a process takes it, and dies before Temporal hears of it"
    await node.core.database.execute("UPDATE run_queue SET place_again_at = now() - interval '1 second'")
    other = await cluster.node()
    await other.work(at_once, "a")
    assert (await ended(other.core, key)).attempt == 1


async def test_a_process_that_stops_while_it_hands_over_leaves_nothing_half_told(database: str) -> None:
    """What it has taken to tell Temporal of, which does not answer, is there for the next process at once."""
    silent = await asyncio.start_server(hung_up_on, "127.0.0.1", 0)
    place = TemporalPlace(f"127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    async with silent, AsyncExitStack() as stack:
        node = await (cluster := on(place, database, stack)).node()
        await cluster.submit(node, "a")
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                if await half_told(node.core):
                    break
                await asyncio.sleep(0.01)
        await node.engine.stop()
        assert not await half_told(node.core)


async def hung_up_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what is said, and say nothing."""
    with suppress(ConnectionError):
        while await reader.read(4096):
            pass
    writer.close()


async def half_told(core: Core) -> bool:
    ((again,),) = await core.database.fetch("SELECT place_again_at FROM run_queue")
    return again is not None


async def polled(client: Client, place: TemporalPlace, identity: str) -> None:
    """Take what Temporal has for the workers of the agent `a`, and let it hear no more of it."""
    queue = TaskQueue(name=queue_of(place.task_queue, "agent:a"))
    poll = PollActivityTaskQueueRequest(namespace=place.namespace, task_queue=queue, identity=identity)
    assert (await client.workflow_service.poll_activity_task_queue(poll)).task_token


async def test_a_run_costs_one_activity(cluster: Cluster, place: TemporalPlace) -> None:
    key = await executed(cluster)
    client = await Client.connect(place.address)
    found = await listed(client, f"PerdureRunId = '{key.run_id}'", WorkflowExecutionStatus.COMPLETED)
    history = await client.get_workflow_handle(found).fetch_history()
    offers = [event for event in history.events if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    assert len(offers) == 1


async def test_what_was_lost_with_a_worker_that_stopped_is_taken_by_another(
    cluster: Cluster, place: TemporalPlace
) -> None:
    """Temporal counts what it handed to a worker in the moment it stopped as begun, for as long as a lease."""
    node = await cluster.node(lease_seconds=WAIT_SECONDS * 20)
    await node.work(at_once, "another")
    lost = await cluster.submit(node, "a")
    client = await Client.connect(place.address)
    await polled(client, place, "stopping")
    stopping = await node.work(at_once, "a")
    await ended(node.core, await cluster.submit(node, "a"))
    assert (await run_service.get(node.core, lost)).status is Status.PENDING
    await stopping.stop()
    other = await cluster.node(lease_seconds=WAIT_SECONDS * 20)
    await other.work(at_once, "a")
    assert (await ended(node.core, lost)).attempt == 1


async def test_a_cancel_without_a_worker_ends_the_workflow(cluster: Cluster, place: TemporalPlace) -> None:
    node = await cluster.node()
    key = await cluster.submit(node, "a")
    client = await Client.connect(place.address)
    query = f"WorkflowId = '{workflow_id(place, key)}'"
    await listed(client, query, WorkflowExecutionStatus.RUNNING)
    await node.engine.cancel(key, "enough")
    assert (await run_service.get(node.core, key)).status is Status.CANCELLED
    await listed(client, query, WorkflowExecutionStatus.TERMINATED)


@asynccontextmanager
async def at_work(cluster: Cluster) -> AsyncIterator[tuple[Node, RunKey, asyncio.Event]]:
    """A node whose worker executes a run, which ends when it is let go."""
    node = await cluster.node()
    async with held() as (kind, began, go):
        await node.work(kind, "a")
        key = await cluster.submit(node, "a")
        async with asyncio.timeout(WAIT_SECONDS):
            await began.wait()
        yield node, key, go


async def test_a_cancel_in_temporal_cancels_the_run(cluster: Cluster, place: TemporalPlace) -> None:
    async with at_work(cluster) as (node, key, _):
        await (await Client.connect(place.address)).get_workflow_handle(workflow_id(place, key)).cancel()
        run = await ended(node.core, key)
    assert run.status is Status.CANCELLED
    assert run.attempt == 1


async def test_a_run_whose_workflow_is_terminated_goes_on(cluster: Cluster, place: TemporalPlace) -> None:
    """Temporal knows its activity no more, which its worker hears with the next heartbeat; the lease is still its."""
    async with at_work(cluster) as (node, key, go):
        await (await Client.connect(place.address)).get_workflow_handle(workflow_id(place, key)).terminate()
        await asyncio.sleep(2 * LEASE_SECONDS)
        go.set()
        run = await ended(node.core, key)
    assert (run.status, run.attempt) == (Status.COMPLETED, 1)


async def test_a_missed_heartbeat_takes_no_run_from_a_worker_with_a_lease(
    cluster: Cluster, place: TemporalPlace
) -> None:
    """Temporal, late itself, may have an activity run again while its worker is at work: the lease says whose it is."""
    node = await cluster.node()
    await node.work(at_once, "another")
    key = await cluster.submit(node, "a")
    client = await Client.connect(place.address)
    await polled(client, place, "silent")
    assert await placements.claim(node.core, "silent", key, "agent:a", lease_seconds=WAIT_SECONDS)
    await node.work(at_once, "a")
    await listed(client, f"WorkflowId = '{workflow_id(place, key)}'", WorkflowExecutionStatus.COMPLETED)
    run = await run_service.get(node.core, key)
    assert (run.status, run.attempt) == (Status.RUNNING, 1)


async def test_the_server_restarts_in_the_middle_of_runs(tmp_path: Path, database: str) -> None:
    with TemporalServer(tmp_path) as server:
        async with AsyncExitStack() as stack:
            cluster = on(TemporalPlace(server.address), database, stack)
            async with at_work(cluster) as (node, running, go):
                await asyncio.to_thread(server.kill)
                meanwhile = await cluster.submit(node, "a")
                await asyncio.to_thread(server.start)
                go.set()
                assert (await ended(node.core, running)).attempt == 1
                assert (await ended(node.core, meanwhile)).status is Status.COMPLETED
