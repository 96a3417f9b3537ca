"""Figures in the words of the dialect (vertesia.md 1.9). What is not known is left out; an average of nothing is 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from perdure.domain.analytics import (
    AnalyticsQuery,
    CallFigures,
    Errors,
    FilterOptions,
    FirstBehavior,
    Measured,
    RunFigures,
    Summary,
    Timing,
    ToolParameters,
    span_end,
)
from perdure.http.agents.mapping import iso, starter

Wire = dict[str, object]
F = TypeVar("F")


def summary(found: Summary) -> Wire:
    """`/summary`."""
    runs = found.runs.whole
    return {
        "summary": {
            "timeRange": {"from": iso(found.runs.since), "to": iso(found.runs.until)},
            "totalRuns": runs.count,
            "successfulRuns": runs.completed,
            "failedRuns": runs.failed + runs.cancelled,
            "ongoingRuns": runs.ongoing,
            "successRate": _rate(runs.completed, runs.count - runs.ongoing),
            "tokenUsage": _tokens(found.model_calls),
            "nestedInteractionTokens": _tokens(found.nested),
            "avgRunDurationMs": runs.timing.avg_ms or 0,
            "p95RunDurationMs": runs.timing.p95_ms or 0,
            "nonInteractiveRunCount": runs.non_interactive,
            "totalLlmCalls": found.model_calls.count,
            "totalToolCalls": found.tool_calls.count,
            "uniqueModels": found.model_calls.models,
            "uniqueTools": found.tool_calls.tools,
        }
    }


def tokens(found: Measured[CallFigures], query: AnalyticsQuery) -> Wire:
    """`/tokens`."""
    total = found.whole.input_tokens + found.whole.output_tokens

    def part(made: CallFigures) -> Wire:
        return {"usage": _tokens(made), "callCount": made.count}

    def share(made: CallFigures) -> Wire:
        return {**part(made), "percentageOfTotal": 100 * _rate(made.input_tokens + made.output_tokens, total)}

    return {"summary": _tokens(found.whole), **_by_dimension(found, share), **_series(found, query, part)}


def call_latency(found: Measured[CallFigures], query: AnalyticsQuery) -> Wire:
    """`/latency/llm` and `/latency/tools`."""

    def counts(made: CallFigures) -> Wire:
        return {"count": made.count, "successRate": _rate(made.successes, made.count)}

    return _latency(found, query, lambda made: made.timing, counts)


def run_latency(found: Measured[RunFigures], query: AnalyticsQuery) -> Wire:
    """`/latency/agents`."""

    def counts(made: RunFigures) -> Wire:
        return {"count": made.count, "successRate": _rate(made.completed, made.count - made.ongoing)}

    return _latency(found, query, lambda made: made.timing, counts)


def errors(found: Errors, query: AnalyticsQuery) -> Wire:
    """`/errors`."""
    failed = found.calls.whole.count - found.calls.whole.successes
    by_type = [
        {"errorType": name or "unknown", "count": made.count, "percentageOfErrors": 100 * _rate(made.count, failed)}
        for name, made in found.by_type
    ]

    def part(made: CallFigures) -> Wire:
        return {"metrics": _errors(made)}

    return {
        "summary": {
            **_errors(found.calls.whole),
            "llmErrorCount": found.model_calls.count - found.model_calls.successes,
            "toolErrorCount": found.tool_calls.count - found.tool_calls.successes,
        },
        "byErrorType": by_type,
        **_by_dimension(found.calls, part),
        **_series(found.calls, query, part),
    }


def tools(found: Measured[CallFigures]) -> Wire:
    """`/tools`."""
    return {
        "tools": [
            {
                "toolName": name or "",
                "toolType": made.tool_type or "builtin",
                "invocationCount": made.count,
                "successRate": _rate(made.successes, made.count),
                "duration": _times(made.timing),
                **_known(avgInputSizeBytes=made.avg_input_bytes, avgOutputSizeBytes=made.avg_output_bytes),
            }
            for name, made in found.by_dimension
        ],
        "totalInvocations": found.whole.count,
    }


def tool_parameters(name: str, found: ToolParameters) -> Wire:
    """`/tools/parameters`."""
    parameters = {
        parameter.name: {
            "topValues": [
                {
                    "parameterName": parameter.name,
                    "value": value.value,
                    "count": value.count,
                    "percentage": 100 * _rate(value.count, parameter.given),
                }
                for value in parameter.top
            ],
            "uniqueValueCount": parameter.different,
        }
        for parameter in found.parameters
    }
    return {"analytics": {"toolName": name, "totalInvocations": found.calls, "parameters": parameters}}


def filter_options(found: FilterOptions) -> Wire:
    """`/filter-options`."""
    return {
        "agents": [{"id": name, "name": name, "status": "code"} for name in found.agents],
        "environmentModels": [
            {"environmentId": place or "", "environmentName": place or "", "modelId": model, "modelName": model}
            for place, model in found.models
        ],
        "principals": [{"id": starter(who), "type": _type(who), "name": who} for who in found.principals],
    }


def prompt_size(found: Measured[CallFigures]) -> Wire:
    """`/prompt-size`."""
    return {
        "summary": {
            "avgPromptTokens": found.whole.avg_input_tokens or 0,
            "p95PromptTokens": found.whole.p95_input_tokens or 0,
            "totalStartCalls": found.whole.count,
        },
        "byAgent": [
            {
                "agentId": name or "",
                "agentName": name or "",
                "avgPromptTokens": made.avg_input_tokens or 0,
                "startCallCount": made.count,
            }
            for name, made in found.by_dimension
        ],
    }


def top_principals(found: Measured[RunFigures]) -> Wire:
    """`/top-principals`."""
    principals = [
        {"principalId": starter(who), "principalType": _type(who), "displayName": who or "", "runCount": made.count}
        for who, made in found.by_dimension
    ]
    return {"principals": principals, "totalRuns": found.whole.count}


def runs_by_agent(found: Measured[RunFigures]) -> Wire:
    """`/runs-by-agent`."""
    total = found.whole.count
    agents = [
        {
            "agentId": name or "",
            "agentName": name or "",
            "runCount": made.count,
            "percentage": 100 * _rate(made.count, total),
        }
        for name, made in found.by_dimension
    ]
    return {"agents": agents, "totalRuns": total}


def time_to_first_response(found: Measured[RunFigures], query: AnalyticsQuery) -> Wire:
    """`/time-to-first-response`."""
    first = found.whole.first_response

    def point(made: RunFigures) -> Wire:
        return {"avgMs": made.first_response.avg_ms or 0, "count": made.first_response.count}

    return {"summary": {**_times(first), "runCount": first.count}, **_series(found, query, point)}


def first_response_behavior(found: Measured[FirstBehavior], query: AnalyticsQuery) -> Wire:
    """`/first-response-behavior`."""
    made = found.whole

    def point(made: FirstBehavior) -> Wire:
        return {"totalRuns": made.count, "runsWithPlanTool": made.planned, "runsWithNoTools": made.none}

    return {
        "summary": {
            **point(made),
            "planToolPercentage": 100 * _rate(made.planned, made.count),
            "noToolsPercentage": 100 * _rate(made.none, made.count),
            "runsWithOtherTools": made.others,
            "otherToolsPercentage": 100 * _rate(made.others, made.count),
        },
        **_series(found, query, point),
    }


def _by_dimension(found: Measured[F], shown: Callable[[F], Wire]) -> Wire:
    """The figures of each value of the dimension, where one was asked for."""
    parts = [{"dimension": name or "unknown", **shown(made)} for name, made in found.by_dimension]
    return {"byDimension": parts} if parts else {}


def _series(found: Measured[F], query: AnalyticsQuery, shown: Callable[[F], Wire]) -> Wire:
    """The figures of each span of time in which something happened, where a series was asked for."""
    if query.resolution is None:
        return {}
    resolution, step = query.resolution, query.step
    return {
        "timeSeries": [
            {"timestamp": iso(begin), "timestampEnd": iso(span_end(begin, resolution, step)), **shown(made)}
            for begin, made in found.series
        ]
    }


def _latency(
    found: Measured[F], query: AnalyticsQuery, timing: Callable[[F], Timing], counts: Callable[[F], Wire]
) -> Wire:
    def part(made: F) -> Wire:
        return {"duration": _times(timing(made)), **counts(made)}

    return {
        "summary": {**_times(timing(found.whole)), **counts(found.whole)},
        **_by_dimension(found, part),
        **_series(found, query, part),
    }


def _tokens(made: CallFigures) -> Wire:
    total = made.input_tokens + made.output_tokens
    return {
        "inputTokens": made.input_tokens,
        "outputTokens": made.output_tokens,
        "totalTokens": total,
        **_known(cachedInputTokens=made.cached_input_tokens, cacheWriteInputTokens=made.cache_write_tokens),
        **({"avgTokensPerCall": total / made.count} if made.count else {}),
    }


def _times(timing: Timing) -> Wire:
    return {
        "avgMs": timing.avg_ms or 0,
        "minMs": timing.min_ms or 0,
        "maxMs": timing.max_ms or 0,
        "medianMs": timing.median_ms or 0,
        "p95Ms": timing.p95_ms or 0,
        "p99Ms": timing.p99_ms or 0,
    }


def _errors(made: CallFigures) -> Wire:
    failed = made.count - made.successes
    return {
        "totalCount": made.count,
        "successCount": made.successes,
        "errorCount": failed,
        "errorRate": _rate(failed, made.count),
    }


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _known(**values: float | None) -> Wire:
    return {name: value for name, value in values.items() if value is not None}


def _type(who: str | None) -> str:
    return starter(who).partition(":")[0]
