"""The 14 questions of vertesia.md 1.9, answered from what the logs know and what programs told of their runs.

Each takes a project and who asks: others' private runs never count. They raise InvalidRequest for a time series of more
than MOST_SPANS spans, or a range that ends before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from perdure.domain.analytics import (
    AnalyticsQuery,
    CallFigures,
    Dimension,
    Errors,
    FilterOptions,
    FirstBehavior,
    Measured,
    RunFigures,
    Summary,
    ToolParameters,
)
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import ProjectId
from perdure.domain.stored_run import Viewer
from perdure.services.core import Core
from perdure.store import analytics as store
from perdure.store.analytics import Scope
from perdure.store.runs import at

MOST_SPANS = 50_000
MAX_LIMIT = 1_000
DEFAULT_RANGE = timedelta(days=30)

_MODEL = ("llm",)
_TOOL = ("tool",)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what."""

    project_id: ProjectId
    viewer: Viewer
    query: AnalyticsQuery = field(default_factory=AnalyticsQuery)


async def summary(core: Core, asked: Asked) -> Summary:
    """Everything at a glance."""
    scope = _scope(core, asked)
    nested = await store.measure_calls(core.database, scope, _MODEL, None, nested=True)
    return Summary(
        runs=await store.measure_runs(core.database, scope, None),
        model_calls=await _whole(core, scope, _MODEL),
        nested=nested.whole,
        tool_calls=await _whole(core, scope, _TOOL),
    )


async def tokens(core: Core, asked: Asked) -> Measured[CallFigures]:
    """What model calls cost in tokens."""
    return await store.measure_calls(core.database, _scope(core, asked), _MODEL, asked.query.group_by)


async def model_latency(core: Core, asked: Asked) -> Measured[CallFigures]:
    """How long model calls took."""
    return await store.measure_calls(core.database, _scope(core, asked), _MODEL, asked.query.group_by)


async def tool_latency(core: Core, asked: Asked) -> Measured[CallFigures]:
    """How long tool calls took."""
    return await store.measure_calls(core.database, _scope(core, asked), _TOOL, asked.query.group_by)


async def agent_latency(core: Core, asked: Asked) -> Measured[RunFigures]:
    """How long runs took, from their start to their end; told apart by agent unless asked otherwise."""
    return await store.measure_runs(core.database, _scope(core, asked), asked.query.group_by or Dimension.AGENT)


async def errors(core: Core, asked: Asked) -> Errors:
    """What failed."""
    scope = _scope(core, asked)
    failed = replace(scope, filter=replace(scope.filter, success=False))
    by_type = await store.measure_calls(core.database, failed, (*_MODEL, *_TOOL), Dimension.ERROR_TYPE)
    return Errors(
        calls=await store.measure_calls(core.database, scope, (*_MODEL, *_TOOL), asked.query.group_by),
        model_calls=await _whole(core, scope, _MODEL),
        tool_calls=await _whole(core, scope, _TOOL),
        by_type=by_type.by_dimension,
    )


async def tools(core: Core, asked: Asked) -> Measured[CallFigures]:
    """The tools that were called, most often called first."""
    return await store.measure_calls(core.database, _scope(core, asked), _TOOL, Dimension.TOOL)


async def tool_parameters(core: Core, asked: Asked, tool: str) -> ToolParameters:
    """What a tool was called with: of each parameter its most frequent short values."""
    scope = _scope(core, asked)
    named = replace(scope, filter=replace(scope.filter, tools=(tool,)))
    calls = await _whole(core, named, _TOOL)
    return ToolParameters(calls.count, await store.tool_parameters(core.database, scope, tool))


async def filter_options(core: Core, asked: Asked) -> FilterOptions:
    """What there is to filter by."""
    return await store.filter_options(core.database, _scope(core, asked))


async def prompt_size(core: Core, asked: Asked) -> Measured[CallFigures]:
    """How large the first prompts of runs are, by agent."""
    scope = _scope(core, asked)
    return await store.measure_calls(core.database, scope, _MODEL, Dimension.AGENT, call_types=("start",))


async def top_principals(core: Core, asked: Asked) -> Measured[RunFigures]:
    """Who started the most runs."""
    return await store.measure_runs(core.database, _scope(core, asked), Dimension.PRINCIPAL)


async def runs_by_agent(core: Core, asked: Asked) -> Measured[RunFigures]:
    """Which agents ran most often."""
    return await store.measure_runs(core.database, _scope(core, asked), Dimension.AGENT)


async def time_to_first_response(core: Core, asked: Asked) -> Measured[RunFigures]:
    """How long it was from the start of runs to the first word of their agents (`first_response`)."""
    return await store.measure_runs(core.database, _scope(core, asked), None)


async def first_response_behavior(core: Core, asked: Asked) -> Measured[FirstBehavior]:
    """What agents do first. Runs that neither said anything nor called a tool do not count."""
    return await store.first_behavior(core.database, _scope(core, asked))


async def _whole(core: Core, scope: Scope, kinds: Sequence[str]) -> CallFigures:
    return (await store.measure_calls(core.database, scope, kinds, None)).whole


def _scope(core: Core, asked: Asked) -> Scope:
    query = asked.query
    until = query.until or at(core.clock() + 1)
    since = query.since or until - DEFAULT_RANGE
    if since > until:
        raise InvalidRequest("`from` must not come after `to`.")
    scope = Scope(
        asked.project_id, asked.viewer, since, until, query.filter, max(0, min(query.limit, MAX_LIMIT)),
        query.resolution, max(1, query.step),
    )  # fmt: skip
    if query.resolution is not None and (until - since) / scope.span > MOST_SPANS:
        raise InvalidRequest(f"That is a time series of more than {MOST_SPANS} spans: shorten it, or take longer ones.")
    return scope
