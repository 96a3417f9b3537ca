"""Take in telemetry of runs that are executed elsewhere (vertesia.md 1.3, 1.5)."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.agent_event import parse_events
from perdure.domain.principal import Scope
from perdure.http.agents.requests import body_of, run_of
from perdure.http.agents.run_routes import PATH, TAG
from perdure.http.context import core_of
from perdure.http.json_schema import JsonSchema, array, free_object, integer, members, text
from perdure.http.operations import Answer, Body, Operation, json_answer
from perdure.http.schema_check import SchemaCheck
from perdure.services import telling

MAX_EVENTS: Final = 1_000


def _body_schema() -> JsonSchema:
    event = free_object("One of agent_run_started, agent_run_completed, llm_call and tool_call, by `eventType`.")
    return members({"events": array(event, max_items=MAX_EVENTS)}, required=("events",), title="AgentEvents")


_BODY: Final = _body_schema()
_CHECK: Final = SchemaCheck(_BODY)


async def ingest_agent_events(request: Request) -> Response:
    """POST /api/v1/agents/{run_id}/events."""
    run = await run_of(request, Scope.RUNS_WRITE)
    body = await body_of(request, _CHECK, _BODY["properties"])
    ingested = await telling.ingest(core_of(request), run.key, parse_events(body["events"]))
    return json_answer({"ingested": ingested, "status": "ok"})


INGEST: Final = Operation(
    method="POST",
    path=f"{PATH}/{{run_id}}/events",
    handler=ingest_agent_events,
    tag=TAG,
    summary="Tell of a run's model and tool calls",
    description="Each event counts once, however often it is sent; a tool call in the run's log counts as told here.",
    scope=Scope.RUNS_WRITE,
    body=Body(_BODY),
    answers={
        200: Answer(
            "How many events there were.",
            members({"ingested": integer(0), "status": text(), "error": text()}, required=("ingested",)),
        )
    },
    problems=(404, 413),
)

OPERATIONS: Final = (INGEST,)
