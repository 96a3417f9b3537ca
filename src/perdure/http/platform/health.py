"""Is the process alive, does it do its work, what does it measure: for supervisors, load balancers and Prometheus."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.requests import Request

from perdure.domain.errors import Unavailable
from perdure.http.context import core_of
from perdure.http.deps import health_of
from perdure.services import queue

router = APIRouter(tags=["health"])

_MEASURE_SECONDS = 2.0


class AliveOut(BaseModel):
    """The answer of /livez."""

    status: Literal["alive"]


class CheckOut(BaseModel):
    """One thing that must be well."""

    name: str
    ok: bool
    detail: str


class ReadyOut(BaseModel):
    """The answer of /readyz."""

    status: Literal["ready", "not_ready"]
    checks: list[CheckOut]


@router.get("/livez", summary="Does the process answer at all?")
async def livez() -> AliveOut:
    """It does, or there is no answer. It looks at nothing else: restarting us does not heal a database."""
    return AliveOut(status="alive")


@router.get(
    "/readyz",
    summary="Are runs accepted and executed?",
    responses={503: {"model": ReadyOut, "description": "Something is amiss; the checks say what."}},
)
async def readyz(request: Request, response: Response) -> ReadyOut:
    """200 when the database answers, its schema is new enough, the event loop is not late, and, where this process
    executes runs, its worker does."""
    checks = await health_of(request).checks()
    ready = all(check.ok for check in checks)
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return ReadyOut(
        status="ready" if ready else "not_ready",
        checks=[CheckOut(name=check.name, ok=check.ok, detail=check.detail) for check in checks],
    )


@router.get(
    "/metrics",
    summary="Metrics for Prometheus.",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """What this process measures, and the queue as the database shows it (as it was, when the database is away)."""
    core = core_of(request)
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(_MEASURE_SECONDS):
            await queue.measure(core)
    return Response(core.metrics.render(), headers={"Content-Type": core.metrics.content_type})
