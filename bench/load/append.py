"""Appends over HTTP: many connections, each to a run of its own, each with the next append as soon as one is answered.

Each append names the cursor that the writer expects, as the protocol's clients do.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from time import perf_counter

import msgspec

from bench.load.scenario import Begin, Scenario
from bench.load.wire import Exchange, LoadError, Target, connect, post_head


class Log(msgspec.Struct, frozen=True):
    """A run that is appended to, and where its log stands."""

    conversation_id: str
    run_id: str
    sequence: int


class AppendParams(msgspec.Struct, frozen=True):
    """`batch`: events of one append; times in seconds."""

    target: Target
    logs: list[Log]
    batch: int
    warm_up: float
    seconds: float


class AppendResult(msgspec.Struct, frozen=True):
    """Appends and events of the measured time, the time (s), the appends' latencies (ms), where each log stands."""

    appends: int
    events: int
    seconds: float
    p50: float
    p99: float
    sequences: list[int]


def event(number: int) -> dict[str, object]:
    """An event of the usual size."""
    return {
        "type": "TEXT_MESSAGE_CONTENT",
        "messageId": "message-1",
        "contentId": "content-1",
        "delta": f"some words of an answer {number}",
    }


class _Writer(Exchange):
    """Appends until told to stop."""

    def __init__(self, params: AppendParams, log: Log) -> None:
        super().__init__()
        path = f"/conversations/{log.conversation_id}/runs/{log.run_id}/events"
        events = json.dumps([event(number) for number in range(params.batch)], separators=(",", ":"))
        self._head = post_head(params.target, path)
        self._body = f'{{"events":{events},"expected_previous_external_event_sequence":'.encode()
        self._batch = params.batch
        self._sent_at = 0.0
        self.sequence = log.sequence
        self.latencies: list[float] = []
        self.stopping = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self) -> None:
        """Send the next append."""
        body = b"%b%d}" % (self._body, self.sequence)
        self._sent_at = perf_counter()
        self.transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def answered(self, status: int, body: bytes) -> None:
        """Count it and go on."""
        if status != 200:
            self.lost(LoadError(f"The server answered an append with {status}: {body[:500]!r}"))
            return
        self.latencies.append(perf_counter() - self._sent_at)
        self.sequence += self._batch
        if self.stopping:
            self._finish()
        else:
            self.send()

    def lost(self, error: LoadError) -> None:
        """Give up."""
        if not self.done.done():
            self.done.set_exception(error)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _measure(params: AppendParams, begin: Begin) -> AppendResult:
    writers = [await connect(params.target, partial(_Writer, params, log)) for log in params.logs]
    for writer in writers:
        writer.send()
    everybody = asyncio.gather(*(writer.done for writer in writers))
    await _pause(everybody, params.warm_up)
    for writer in writers:
        writer.latencies.clear()
    begin()
    began = perf_counter()
    await _pause(everybody, params.seconds)
    seconds = perf_counter() - began
    latencies = sorted(latency for writer in writers for latency in writer.latencies)
    for writer in writers:
        writer.stopping = True
    await asyncio.wait_for(everybody, 30)
    if not latencies:
        raise LoadError("No append was answered in the measured time.")
    return AppendResult(
        appends=len(latencies),
        events=len(latencies) * params.batch,
        seconds=seconds,
        p50=latencies[len(latencies) // 2] * 1000,
        p99=latencies[len(latencies) * 99 // 100] * 1000,
        sequences=[writer.sequence for writer in writers],
    )


async def _pause(everybody: asyncio.Future[list[None]], seconds: float) -> None:
    """Let them work for a while; the first that fails ends it."""
    done, _ = await asyncio.wait({everybody}, timeout=seconds)
    for one in done:
        one.result()


APPEND = Scenario("append", AppendParams, AppendResult, _measure)
