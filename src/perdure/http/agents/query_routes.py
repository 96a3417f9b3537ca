"""Questions to agent runs about themselves (vertesia.md 4.2)."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.agent_message import AGENT_PLAN, AVAILABLE_TOOLS
from perdure.domain.errors import NotFound
from perdure.domain.principal import Scope
from perdure.domain.run import Status
from perdure.domain.stored_run import Run
from perdure.http.agents.mapping import interaction_of
from perdure.http.agents.requests import run_for
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import anything, text
from perdure.http.operations import Answer, Operation, json_answer
from perdure.services import agent_queries
from perdure.services.agent_queries import Workstreams

ACTIVE_WORKSTREAMS: Final = "ActiveWorkstreams"


async def query_agent_run(request: Request) -> Response:
    """GET /api/v1/agents/{run_id}/query/{query_name}: answered from the log, whether or not a worker is alive."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_READ)
    run = await run_for(request, principal)
    name = request.path_params["query_name"]
    if name == ACTIVE_WORKSTREAMS:
        return json_answer(workstreams(await agent_queries.workstreams(core, run.key, principal.viewer)))
    published = None if "\x00" in name else await agent_queries.published(core, run.key, name)
    if published is not None:
        return json_answer(published.value)
    if name == AGENT_PLAN:
        return json_answer({"plan": []})
    if name == AVAILABLE_TOOLS:
        return json_answer([])
    raise NotFound(f"The run answers no query {name[:100]!r}: its agent has published nothing under this name.")


def workstreams(found: Workstreams) -> dict[str, object]:
    """The child runs as the dialect shows them; times are milliseconds."""
    now_ms = int(found.now.timestamp() * 1000)
    return {
        "running": [_running(run, now_ms) for run in found.running],
        "completed": [_ended(run) for run in found.ended],
    }


def _running(run: Run, now_ms: int) -> dict[str, object]:
    return {
        **_named(run),
        "elapsed_ms": max(0, now_ms - _started_ms(run)),
        "deadline_ms": (run.spec.timeout_seconds or 0) * 1000,
        "status": "canceling" if run.cancelling else "running",
    }


def _ended(run: Run) -> dict[str, object]:
    ended_ms = int((run.completed_at or run.updated_at).timestamp() * 1000)
    return {
        **_named(run),
        "status": "canceled" if run.status is Status.CANCELLED else run.status,
        "duration_ms": max(0, ended_ms - _started_ms(run)),
        **({"error": run.error.message} if run.error else {}),
        **({"summary": run.about.topic} if run.about.topic else {}),
    }


def _named(run: Run) -> dict[str, object]:
    """A child is launched as a run: all of its names are the run's."""
    return {
        "launch_id": run.run_id,
        "workstream_id": run.run_id,
        "kind": "agent",
        "interaction": interaction_of(run),
        "started_at": _started_ms(run),
        "child_workflow_id": f"agent:{run.run_id}",
        "child_workflow_run_id": run.run_id,
    }


def _started_ms(run: Run) -> int:
    return int((run.started_at or run.created_at).timestamp() * 1000)


QUERY: Final = Operation(
    method="GET",
    path="/api/v1/agents/{run_id}/query/{query_name}",
    handler=query_agent_run,
    tag="agents",
    summary="Ask an agent run about itself",
    description=(
        "`ActiveWorkstreams` are the run's child runs, `AgentPlan` its plan, `AvailableTools` the tools of its newest "
        "turn; any other name is one that its agent has published a value under."
    ),
    scope=Scope.RUNS_READ,
    path_schemas={"query_name": text(1)},
    answers={200: Answer("The answer: any JSON.", anything())},
)

OPERATIONS: Final = (QUERY,)
