"""What an attempt writes into its log, and what that leaves open."""

from __future__ import annotations

from typing import Final

from ag_ui.core import BaseEvent

from perdure.domain.closing import end_events, supersede_events
from perdure.domain.fold import LogFold
from perdure.domain.past import MODEL_STEP
from perdure.execution.log import RunContext

ATTEMPT_LOST: Final = "attempt_lost"
RESTARTED: Final = "restarted"
MODEL_RETRY: Final = "model_retry"


class Emitter:
    """Writes for one attempt. Once the log has refused a write, every later one is refused with the same error."""

    def __init__(self, run: RunContext) -> None:
        self.fold = LogFold(run.past)
        self._run = run
        self._refusal: Exception | None = None

    @property
    def run(self) -> RunContext:
        """The attempt."""
        return self._run

    def check(self) -> None:
        """Raises the error with which the log refused a write, if it did.

        A hook or tool of the user may have caught it; the attempt must end all the same.
        """
        if self._refusal is not None:
            raise self._refusal

    async def emit(self, *events: BaseEvent) -> None:
        """Emits public events."""
        self.check()
        if not events:
            return
        for event in events:
            self.fold.observe(event)
        try:
            await self._run.run_log.emit(*events)
        except Exception as error:
            self._refusal = error
            raise

    async def record(self, key: str, value: bytes) -> None:
        """Records a step (JSON)."""
        self.check()
        if key.startswith(MODEL_STEP):
            self.fold.settle()
        try:
            await self._run.run_log.record(key, value)
        except Exception as error:
            self._refusal = error
            raise

    async def begin(self) -> None:
        """Takes back what an earlier attempt streamed without recording the step that it belonged to."""
        await self.supersede(RESTARTED if self._run.past.restarted else ATTEMPT_LOST)

    async def supersede(self, reason: str) -> None:
        """Closes and takes back everything that is not settled."""
        await self.emit(*supersede_events(self.fold.past(), reason))

    async def end_open(self) -> None:
        """Ends the messages and tool calls that are open."""
        await self.emit(*end_events(self.fold.past()))
