"""A worker's hold on a run.

The fence grows with every claim, so that a lost lease cannot be mistaken for a held one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from perdure.domain.ids import RunKey


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that a worker has just taken: its fence and attempt, and the log's end with the event that said so."""

    key: RunKey
    revision: int
    attempt: int
    fence: int
    latest_event_id: int
    available_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A run that a worker holds, under a fence."""

    key: RunKey
    fence: int


@dataclass(frozen=True, slots=True)
class Renewed(Held):
    """A lease that was extended, and whether somebody wants the run cancelled."""

    cancelling: bool
