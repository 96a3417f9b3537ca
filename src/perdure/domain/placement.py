"""A pending run that an engine outside the database is to be told of."""

from __future__ import annotations

from dataclasses import dataclass

from perdure.domain.ids import RunKey


@dataclass(frozen=True, slots=True)
class Placement:
    """A run that waits for a worker, as it stands in the queue.

    Of two placements of a run, the one with the higher `revision` counts.
    """

    key: RunKey
    route: str
    revision: int
