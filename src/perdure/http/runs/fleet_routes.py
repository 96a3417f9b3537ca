"""GET /workers: who takes runs, and what each holds."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.fleet import FleetWorker, WorkerSort
from perdure.domain.principal import Scope
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import array, choice, integer, members, nullable, text
from perdure.http.operations import Answer, Operation, json_answer
from perdure.http.runs.mapping import iso
from perdure.services import fleet


async def list_workers(request: Request) -> Response:
    """GET /workers."""
    principal = await principal_of(request, Scope.RUNS_READ)
    found = await fleet.workers(core_of(request), principal.project_id, principal.viewer)
    return json_answer({"data": [_view(worker) for worker in found]})


def _view(worker: FleetWorker) -> dict[str, object]:
    return {
        "sort": worker.sort,
        "id": worker.id,
        "name": worker.name,
        "version": worker.version,
        "serves": worker.serves,
        "concurrency": worker.concurrency,
        "started_at": iso(worker.started_at),
        "heartbeat_at": iso(worker.heartbeat_at),
        "holding": worker.holding,
        "leases": [
            {"run_id": lease.run_id, "fence": lease.fence, "expires_at": iso(lease.expires_at)}
            for lease in worker.leases
        ],
    }


_LEASE: Final = members(
    {"run_id": text(), "fence": integer(0), "expires_at": text()}, required=("run_id", "fence", "expires_at")
)
_WORKER: Final = members(
    {
        "sort": choice(*WorkerSort, description="`engine`: serves all projects; `external`: one of the project's."),
        "id": text(),
        "name": nullable(text()),
        "version": nullable(text(description="Of its code.")),
        "serves": array(text(), description="Routes: a kind of run, a colon, a name."),
        "concurrency": nullable(integer(0)),
        "started_at": text(),
        "heartbeat_at": text(description="When it was heard of last."),
        "holding": integer(0, description="Runs that it holds, of all projects."),
        "leases": array(_LEASE, description=f"The newest {fleet.MOST_LEASES} of those of the caller's project."),
    },
    required=(
        "sort", "id", "name", "version", "serves", "concurrency", "started_at", "heartbeat_at", "holding", "leases",
    ),
)  # fmt: skip

LIST: Final = Operation(
    method="GET",
    path="/workers",
    handler=list_workers,
    tag="workers",
    summary="List the workers",
    description="Those that were heard of lately, and what they hold. A worker that stops is forgotten.",
    scope=Scope.RUNS_READ,
    answers={200: Answer("The workers.", members({"data": array(_WORKER)}, required=("data",)))},
    problems=(),
)
