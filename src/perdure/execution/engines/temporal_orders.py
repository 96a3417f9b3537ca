"""Tell Temporal of pending runs: every process of a deployment does it, and the queue says who tells of which."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from time import monotonic

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import Priority, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from perdure.domain.errors import RunNotFound, Unavailable
from perdure.domain.ids import RunKey
from perdure.domain.placement import Placement
from perdure.execution.engines.opening import TemporalPlace
from perdure.execution.engines.temporal_client import AWAY, RPC_TIMEOUT, connect
from perdure.execution.engines.temporal_workflow import PLACED, RUN, Order
from perdure.ledger.notify import CANCEL_CHANNEL, QUEUE_CHANNEL, run_of
from perdure.services import placements
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.telemetry import LogLine, get_logger

RUN_ID = SearchAttributeKey.for_keyword("PerdureRunId")
PROJECT_ID = SearchAttributeKey.for_keyword("PerdureProjectId")
KIND = SearchAttributeKey.for_keyword("PerdureKind")
TARGET = SearchAttributeKey.for_keyword("PerdureTarget")

_POLL_SECONDS = 1.0
_SWEEP_SECONDS = 5.0
_STOP_SECONDS = 2.0
"""How long a process that stops may take to tell of what it has handed back. Otherwise others do, a little later."""
_TERMINATE_AFTER_SECONDS = 2.0
"""What a cancelled run's worker gets to end the workflow by itself."""


def workflow_id(place: TemporalPlace, key: RunKey) -> str:
    """The id under which a run is found in Temporal; deployments that share a namespace differ in their task queue."""
    return f"{place.task_queue}/{key.project_id}/{key.run_id}"


class Orders:
    """Starts a workflow for each pending run, and terminates those of runs that were cancelled."""

    def __init__(self, core: Core, place: TemporalPlace, heartbeat: timedelta) -> None:
        self._core = core
        self._place = place
        self._heartbeat = heartbeat
        self._wake = asyncio.Event()
        self._cancelled: dict[RunKey, float] = {}
        self._swept = 0.0
        self._searchable: bool | None = None
        self._away_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._log = get_logger()

    async def start(self) -> None:
        """Begin. Temporal need not answer yet. Raises OSError where a file of the settings cannot be read."""
        client = await connect(self._place, lazy=True)
        self._core.router.on(QUEUE_CHANNEL, self._queue_has_work)
        self._core.router.on(CANCEL_CHANNEL, self._cancel_said)
        self._core.router.after_gap(self._wake.set)
        self._task = asyncio.create_task(self._tell_all(client), name="orders")

    async def stop(self) -> None:
        """Tell of what was just handed back, and stop. Safe to call twice."""
        if self._task is None:
            return
        self._stopping = True
        self._wake.set()
        if self._away_since is None:
            await asyncio.wait((self._task,), timeout=_STOP_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def wake(self) -> None:
        """Look for pending runs now."""
        self._wake.set()

    def _queue_has_work(self, routes: list[str]) -> None:
        self._wake.set()

    def _cancel_said(self, items: list[str]) -> None:
        for item in items:
            if (key := run_of(item)) is not None:
                self._cancelled[key] = monotonic() + _TERMINATE_AFTER_SECONDS

    async def _tell_all(self, client: Client) -> None:
        """Over and over, and once more after the word to stop."""
        while True:
            last = self._stopping
            self._wake.clear()
            told: int | None = None
            try:
                await self._sweep()
                told = await self._tell(client)
                await self._terminate_cancelled(client)
                self._back()
            except Unavailable:
                pass
            except AWAY as error:
                self._away(error)
            except Exception:
                self._log.exception(LogLine.ENGINE_FAILED)
            if last:
                return
            if told is None:
                await asyncio.sleep(_POLL_SECONDS)
            elif told < placements.AT_ONCE:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    def _away(self, error: BaseException) -> None:
        if self._away_since is None:
            self._away_since = monotonic()
            self._log.warning(LogLine.ENGINE_AWAY, address=self._place.address, error=str(error))

    def _back(self) -> None:
        if self._away_since is not None:
            self._log.info(LogLine.ENGINE_BACK, seconds=round(monotonic() - self._away_since, 1))
            self._away_since = None

    async def _sweep(self) -> None:
        if monotonic() - self._swept >= _SWEEP_SECONDS:
            self._swept = monotonic()
            await placements.forget_old(self._core)

    async def _tell(self, client: Client) -> int:
        taken = await placements.take(self._core)
        if not taken.runs:
            return 0
        try:
            results = await asyncio.gather(*(self._order(client, run) for run in taken.runs), return_exceptions=True)
        except asyncio.CancelledError:
            # Who has been told already is told again, which does no harm; the others would wait for half a minute.
            await placements.untold(self._core, taken, [run.key for run in taken.runs])
            raise
        told = [
            run.key for run, result in zip(taken.runs, results, strict=True) if not isinstance(result, BaseException)
        ]
        untold = {run.key for run in taken.runs} - set(told)
        await placements.told(self._core, taken, told)
        if untold:
            await placements.untold(self._core, taken, list(untold))
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(told)

    async def _order(self, client: Client, run: Placement) -> None:
        """Start the run's workflow; one that is open learns by the signal that there is more to do."""
        heartbeat_ms = int(self._heartbeat.total_seconds() * 1000)
        order = Order(str(run.key.project_id), run.key.run_id, run.route, run.revision, heartbeat_ms)
        await client.start_workflow(
            RUN,
            order,
            id=workflow_id(self._place, run.key),
            task_queue=self._place.task_queue,
            start_signal=PLACED,
            start_signal_args=[order],
            search_attributes=_attributes(run) if await self._may_search(client) else TypedSearchAttributes.empty,
            static_summary=run.route[:200],
            # Fair between projects; a priority of Temporal's would let one project's runs pass those of the others.
            priority=Priority(fairness_key=str(run.key.project_id)),
            rpc_timeout=RPC_TIMEOUT,
        )

    async def _terminate_cancelled(self, client: Client) -> None:
        """End the workflows of cancelled runs that no worker ended: there may be none."""
        due = [key for key, at in self._cancelled.items() if at <= monotonic()]
        for key in due:
            with suppress(RunNotFound):
                run = await run_service.get(self._core, key)
                if run.status.terminal:
                    with suppress(RPCError):  # it has ended, or never was
                        handle = client.get_workflow_handle(workflow_id(self._place, key))
                        await handle.terminate(reason="The run was cancelled.", rpc_timeout=RPC_TIMEOUT)
            del self._cancelled[key]

    async def _may_search(self, client: Client) -> bool:
        """Whether workflows carry search attributes: those that are missing are made, where the server lets us."""
        if self._searchable is None:
            self._searchable = await self._made_searchable(client)
        return self._searchable

    async def _made_searchable(self, client: Client) -> bool:
        wanted = {key.name for key in (RUN_ID, PROJECT_ID, KIND, TARGET)}
        operator, namespace = client.operator_service, client.namespace
        try:
            listed = await operator.list_search_attributes(
                ListSearchAttributesRequest(namespace=namespace), timeout=RPC_TIMEOUT
            )
            if missing := wanted - set(listed.custom_attributes):
                keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
                await operator.add_search_attributes(
                    AddSearchAttributesRequest(namespace=namespace, search_attributes=dict.fromkeys(missing, keyword)),
                    timeout=RPC_TIMEOUT,
                )
        except RPCError as error:
            if error.status.name == "UNAVAILABLE":
                raise
            self._log.warning(LogLine.ENGINE_UNSEARCHABLE, error=str(error))
            return False
        return True


def _attributes(run: Placement) -> TypedSearchAttributes:
    kind, _, target = run.route.partition(":")
    return TypedSearchAttributes(
        [
            SearchAttributePair(RUN_ID, run.key.run_id),
            SearchAttributePair(PROJECT_ID, str(run.key.project_id)),
            SearchAttributePair(KIND, kind),
            SearchAttributePair(TARGET, target),
        ]
    )
