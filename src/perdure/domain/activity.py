"""What a dashboard shows of many runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from perdure.domain.ids import RunId


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in intervals of one length: from `since` to before `until`."""

    since: datetime
    until: datetime
    interval: timedelta


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a run's model calls, None where nothing tells of them.

    `settled`: the run has ended and all of its log is counted.
    """

    run_id: RunId
    input_tokens: int | None
    output_tokens: int | None
    settled: bool
