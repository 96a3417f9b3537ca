"""What the branches of a workflow wait for, and when nothing else is left to do: then the attempt ends, and parks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from perdure.domain.past import Answer
from perdure.domain.run import PendingCall, Waiting, WaitingReason
from perdure.domain.stored_run import Run
from perdure.execution.workflow_links import WorkflowLinks

LINGER_MS: Final = 250
"""What comes within this time is waited for with the worker: parking and coming back would take longer."""
_POLL_SECONDS: Final = 0.1
_SETTLING_ROUNDS: Final = 20
_SETTLING_SECONDS: Final = 0.005


@dataclass(slots=True, eq=False)
class Wait:
    """One branch's wait: until a time, for a signal, a call's answer, or a child. `woken` says what came."""

    until: int | None = None
    signal: str | None = None
    call: PendingCall | None = None
    child: str | None = None
    woken: asyncio.Future[object] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class TimedOut:
    """What a wait is woken with when its time has come."""


class Waits:
    """The waits of one attempt. `signals` are those of the log, in order, as far as they are known."""

    def __init__(
        self,
        links: WorkflowLinks | None,
        clock: Callable[[], int],
        signals: tuple[tuple[str, object], ...],
        taken: frozenset[int],
        answers: Mapping[str, Answer],
    ) -> None:
        self._links = links
        self._clock = clock
        self._signals = list(signals)
        self._taken = set(taken)
        self._answers = answers
        self._waits: list[Wait] = []
        self._busy = 0
        self._moves = 0
        self.changed = asyncio.Event()
        self.closing = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """While a branch does something that is no wait."""
        self._busy += 1
        self.moved()
        try:
            yield
        finally:
            self._busy -= 1
            self.moved()

    def moved(self) -> None:
        """A branch went on."""
        self._moves += 1
        self.changed.set()

    async def wait(self, wait: Wait) -> object:
        """What came: TimedOut, the Answer, the child's Run, or the signal as (number, payload)."""
        self._waits.append(wait)
        self.moved()
        self._wake_known()
        try:
            return await wait.woken
        finally:
            self._waits.remove(wait)
            self.moved()

    async def idle(self, main: asyncio.Task[object]) -> bool:
        """Returns True when every branch waits, and False when the workflow has ended."""
        idle_since: float | None = None
        while not main.done():
            self.changed.clear()
            if self._busy or not self._waits or not await self._settled(main):
                idle_since = None
            elif idle_since is None:
                idle_since = monotonic()
            elif not self._worth_it(idle_since):
                return True
            await self._next(main)
            await self._look()
        return False

    def waiting(self) -> Waiting:
        """How the run waits, for all branches."""
        calls = tuple(wait.call for wait in self._waits if wait.call is not None)
        untils = [wait.until for wait in self._waits if wait.until is not None]
        for_signals = any(wait.signal is not None for wait in self._waits)
        reason = WaitingReason.APPROVAL if calls and not for_signals else WaitingReason.EVENT
        return Waiting(reason, calls, until=min(untils, default=None), several=len(self._waits) > 1)

    def _worth_it(self, idle_since: float) -> bool:
        """Whether to go on waiting with the worker."""
        soonest = min((wait.until for wait in self._waits if wait.until is not None), default=None)
        if soonest is not None and soonest - self._clock() <= LINGER_MS:
            return True
        children = any(wait.child is not None for wait in self._waits)
        return children and monotonic() - idle_since < LINGER_MS / 1000

    async def _settled(self, main: asyncio.Task[object]) -> bool:
        """Whether no branch goes on when it gets the chance."""
        before = self._moves
        for _ in range(_SETTLING_ROUNDS):
            await asyncio.sleep(0)
        await asyncio.sleep(_SETTLING_SECONDS)
        return self._moves == before and not self._busy and bool(self._waits) and not main.done()

    async def _next(self, main: asyncio.Task[object]) -> None:
        """Something has changed, or it is time to look."""
        change = asyncio.create_task(self.changed.wait())
        soonest = min((wait.until for wait in self._waits if wait.until is not None), default=None)
        left = None if soonest is None else max(0.0, (soonest - self._clock()) / 1000)
        look = _POLL_SECONDS if self._waits else None
        timeout = look if left is None else min(left, _POLL_SECONDS)
        await asyncio.wait({main, change}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        change.cancel()
        await asyncio.gather(change, return_exceptions=True)

    async def _look(self) -> None:
        """Learn what came from outside, and wake the branches that waited for it."""
        if self._links is not None and any(wait.signal is not None for wait in self._waits):
            self._signals += await self._links.new_signals()
        children = [wait.child for wait in self._waits if wait.child is not None]
        ended = await self._links.ended_children(children) if self._links is not None and children else {}
        self._wake_known(ended)

    def _wake_known(self, ended: Mapping[str, Run] | None = None) -> None:
        now = self._clock()
        for wait in self._waits:
            if wait.woken.done():
                continue
            came = self._came(wait, ended or {})
            if came is None and wait.until is not None and wait.until <= now:
                came = TimedOut()
            if came is not None:
                wait.woken.set_result(came)
                self.moved()

    def _came(self, wait: Wait, ended: Mapping[str, Run]) -> object:
        if wait.signal is not None:
            for number, (name, payload) in enumerate(self._signals):
                if name == wait.signal and number not in self._taken:
                    self._taken.add(number)
                    return number, payload
        if wait.call is not None:
            return self._answers.get(wait.call.id)
        return None if wait.child is None else ended.get(wait.child)
