"""Whether and when a failed attempt is tried again (veryfront.md 6; the count is that of `services/losses.py`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from perdure.domain.stored_run import Run
from perdure.execution.log import RunFailed
from perdure.services import losses
from perdure.services.core import Core

FIRST_DELAY_MS: Final = 1_000
LONGEST_DELAY_MS: Final = 5 * 60 * 1_000


class AttemptFailed(RunFailed):
    """An attempt failed, and the next one may succeed.

    `retries`: how often such a run is tried again where its request says nothing; None: never, whatever it says.
    `exit_code`: that of its process.
    """

    code = "TASK_FAILED"

    def __init__(self, detail: str, code: str | None = None, *, retries: int | None, exit_code: int) -> None:
        super().__init__(detail, code)
        self.retries = retries
        self.exit_code = exit_code


async def retry_delay(
    core: Core, run: Run, failed: AttemptFailed, chance: Callable[[], float] = random.random
) -> int | None:
    """In how many milliseconds the run is tried again; None when it has failed. Raises Unavailable."""
    if failed.retries is None:
        return None
    limit = failed.retries if run.spec.backoff_limit is None else run.spec.backoff_limit
    if limit == 0:
        return None
    spent = await losses.spent(core, run)
    return None if spent >= limit else backoff_ms(spent, chance())


def backoff_ms(spent: int, chance: float) -> int:
    """The pause before retry `spent` + 1: twice as long each time, from 1 s to 5 min, of which half is left to chance
    (0 to 1), so that what failed together does not come back together.
    """
    longest = min(LONGEST_DELAY_MS, FIRST_DELAY_MS << min(spent, 20))
    return round(longest * (0.5 + chance / 2))
