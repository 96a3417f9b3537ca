"""The agents of the browser's tests. They wait for files, so that a test decides when they go on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ag_ui.core import BaseEvent, TextMessageContentEvent, TextMessageEndEvent, TextMessageStartEvent

from perdure import App
from perdure.agents import RunContext

FOLDER = Path(os.environ["PERDURE_TEST_FOLDER"])

app = App()


@app.agent("gated")
async def gated(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Says one word, waits for a file with the run's id as its name, and says another."""
    name = f"{run.run_id}-{run.attempt}"
    yield TextMessageStartEvent(message_id=name, role="assistant")
    yield TextMessageContentEvent(message_id=name, delta="before ")
    while not (FOLDER / run.run_id).exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)
    yield TextMessageContentEvent(message_id=name, delta="after")
    yield TextMessageEndEvent(message_id=name)
