"""What an eval's function is given beside a case's inputs, where it asks for it: `(ctx, inputs)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.execution.log import RunContext

if TYPE_CHECKING:
    from perdure.execution.artifacts import RunArtifacts


@dataclass(frozen=True, slots=True)
class EvalContext:
    """One case of an eval in one attempt. `case` is its name, as in `config.cases` and in the report.

    What tells the run's log something is awaited, so it is for coroutine functions; a plain function runs in a thread.
    """

    case: str
    run: RunContext

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def attempt(self) -> int:
        """How often a worker has taken the run, 1 the first time."""
        return self.run.attempt

    @property
    def idempotency_key(self) -> str:
        """A key for outside systems: the same whenever this case is executed again after a crash."""
        return self.run.idempotency_key(step_of(self.case))

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is being stopped; coroutines are cancelled, plain functions in threads may look here."""
        return self.run.cancelled

    @property
    def artifacts(self) -> RunArtifacts:
        """The run's files, beside its report."""
        return self.run.artifacts

    async def log(self, text: str) -> None:
        """A line for the run's log, and for `logs` of the canonical run."""
        await self.run.log(text)

    async def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Tells how far the case is. How far the eval is, it tells itself whenever a case is done."""
        await self.run.progress(done, total, text or self.case)

    async def publish(self, name: str, value: object) -> None:
        """Makes a JSON value the answer to the query `name` from now on."""
        await self.run.publish(name, value)


def step_of(case: str) -> str:
    """The name of the step that records a case."""
    return f"case:{case}"
