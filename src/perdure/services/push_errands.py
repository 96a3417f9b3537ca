"""Tell push services of cancels and of tool results for the runs that they hold (veryfront.md 1.8).

What is to be told is written down together with the move that it is about (the trigger of migration 0005), so that it
survives every crash. It is tried a bounded number of times. Our own state never waits for it: a cancel stands after the
grace period whatever the service does, and a run whose service cannot be told an answer, or has forgotten the run, is
sent anew.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec

from perdure.domain.errors import EgressRefused, InvalidRequest, RunNotFound
from perdure.domain.event import TOOL_CALL_RESULT
from perdure.domain.json_text import decode
from perdure.domain.lease import Held
from perdure.domain.push_service import DueErrand, Errand, backoff_ms
from perdure.domain.run import Cancel
from perdure.domain.stored_run import Run
from perdure.services import lifecycle, push_dispatch
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.egress import CALL_SECONDS, Reply, call
from perdure.store import push_services as store
from perdure.store import run_events
from perdure.store.runs import at
from perdure.telemetry import LogLine, get_logger

TRIES: Final = 6
"""How often a service is told; with the pauses between, about a minute."""

_TAKEN_SECONDS: Final = 2 * CALL_SECONDS
_GONE: Final = frozenset({404, 410})
_RETRIED: Final = frozenset({408, 409, 425, 429})
"""409: the service is not waiting for the result yet, though the run is parked already."""


class Outcome(StrEnum):
    """What came of telling a service."""

    DONE = "done"
    GONE = "gone"
    AGAIN = "again"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class _Told:
    outcome: Outcome
    said: str = ""


async def due(core: Core, limit: int, full: Sequence[UUID]) -> list[DueErrand]:
    """What is to be told now, to none of the services that are told enough already; nobody else gets it for a while."""
    now = at(core.clock())
    return await store.take_errands(core.database, now, now + timedelta(seconds=_TAKEN_SECONDS), limit, full)


async def run_errand(core: Core, client: httpx.AsyncClient, errand: DueErrand) -> None:
    """Tell a service, and see to what its answer means. Raises Unavailable."""
    try:
        run = await run_service.get(core, errand.key)
    except RunNotFound:
        return
    told = await (_cancel if errand.errand is Errand.CANCEL else _resume)(core, client, errand, run)
    if told.outcome is Outcome.AGAIN and errand.tries < TRIES:
        pause = timedelta(milliseconds=backoff_ms(errand.tries, random.random()))
        await store.retry_errand(core.database, errand, at(core.clock()) + pause)
        return
    if told.outcome is Outcome.GONE or (told.outcome is Outcome.AGAIN and errand.errand is Errand.RESUME):
        await _without_service(core, errand, run)
    if told.outcome is not Outcome.DONE:
        get_logger().warning(
            LogLine.PUSH_UNTOLD, run_id=run.run_id, errand=errand.errand, tries=errand.tries, reason=told.said
        )
    await store.errand_done(core.database, errand, run.latest_event_id)


async def _cancel(core: Core, client: httpx.AsyncClient, errand: DueErrand, run: Run) -> _Told:
    told = await _tell(core, client, errand, run, "DELETE", "", None)
    # 204: it has no such run (any more), so nobody is there to end it.
    return _Told(Outcome.GONE, "it does not have the run") if told.said == "204" else told


async def _resume(core: Core, client: httpx.AsyncClient, errand: DueErrand, run: Run) -> _Told:
    for answer in await _answers(core, run, errand.told_event_id or 0):
        told = await _tell(core, client, errand, run, "POST", "/resume", answer)
        if told.outcome is not Outcome.DONE:
            return told
    return _Told(Outcome.DONE)


async def _without_service(core: Core, errand: DueErrand, run: Run) -> None:
    """The service has no such run: a cancel ends it now, and one that was answered is sent anew."""
    if errand.errand is Errand.CANCEL:
        await lifecycle.apply(core, run.key, Cancel("The run was cancelled.", force=True))
    else:
        await lifecycle.give_back(core, Held(run.key, run.fence), "session_lost")


async def _answers(core: Core, run: Run, after: int) -> list[dict[str, Any]]:
    """The tool results that the server wrote after an event, as a service is told them.

    A result stands in the log as text; one that is JSON of an object or a list is told as that.
    """
    found: list[dict[str, Any]] = []
    while rows := await run_events.read(core.database, run.key, after):
        for row in rows:
            if row.first_external_sequence is None and TOOL_CALL_RESULT in row.types:
                found.extend(_answer(line) for kind, line in zip(row.types, row.lines(), strict=True)
                             if kind == TOOL_CALL_RESULT)  # fmt: skip
        after = rows[-1].last_event_id
    return found


def _answer(line: str) -> dict[str, Any]:
    event = msgspec.json.decode(line)
    return {
        "type": "tool_result",
        "toolCallId": event["toolCallId"],
        "result": _value(event["content"]),
        "isError": bool(event.get("isError")),
    }


def _value(content: str) -> object:
    if not content.startswith(("{", "[")):
        return content
    try:
        return decode(content)
    except InvalidRequest:
        return content


async def _tell(
    core: Core,
    client: httpx.AsyncClient,
    errand: DueErrand,
    run: Run,
    method: str,
    below: str,
    body: dict[str, Any] | None,
) -> _Told:
    url = f"{errand.invoke_url.rstrip('/')}/{run.run_id}{below}"
    headers = await push_dispatch.headers_for(core, run)
    content = None if body is None else msgspec.json.encode(body)
    try:
        reply = await call(client, method, url, headers=headers, content=content)
    except EgressRefused as refused:
        return _Told(Outcome.REFUSED, refused.detail)
    except httpx.HTTPError as error:
        return _Told(Outcome.AGAIN, type(error).__name__)
    return _outcome(reply)


def _outcome(reply: Reply) -> _Told:
    said = " ".join(filter(None, (str(reply.status), push_dispatch.error_code(reply))))
    if 200 <= reply.status < 300:
        return _Told(Outcome.DONE, said)
    if reply.status in _GONE:
        return _Told(Outcome.GONE, said)
    return _Told(Outcome.AGAIN if reply.status in _RETRIED or reply.status >= 500 else Outcome.REFUSED, said)
