"""A run's log in memory, as the executor keeps it: enough to replay a workflow without a server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ag_ui.core import BaseEvent

from perdure.domain.fold import LogFold, encode_step
from perdure.domain.stored_run import Run
from perdure.execution.definitions import Function, workflow_definition
from perdure.execution.kinds.workflow import run_workflow
from perdure.execution.log import Outcome, RunContext
from perdure.services.workflows import ChildRequest
from tests.store.harness import ManualClock


@dataclass
class Links:
    """Children that end when the test says so."""

    asked: list[ChildRequest] = field(default_factory=list)
    ended: dict[str, Run] = field(default_factory=dict)

    async def start_child(self, wanted: ChildRequest) -> str:
        self.asked.append(wanted)
        return f"child-{wanted.key}"

    async def ended_children(self, run_ids: Iterable[str]) -> dict[str, Run]:
        return {run_id: self.ended[run_id] for run_id in run_ids if run_id in self.ended}

    async def new_signals(self) -> list[tuple[str, object]]:
        return []


@dataclass
class Tape:
    """What a run has recorded. It is the attempts' log, too; `room` is how many records it takes before it breaks."""

    lines: list[str] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)
    links: Links = field(default_factory=Links)
    room: int = 1_000
    attempts: int = 0

    def step(self, key: str) -> bytes | None:
        return self._fold().past().steps.get(key)

    async def emit(self, *events: BaseEvent) -> None:
        self.lines += [event.model_dump_json(by_alias=True) for event in events]

    async def record(self, key: str, value: bytes) -> None:
        if self.room == 0:
            raise ConnectionAbortedError(key)
        self.room -= 1
        self.lines += encode_step(key, value)

    async def flush(self) -> None:
        pass

    def add(self, line: str) -> None:
        """Something comes from outside."""
        self.lines.append(line)

    def types(self, name: str) -> int:
        """How many events there are of a type or CUSTOM name."""
        return sum(f'"{name}"' in line for line in self.lines)

    async def attempt(self, function: Function, **given: object) -> Outcome:
        """Execute the workflow as far as it goes."""
        self.attempts += 1
        past = self._fold().past()
        run = RunContext(
            run_id="run-1",
            conversation_id=None,
            attempt=self.attempts,
            agent="",
            messages=(),
            input=given,
            answers=past.answers,
            run_log=self,
            clock=self.clock,
            past=past,
            links=self.links,
        )
        return await run_workflow(workflow_definition("w", function, None), run)

    def _fold(self) -> LogFold:
        fold = LogFold()
        for line in self.lines:
            fold.add(line)
        return fold
