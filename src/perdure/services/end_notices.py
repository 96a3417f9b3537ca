"""Tell the URLs that a run's creation named that the run has ended (vertesia.md section 6, `notify_endpoints`).

The process that ends a run tells of it, so nobody else does. What it had not told when it dies is not told: whoever
must know reads the run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from perdure.domain.errors import EgressRefused
from perdure.domain.ids import RunKey
from perdure.domain.push_service import backoff_ms
from perdure.domain.stored_run import Run
from perdure.services.core import Core
from perdure.services.egress import call
from perdure.store import agent_runs, runs
from perdure.telemetry import LogLine, get_logger

TRIES: Final = 5
_RETRIED: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Notice:
    """A URL, and what it is told."""

    run_id: str
    url: str
    body: bytes


async def notices(core: Core, ended: Sequence[RunKey]) -> list[Notice]:
    """Whom to tell of the ends of runs; nobody for one that goes on again, or that is gone."""
    keys = await agent_runs.with_notices(core.database, ended)
    found = (await runs.get_many(core.database, keys)).values() if keys else ()
    return [notice for run in found if run.status.terminal for notice in _notices(run)]


def _notices(run: Run) -> list[Notice]:
    urls = (run.spec.agent_run or {}).get("notify_endpoints")
    body = _body(run)
    return [Notice(run.run_id, url, body) for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


async def tell(core: Core, client: httpx.AsyncClient, notice: Notice) -> bool:
    """Tell a URL, in at most TRIES requests with growing pauses; whether it has taken it."""
    reason = ""
    for tries in range(1, TRIES + 1):
        try:
            reply = await call(
                client, "POST", notice.url, headers={"content-type": "application/json"}, content=notice.body
            )
        except EgressRefused as error:
            reason = error.detail
            break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
        else:
            if reply.status < 300:
                return True
            reason = f"it answered {reply.status}"
            if reply.status < 500 and reply.status not in _RETRIED:
                break
        if tries < TRIES:
            await asyncio.sleep(backoff_ms(tries, random.random()) / 1000)
    get_logger().warning(LogLine.NOTICE_FAILED, run_id=notice.run_id, host=urlsplit(notice.url).hostname, reason=reason)
    return False


def _body(run: Run) -> bytes:
    result: object = None if run.output is None else msgspec.Raw(run.output.encode())
    if run.error is not None:
        result = {"error": run.error.message}
    return msgspec.json.encode(
        {"workflowId": f"agent:{run.run_id}", "runId": run.run_id, "status": run.status, "result": result}
    )
