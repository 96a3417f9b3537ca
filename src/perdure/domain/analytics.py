"""Figures of runs and of their calls (vertesia.md 1.9), in words that belong to no dialect. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Generic, TypeVar

F = TypeVar("F")


class Resolution(StrEnum):
    """The length of a span of a time series."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def length(self) -> timedelta:
        """How long one is; of a month the usual length."""
        return _LENGTHS[self]


_LENGTHS: Final = MappingProxyType(
    {
        Resolution.MINUTE: timedelta(minutes=1),
        Resolution.HOUR: timedelta(hours=1),
        Resolution.DAY: timedelta(days=1),
        Resolution.WEEK: timedelta(days=7),
        Resolution.MONTH: timedelta(days=30),
    }
)


def span_end(begin: datetime, resolution: Resolution, step: int) -> datetime:
    """When the span of a time series that begins then is over: `step` minutes, …, or months of the calendar later."""
    if resolution is not Resolution.MONTH:
        return begin + resolution.length * step
    months = begin.year * 12 + begin.month - 1 + step
    return begin.replace(year=months // 12, month=months % 12 + 1)


class Dimension(StrEnum):
    """What figures are told apart by."""

    MODEL = "model"
    ENVIRONMENT = "environment"
    TOOL = "tool"
    TOOL_TYPE = "tool_type"
    AGENT = "agent"
    ERROR_TYPE = "error_type"
    KIND = "kind"
    PRINCIPAL = "principal"


@dataclass(frozen=True, slots=True)
class AnalyticsFilter:
    """What counts; None or empty means any. `success`: of a call, or of a run that has ended."""

    agents: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    tool_types: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    success: bool | None = None


@dataclass(frozen=True, slots=True)
class AnalyticsQuery:
    """A question. `since` is inclusive and `until` exclusive; None: the last 30 days, up to now.

    With a `resolution` there is a time series, each span of it `step` times as long; spans in which nothing happened
    are left out. `limit` is the most values of a dimension, the most frequent ones first.
    """

    since: datetime | None = None
    until: datetime | None = None
    filter: AnalyticsFilter = AnalyticsFilter()
    group_by: Dimension | None = None
    limit: int = 100
    resolution: Resolution | None = None
    step: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things took; `count` of them were timed. None where none was."""

    count: int
    avg_ms: float | None
    min_ms: float | None
    max_ms: float | None
    median_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class CallFigures:
    """Of calls. Token counts that nobody told are None where that can be told from 0."""

    count: int
    successes: int
    timing: Timing
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    avg_input_tokens: float | None
    p95_input_tokens: float | None
    avg_input_bytes: float | None
    avg_output_bytes: float | None
    tool_type: str | None
    models: tuple[str, ...]
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Of runs: how they ended, how long they took, and how long it was until their first word."""

    count: int
    completed: int
    failed: int
    cancelled: int
    non_interactive: int
    timing: Timing
    first_response: Timing

    @property
    def ongoing(self) -> int:
        """How many have not ended."""
        return self.count - self.completed - self.failed - self.cancelled


@dataclass(frozen=True, slots=True)
class FirstBehavior:
    """What runs did in their first turn: called a tool that plans, other tools only, or none."""

    count: int
    planned: int
    others: int

    @property
    def none(self) -> int:
        """How many called no tool."""
        return self.count - self.planned - self.others


@dataclass(frozen=True, slots=True)
class Measured(Generic[F]):
    """Figures of everything, of each value of the dimension (None: it has none), and of each span by its beginning."""

    since: datetime
    until: datetime
    whole: F
    by_dimension: tuple[tuple[str | None, F], ...] = ()
    series: tuple[tuple[datetime, F], ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything at a glance. `nested` are the model calls that tools made."""

    runs: Measured[RunFigures]
    model_calls: CallFigures
    nested: CallFigures
    tool_calls: CallFigures


@dataclass(frozen=True, slots=True)
class Errors:
    """What failed: `calls` are those of models and tools together, by the query's dimension.

    `by_type` counts the calls that failed by the kind of their error.
    """

    calls: Measured[CallFigures]
    model_calls: CallFigures
    tool_calls: CallFigures
    by_type: tuple[tuple[str | None, CallFigures], ...]


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """A value of a tool's parameter and how often it was given."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a tool: how often it was given, how many different values, and the most frequent of them."""

    name: str
    given: int
    different: int
    top: tuple[ParameterValue, ...]


@dataclass(frozen=True, slots=True)
class ToolParameters:
    """The parameters of a tool's calls."""

    calls: int
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """What there is to filter by: agents, pairs of environment and model, and who started runs."""

    agents: tuple[str, ...]
    models: tuple[tuple[str | None, str], ...]
    principals: tuple[str, ...]
