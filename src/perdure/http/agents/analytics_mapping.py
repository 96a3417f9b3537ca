"""Figures in the words of the dialect (vertesia.md 1.9). What is not known is left out; an average of nothing is 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from perdure.domain.analytics import (
    CallFigures,
    Errors,
    FilterOptions,
    FirstBehavior,
    Measured,
    RunFigures,
    Summary,
    Timing,
    ToolParameters,
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


def tokens(found: Measured[CallFigures]) -> Wire:
    """`/tokens`."""
    return _with_parts(found, _tokens)


def call_latency(found: Measured[CallFigures]) -> Wire:
    """`/latency/llm` and `/latency/tools`."""
    return _with_parts(found, lambda made: _latency(made.timing, made.count, _rate(made.successes, made.count)))


def run_latency(found: Measured[RunFigures]) -> Wire:
    """`/latency/agents`."""
    return _with_parts(
        found, lambda made: _latency(made.timing, made.count, _rate(made.completed, made.count - made.ongoing))
    )


def errors(found: Errors) -> Wire:
    """`/errors`."""
    told = _with_parts(found.calls, _errors)
    whole = _errors(found.calls.whole)
    failed = found.calls.whole.count - found.calls.whole.successes
    return {
        **told,
        "summary": {
            **whole,
            "llmErrorCount": found.model_calls.count - found.model_calls.successes,
            "toolErrorCount": found.tool_calls.count - found.tool_calls.successes,
        },
        "byErrorType": [
            {"errorType": name or "unknown", "count": made.count, "percentage": 100 * _rate(made.count, failed)}
            for name, made in found.by_type
        ],
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
                "duration": _latency(made.timing, made.count, _rate(made.successes, made.count)),
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


def time_to_first_response(found: Measured[RunFigures]) -> Wire:
    """`/time-to-first-response`."""
    return _with_parts(found, lambda made: {**_times(made.first_response), "runCount": made.first_response.count})


def first_response_behavior(found: Measured[FirstBehavior]) -> Wire:
    """`/first-response-behavior`."""
    return _with_parts(
        found,
        lambda made: {
            "totalRuns": made.count,
            "runsWithPlanTool": made.planned,
            "planToolPercentage": 100 * _rate(made.planned, made.count),
            "runsWithNoTools": made.none,
            "noToolsPercentage": 100 * _rate(made.none, made.count),
            "runsWithOtherTools": made.others,
            "otherToolsPercentage": 100 * _rate(made.others, made.count),
        },
    )


def _with_parts(found: Measured[F], shown: Callable[[F], Wire]) -> Wire:
    """The figures of everything and, where they were asked for, of each value of the dimension and each span."""
    parts: dict[str, Sequence[Wire]] = {
        "byDimension": [{"dimension": name or "unknown", **shown(made)} for name, made in found.by_dimension],
        "timeSeries": [{"timestamp": iso(when), **shown(made)} for when, made in found.series],
    }
    return {"summary": shown(found.whole), **{name: part for name, part in parts.items() if part}}


def _tokens(made: CallFigures) -> Wire:
    total = made.input_tokens + made.output_tokens
    return {
        "inputTokens": made.input_tokens,
        "outputTokens": made.output_tokens,
        "totalTokens": total,
        **_known(cachedInputTokens=made.cached_input_tokens, cacheWriteInputTokens=made.cache_write_tokens),
        **({"avgTokensPerCall": total / made.count} if made.count else {}),
    }


def _latency(timing: Timing, count: int, success_rate: float) -> Wire:
    return {**_times(timing), "count": count, "successRate": success_rate}


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
