"""Row `open-run`: a long finished run, opened in the dashboard."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.load.browser import missing
from bench.load.opening import OPENING, OpeningParams
from bench.options import RowName
from bench.report import Row, figure
from bench.rows.base import Measured
from bench.spread import Spread, percentile

TARGET_MS = 1_000.0
BATCH = 100
PIECES = 90
"""Pieces of an answer, before the call of a tool that follows it."""


def measure(measured: Measured) -> list[Row]:
    """The row, where there is a browser."""
    lacks = missing()
    if lacks is not None:
        print(f"Row {RowName.OPEN_RUN} is left out: {lacks}.", file=sys.stderr)
        return []
    sizes = measured.sizes
    run_id = _written(measured, sizes.open_events)
    params = OpeningParams(measured.server.target, run_id, sizes.open_events + 1, sizes.rounds, sizes.opens, warm_up=2)
    result, cost = measured.drive(OPENING, params)
    chat = Spread.of([percentile(times, 50) for times in result.chat])
    events = Spread.of([percentile(times, 50) for times in result.events])
    return [
        Row(
            RowName.OPEN_RUN,
            f"a {sizes.open_events:,}-event run opens in the dashboard",
            chat,
            "ms",
            target=f"< {TARGET_MS:,.0f} ms",
            met=max(chat.median, events.median) < TARGET_MS,
            reference=f"{figure(events.median)} ms to the list of its events",
            details="Chromium on the same machine; from the navigation to the end of the chat",
            cost=cost,
        )
    ]


def _written(measured: Measured, count: int) -> str:
    """A finished run of `count` public events, and the one that ends it."""
    log = measured.caller_run("opened")
    path = f"/conversations/{log.conversation_id}/runs/{log.run_id}/events"
    story = _story()
    events = [next(story) for _ in range(count)]
    for first in range(0, count, BATCH):
        measured.server.ask("POST", path, {"events": events[first : first + BATCH]})
    measured.complete(log.run_id)
    return log.run_id


def _story() -> Iterator[dict[str, object]]:
    """What an agent says that answers and calls tools, without an end."""
    turn = 0
    while True:
        turn += 1
        message, call = {"messageId": f"message-{turn}"}, {"toolCallId": f"call-{turn}"}
        yield {"type": "TEXT_MESSAGE_START", **message, "role": "assistant"}
        for piece in range(PIECES):
            end = "\n\n" if piece % 15 == 14 else " "
            yield {"type": "TEXT_MESSAGE_CONTENT", **message, "delta": f"some **words** of an answer {piece}{end}"}
        yield {"type": "TEXT_MESSAGE_END", **message}
        yield {"type": "TOOL_CALL_START", **call, "toolCallName": "look_up"}
        yield {"type": "TOOL_CALL_ARGS", **call, "delta": '{"city": "Lisbon"}'}
        yield {"type": "TOOL_CALL_END", **call}
        yield {"type": "TOOL_CALL_RESULT", **call, "messageId": f"result-{turn}", "content": '{"found": 3}'}
