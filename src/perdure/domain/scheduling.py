"""When a run is executed, and before which others (docs/scheduling.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from perdure.domain.errors import InvalidRequest

LOWEST_PRIORITY: Final = -100
HIGHEST_PRIORITY: Final = 100


@dataclass(frozen=True, slots=True)
class Scheduling:
    """A higher `priority` goes first among the runs of one project. No worker gets the run before `run_after`. When
    `deadline` passes in any live state, the run ends as failed; its time in the queue counts."""

    priority: int = 0
    run_after: datetime | None = None
    deadline: datetime | None = None

    def over(self, recorded: Scheduling) -> Scheduling:
        """What holds for a run that was recorded with one and is started with the other: what the start does not say
        (a priority of 0 is not said) stays as it was."""
        return Scheduling(
            self.priority or recorded.priority, self.run_after or recorded.run_after, self.deadline or recorded.deadline
        )

    def check(self, now: datetime) -> None:
        """Raises InvalidRequest for a deadline that nobody can keep."""
        if self.deadline is not None and self.deadline <= now:
            raise InvalidRequest("The query parameter `deadline` is in the past.")
        if self.deadline is not None and self.run_after is not None and self.deadline <= self.run_after:
            raise InvalidRequest("The query parameter `deadline` must be after `run_after`.")


UNSCHEDULED: Final = Scheduling()
"""As soon as may be, with no deadline."""
