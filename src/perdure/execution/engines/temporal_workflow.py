"""What Temporal runs: one workflow for each time that a run waits for a worker (ADR 0010).

The workflow has an activity execute the run on a worker that serves its route, and ends when that attempt has ended.
Temporal finds the worker, and has the activity run again when it is silent.
This module imports nothing of ours: its code must be replayable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

RUN: Final = "perdure-run"
"""Name of the workflow."""
PLACED: Final = "placed"
"""Name of the signal that tells an open workflow that its run is pending again."""
EXECUTE: Final = "perdure-execute"
CANCEL: Final = "perdure-cancel"

_LONGEST_ATTEMPT: Final = timedelta(days=3650)
"""Temporal wants a limit; how long a run may take is said by its own deadline."""
_RETRY: Final = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 2.0
"""Few runs are tried over and over, as Temporal is told of few. One that is left to workers of its version soon finds
one of them."""


@dataclass(frozen=True)
class Order:
    """A run to be executed. `revision` is that of the run when it was placed, `heartbeat_ms` in milliseconds."""

    project_id: str
    run_id: str
    route: str
    revision: int
    heartbeat_ms: int


@dataclass(frozen=True)
class Answer:
    """What became of an order: `revision` is up to which the run was seen to; `later` asks for another try.
    `executed`: this one had the run in hand, so whoever had it before has it no more."""

    revision: int
    later: bool = False
    executed: bool = False


def queue_of(task_queue: str, route: str) -> str:
    """The task queue of the workers that serve a route."""
    return f"{task_queue}/{route}"


@workflow.defn(name=RUN)
class RunWorkflow:
    """Sees to one run until it no longer waits for a worker."""

    @workflow.init
    def __init__(self, order: Order) -> None:
        self._order = order
        self._served = -1
        self._nudged = False
        self._still_waits = False

    @workflow.run
    async def run(self, order: Order) -> None:
        """Execute the run each time that it was placed."""
        try:
            await self._see_to_it()
        except asyncio.CancelledError:
            await self._cancel_run()
            raise

    async def _see_to_it(self) -> None:
        tries = 0
        while self._served < self._order.revision:
            answer = await self._execute()
            self._served = max(self._served, answer.revision)
            if answer.later:
                await self._pause(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(tries, 10)))
            tries = tries + 1 if answer.later else 0
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(replace(self._order, revision=max(self._order.revision, self._served + 1)))

    @workflow.signal(name=PLACED)
    def placed(self, order: Order) -> None:
        """The run is pending again, or still, and there is room for it now."""
        self._nudged = True
        self._still_waits = order.revision == self._order.revision
        if order.revision > self._order.revision:
            self._order = order

    async def _pause(self, seconds: float) -> None:
        self._nudged = False
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._nudged, timeout=timedelta(seconds=seconds))

    async def _execute(self) -> Answer:
        """Have a worker execute the run.

        Temporal loses a task that it hands to a worker as that one stops, and counts it as begun until its heartbeat is
        missed, which is as long as a lease. So where the run is said to wait still, it is offered a second time: the
        fence lets one of them have it.
        """
        self._still_waits = False
        offers = [self._offer()]
        while not _settled(offers):
            try:
                await workflow.wait_condition(lambda: _settled(offers) or (self._still_waits and len(offers) == 1))
            except asyncio.CancelledError:
                await self._cancel_run()  # that ends the attempt
                continue
            if not _settled(offers):
                offers.append(self._offer())
        return max((offer.result() for offer in offers if offer.done()), key=lambda answer: answer.executed)

    def _offer(self) -> workflow.ActivityHandle[Answer]:
        order = self._order
        return workflow.start_activity(
            EXECUTE,
            order,
            result_type=Answer,
            task_queue=queue_of(workflow.info().task_queue, order.route),
            start_to_close_timeout=_LONGEST_ATTEMPT,
            heartbeat_timeout=timedelta(milliseconds=order.heartbeat_ms),
            retry_policy=_RETRY,
            summary=order.run_id[:200],
        )

    async def _cancel_run(self) -> None:
        """Somebody cancelled the workflow: that ends the run, as it would from our side."""
        await workflow.execute_activity(CANCEL, self._order, start_to_close_timeout=timedelta(seconds=30))


def _settled(offers: Sequence[workflow.ActivityHandle[Answer]]) -> bool:
    """Whether one has executed the run, or none is left that could."""
    answers = [offer.result() for offer in offers if offer.done()]
    return len(answers) == len(offers) or any(answer.executed for answer in answers)
