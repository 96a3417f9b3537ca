"""What `perdure db reindex` does."""

from __future__ import annotations

from perdure.cli.access import Access
from perdure.cli.direct import work_on
from perdure.cli.output import note, write_json
from perdure.services import projections
from perdure.services.core import Core

_EVERY = 1_000
"""Runs between two lines that say how far it is."""


def reindex(access: Access, *, as_json: bool) -> None:
    """Make all projections anew."""

    async def told(done: int) -> None:
        if not as_json and done % _EVERY < projections.BATCH:
            note(f"{done} runs …")

    async def work(core: Core) -> int:
        return await projections.rebuild(core, told)

    runs = work_on(access, work)
    if as_json:
        write_json({"runs": runs})
    else:
        note(f"Search and analytics were made anew from the logs of {runs} runs.")
