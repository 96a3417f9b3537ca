"""GET /catalog: what workers serve, and what it takes."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.catalog import Entry
from perdure.domain.principal import Scope
from perdure.domain.run import Kind
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import array, choice, free_object, integer, members, nullable, text
from perdure.http.operations import Answer, Operation, json_answer
from perdure.http.runs.mapping import iso
from perdure.services import catalog


async def list_catalog(request: Request) -> Response:
    """GET /catalog."""
    await principal_of(request, Scope.RUNS_READ)
    return json_answer({"data": [_view(entry) for entry in await catalog.everything(core_of(request))]})


def _view(entry: Entry) -> dict[str, object]:
    published = entry.published
    schema = published.input_schema
    return {
        "kind": published.kind,
        "name": published.name,
        "description": published.description,
        "version": published.version,
        "input_schema": None if schema is None else msgspec.Raw(schema.encode()),
        "concurrency": published.concurrency,
        "last_seen_at": iso(entry.last_seen_at),
        "workers": [
            {"id": worker.id, "version": worker.version, "heartbeat_at": iso(worker.heartbeat_at)}
            for worker in entry.workers
        ],
    }


_WORKER: Final = members(
    {"id": text(), "version": nullable(text()), "heartbeat_at": text()}, required=("id", "version", "heartbeat_at")
)
_ENTRY: Final = members(
    {
        "kind": choice(*Kind),
        "name": text(),
        "description": nullable(text()),
        "version": nullable(text(description="Of the code of the worker that served it last.")),
        "input_schema": nullable(free_object()),
        "concurrency": nullable(
            integer(1, description="How many of its runs are executed at once, in all projects; null: any number.")
        ),
        "last_seen_at": text(),
        "workers": array(_WORKER, description="Those that serve it now. Without one, runs of it wait."),
    },
    required=("kind", "name", "description", "version", "input_schema", "concurrency", "last_seen_at", "workers"),
)

LIST: Final = Operation(
    method="GET",
    path="/catalog",
    handler=list_catalog,
    tag="catalog",
    summary="List what can be run",
    description=(
        "The agents, workflows, tasks and evals that some worker serves or served, with the JSON Schema that "
        "POST /runs checks an input with (null: any object)."
    ),
    scope=Scope.RUNS_READ,
    answers={200: Answer("What can be run.", members({"data": array(_ENTRY)}, required=("data",)))},
)
