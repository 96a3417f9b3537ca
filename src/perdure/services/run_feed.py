"""The runs of a project as they are made and move on, for any number of watchers in this process.

Hints say which runs moved; they are gathered for a moment, read as a set, and each is rendered once for all who watch.
So a run's tokens cost nothing here, and a watcher costs nothing but its writes. One that does not keep up gets the
newest state of each run, not every state; one that may have missed hints is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Final

from perdure.domain.errors import PerdureError
from perdure.domain.ids import ProjectId, RunKey
from perdure.domain.stored_run import Run, Viewer, Visibility
from perdure.ledger.notify import RUNS_CHANNEL, Router, run_of
from perdure.store import runs
from perdure.store.database import Database
from perdure.telemetry import LogLine, get_logger

_GATHER_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = 0.5
_RUNS_PER_READ: Final = 500
_MOST_WAITING: Final = 5_000
"""Runs that a watcher may have waiting; with more it is told that it missed some."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a watcher is told next: the newest state of runs as their frames, or that it `missed` some."""

    frames: bytes
    missed: bool


@dataclass(slots=True, eq=False)
class _Watcher:
    viewer: Viewer
    waiting: dict[RunKey, bytes] = field(default_factory=dict)
    missed: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, key: RunKey, frame: bytes) -> None:
        self.waiting[key] = frame
        if len(self.waiting) > _MOST_WAITING:
            self.miss()
        self.wake.set()

    def miss(self) -> None:
        self.waiting.clear()
        self.missed = True
        self.wake.set()

    def take(self) -> Moved:
        moved = Moved(b"".join(self.waiting.values()), self.missed)
        self.waiting, self.missed = {}, False
        self.wake.clear()
        return moved


class RunFeed:
    """The watched projects of this process. `render` makes a run's frame, `gone` that of one which was deleted."""

    def __init__(
        self, database: Database, router: Router, render: Callable[[Run], bytes], gone: Callable[[RunKey], bytes]
    ) -> None:
        self._database = database
        self._render = render
        self._gone = gone
        self._watchers: dict[ProjectId, set[_Watcher]] = {}
        self._moved: dict[RunKey, None] = {}
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False
        router.on(RUNS_CHANNEL, self._heard)
        router.after_gap(self._missed)

    async def watch(self, project_id: ProjectId, viewer: Viewer) -> AsyncGenerator[Moved, None]:
        """What moves in a project from now on, as the viewer may see it; ends when the process does."""
        watcher = _Watcher(viewer)
        self._watchers.setdefault(project_id, set()).add(watcher)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_all(), name="run-feed")
        try:
            while not self._stopped:
                yield watcher.take()
                await watcher.wake.wait()
        finally:
            self._leave(project_id, watcher)

    def stop(self) -> None:
        """End every watcher's stream: the process is about to end. Safe to call twice."""
        self._stopped = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake.set()

    def _leave(self, project_id: ProjectId, watcher: _Watcher) -> None:
        self._watchers[project_id].discard(watcher)
        if not self._watchers[project_id]:
            del self._watchers[project_id]
        if not self._watchers and self._reader is not None:
            self._reader.cancel()
            self._reader = None
            self._moved.clear()

    def _heard(self, items: list[str]) -> None:
        if self._watchers:
            moved = (key for key in map(run_of, items) if key is not None and key.project_id in self._watchers)
            self._moved.update(dict.fromkeys(moved))
            if self._moved:
                self._wake.set()

    def _missed(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.miss()

    async def _read_all(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._wake.clear()
            moved, self._moved = list(self._moved), {}
            for first in range(0, len(moved), _RUNS_PER_READ):
                await self._read(moved[first : first + _RUNS_PER_READ])

    async def _read(self, keys: list[RunKey]) -> None:
        try:
            found = await runs.get_many(self._database, keys)
        except Exception as error:
            if not isinstance(error, PerdureError):
                get_logger().exception(LogLine.FOLLOW_FAILED)
            self._moved.update(dict.fromkeys(keys))
            self._wake.set()
            await asyncio.sleep(_RETRY_SECONDS)
            return
        for key in keys:
            self._hand_out(key, found.get(key))

    def _hand_out(self, key: RunKey, run: Run | None) -> None:
        watchers = self._watchers.get(key.project_id)
        if watchers:
            frame = self._gone(key) if run is None else self._render(run)
            for watcher in watchers:
                if run is None or _may_see(watcher.viewer, run):
                    watcher.give(key, frame)


def _may_see(viewer: Viewer, run: Run) -> bool:
    return run.about.visibility is not Visibility.PRIVATE or viewer.sees_all or run.created_by == viewer.subject
