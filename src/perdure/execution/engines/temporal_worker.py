"""The worker of the temporal engine: Temporal's part lives in a thread with an event loop of its own.

An agent's tool may block the worker's event loop for minutes; Temporal must hear heartbeats meanwhile, as our database
does (`execution.heartbeat`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from perdure.domain.errors import PerdureError, RunNotFound
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.run import Status
from perdure.execution.attempt import Execute
from perdure.execution.engines.opening import TemporalPlace
from perdure.execution.engines.temporal_client import AWAY, connect
from perdure.execution.engines.temporal_workflow import CANCEL, EXECUTE, Answer, Order, RunWorkflow, queue_of
from perdure.execution.hands import Hands, InHand, WorkerOptions
from perdure.services import lifecycle, placements
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

T = TypeVar("T")

_BEATS_PER_LEASE = 4
_ROOM_SECONDS = 1.0
"""How long a run waits for room on a busy worker before it is given to another."""
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 15.0
_WORKFLOWS_CACHED = 500


class TemporalWorker:
    """Takes the runs that Temporal hands to it, and executes them like any worker.

    `claimed` is called when it has taken one: there is room for another.
    """

    def __init__(
        self,
        core: Core,
        serves: frozenset[tuple[str, str]],
        execute: Execute,
        options: WorkerOptions,
        place: TemporalPlace,
        claimed: Callable[[], None],
    ) -> None:
        self._core = core
        self._options = options
        self._place = place
        self._told_of_claim = claimed
        self._hands = Hands(core, serves, execute, options, self._freed)
        self._room = asyncio.Semaphore(options.concurrency)
        self._stopping = False
        self._main = asyncio.get_running_loop()
        self._side: asyncio.AbstractEventLoop | None = None
        self._stop_side: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._log = get_logger().bind(worker_id=self._hands.worker_id)

    @property
    def alive(self) -> bool:
        """Whether it takes runs."""
        return self._thread is not None and self._thread.is_alive() and not self._stopping

    async def start(self) -> None:
        """Make itself known and begin to take runs; Temporal need not answer yet. Raises Unavailable."""
        await self._hands.start()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run_side, args=(ready,), name="temporal", daemon=True)
        self._thread.start()
        await asyncio.to_thread(ready.wait)

    async def stop(self) -> None:
        """Take nothing new, let runs finish for `drain_seconds`, hand the rest back. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._hands.draining()
        if self._side is not None and self._stop_side is not None:
            with suppress(RuntimeError):  # its loop is closed: it has ended already
                self._side.call_soon_threadsafe(self._stop_side.set)
        await self._hands.drain()
        await asyncio.to_thread(thread.join, _CLOSE_SECONDS)
        with suppress(PerdureError):
            await placements.tell_again(self._core, self._hands.routes)
        await self._hands.stop()

    # --- in the worker's event loop --------------------------------------------------------------

    def _freed(self) -> None:
        self._room.release()

    async def take(self, order: Order) -> InHand | Answer:
        """Claim the run for this worker and begin; or say why not. Raises Unavailable."""
        key = _key(order)
        if self._stopping or not await self._has_room():
            return Answer(-1, later=True)
        begun = None
        try:
            claimed = await placements.claim(
                self._core, self._hands.worker_id, key, order.route, self._options.lease_seconds
            )
            if claimed is None:
                return await self._not_claimed(key, order)
            self._told_of_claim()
            begun = self._hands.begin(claimed, await run_service.get(self._core, key))
            return begun
        except RunNotFound:
            return Answer(order.revision)
        finally:
            if begun is None:
                self._room.release()

    async def _has_room(self) -> bool:
        try:
            async with asyncio.timeout(_ROOM_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            return False
        return True

    async def _not_claimed(self, key: RunKey, order: Order) -> Answer:
        """It has ended, waits, or is another's: whatever makes it pending again places it anew."""
        run = await run_service.get(self._core, key)
        if run.status is Status.PENDING:
            return Answer(-1, later=True)
        return Answer(max(run.revision, order.revision))

    async def _finished(self, begun: InHand) -> None:
        await asyncio.wait({begun.task})

    async def _cancel_run(self, key: RunKey) -> None:
        with suppress(RunNotFound):
            await lifecycle.cancel(self._core, key, "The run's workflow was cancelled in Temporal.")

    # --- in Temporal's thread --------------------------------------------------------------------

    def _run_side(self, ready: threading.Event) -> None:
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._side = asyncio.get_running_loop()
        self._stop_side = stop = asyncio.Event()
        ready.set()
        while not stop.is_set():
            try:
                await self._work(await connect(self._place, lazy=False), stop)
            except AWAY as error:
                self._log.warning(LogLine.ENGINE_AWAY, address=self._place.address, error=str(error))
            except Exception:
                self._log.exception(LogLine.ENGINE_FAILED)
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await stop.wait()

    async def _work(self, client: Client, stop: asyncio.Event) -> None:
        """Serve until told to stop, or until one of Temporal's workers breaks."""
        workers = self._workers(client)
        running = [asyncio.create_task(worker.run()) for worker in workers]
        told = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            await asyncio.gather(*(worker.shutdown() for worker in workers))
            results = await asyncio.gather(*running, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _workers(self, client: Client) -> list[Worker]:
        """One for the workflows, and one for each route: a task queue's tasks go to those who serve its route."""
        ours = self._place.task_queue
        lease = timedelta(seconds=self._options.lease_seconds)
        grace = timedelta(seconds=self._options.drain_seconds + _CLOSE_SECONDS)
        return [
            Worker(
                client,
                task_queue=ours,
                workflows=[RunWorkflow],
                activities=[self._cancel],
                workflow_runner=UnsandboxedWorkflowRunner(),
                max_cached_workflows=_WORKFLOWS_CACHED,
                graceful_shutdown_timeout=grace,
            ),
            *(
                Worker(
                    client,
                    task_queue=queue_of(ours, route),
                    activities=[self._execute],
                    max_concurrent_activities=self._options.concurrency,
                    max_concurrent_activity_task_polls=2,
                    max_heartbeat_throttle_interval=lease / _BEATS_PER_LEASE,
                    default_heartbeat_throttle_interval=lease / _BEATS_PER_LEASE,
                    graceful_shutdown_timeout=grace,
                )
                for route in sorted(self._hands.routes)
            ),
        ]

    @activity.defn(name=EXECUTE)
    async def _execute(self, order: Order) -> Answer:
        taken = await self._there(self.take(order))
        if isinstance(taken, Answer):
            return taken
        ended = asyncio.ensure_future(self._there(self._finished(taken)))
        try:
            while not ended.done():
                activity.heartbeat()
                await asyncio.wait({ended}, timeout=self._options.lease_seconds / _BEATS_PER_LEASE)
        except asyncio.CancelledError:
            # Temporal has given it up, perhaps as it was late itself. Whose the run is, its lease says: it goes on.
            ended.cancel()
            raise
        return Answer(taken.attempt.claimed.revision, executed=True)

    @activity.defn(name=CANCEL)
    async def _cancel(self, order: Order) -> None:
        await self._there(self._cancel_run(_key(order)))

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the worker's event loop."""
        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._main))
        except PerdureError as error:
            raise RuntimeError(error.detail) from error


def _key(order: Order) -> RunKey:
    return RunKey(ProjectId(UUID(order.project_id)), RunId(order.run_id))
