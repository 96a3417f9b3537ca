"""Figures of runs and calls, as PostgreSQL computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

from perdure.domain.analytics import (
    AnalyticsFilter,
    CallFigures,
    Dimension,
    FilterOptions,
    FirstBehavior,
    Measured,
    Parameter,
    ParameterValue,
    Resolution,
    RunFigures,
    Timing,
)
from perdure.domain.ids import ProjectId
from perdure.domain.stored_run import Viewer
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("analytics")
_MOST_OPTIONS: Final = 1_000
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose runs count, and when: `since` inclusive, `until` exclusive."""

    project_id: ProjectId
    viewer: Viewer
    since: datetime
    until: datetime
    filter: AnalyticsFilter
    limit: int
    resolution: Resolution | None = None
    step: int = 1

    @property
    def span(self) -> timedelta:
        """The (least) length of a span of the time series; without one, any length will do."""
        return timedelta(days=1) if self.resolution is None else self.resolution.length * self.step

    def range(self) -> list[object]:
        """Project, times, and whose private runs count (None: everybody's)."""
        return [self.project_id, self.since, self.until, None if self.viewer.sees_all else self.viewer.subject]

    def who(self) -> list[object]:
        """The filters on runs."""
        return [_any(self.filter.agents), _any(self.filter.run_ids), _any(self.filter.principals)]

    def what(self) -> list[object]:
        """The filters on calls."""
        wanted = self.filter
        return [
            _any(wanted.models), _any(wanted.environments), _any(wanted.tools), _any(wanted.tool_types), wanted.success
        ]  # fmt: skip

    def spans(self) -> list[object]:
        """The length of a span: an interval, and for months how many."""
        return [self.span, self.step if self.resolution is Resolution.MONTH else None]


async def measure_calls(
    database: Database,
    scope: Scope,
    kinds: Sequence[str],
    dimension: Dimension | None,
    *,
    call_types: Sequence[str] = (),
    nested: bool | None = None,
) -> Measured[CallFigures]:
    """Figures of the calls of these kinds."""
    values = [
        *scope.range(),
        *scope.who(),
        *scope.what(),
        list(kinds),
        _any(call_types),
        nested,
        dimension,
        *scope.spans(),
    ]
    rows = await database.fetch_planned_anew(_SQL["measure_calls"], values)
    return _measured(scope, rows, dimension, _call_figures)


async def measure_runs(database: Database, scope: Scope, dimension: Dimension | None) -> Measured[RunFigures]:
    """Figures of the runs that were created in the scope's time."""
    values = [*scope.range(), *scope.who(), *scope.what(), dimension, *scope.spans()]
    rows = await database.fetch_planned_anew(_SQL["measure_runs"], values)
    return _measured(scope, rows, dimension, _run_figures)


async def first_behavior(database: Database, scope: Scope) -> Measured[FirstBehavior]:
    """What runs did first."""
    values = [*scope.range(), *scope.who(), *scope.spans()]
    rows = await database.fetch_planned_anew(_SQL["first_behavior"], values)
    return _measured(scope, rows, None, lambda row: FirstBehavior(row["count"], row["planned"], row["others"]))


async def tool_parameters(database: Database, scope: Scope, tool: str) -> tuple[Parameter, ...]:
    """The parameters of a tool's calls, and the most frequent values of each."""
    rows = await database.fetch_planned_anew(
        _SQL["tool_parameters"], [*scope.range(), *scope.who(), tool, max(1, scope.limit)]
    )
    found = []
    for name, group in groupby(rows, key=lambda row: str(row["name"])):
        values = list(group)
        top = tuple(ParameterValue(row["value"], row["count"]) for row in values)
        found.append(Parameter(name, values[0]["given"], values[0]["different"], top))
    return tuple(found)


async def filter_options(database: Database, scope: Scope) -> FilterOptions:
    """What there is to filter by."""
    values = [*scope.range(), _MOST_OPTIONS]
    agents = await database.fetch_planned_anew(_SQL["analytics_agents"], values)
    models = await database.fetch_planned_anew(_SQL["analytics_models"], values)
    principals = await database.fetch_planned_anew(_SQL["analytics_principals"], values)
    return FilterOptions(
        agents=tuple(row[0] for row in agents),
        models=tuple((row[0], row[1]) for row in models),
        principals=tuple(row[0] for row in principals),
    )


def _measured(
    scope: Scope, rows: Sequence[asyncpg.Record], dimension: Dimension | None, made: Callable[[asyncpg.Record], F]
) -> Measured[F]:
    [whole] = [made(row) for row in rows if row["level"] == "all"]
    told = [(row["dimension"], made(row)) for row in rows if row["level"] == "dimension"] if dimension else []
    series = [(row["span"], made(row)) for row in rows if row["level"] == "span"] if scope.resolution else []
    return Measured(scope.since, scope.until, whole, tuple(told[: scope.limit]), tuple(series))


def _call_figures(row: asyncpg.Record) -> CallFigures:
    return CallFigures(
        count=row["count"],
        successes=row["successes"],
        timing=_timing(row, "", row["timed"]),
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cached_input_tokens=row["cached_input_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        avg_input_tokens=row["avg_input_tokens"],
        p95_input_tokens=row["p95_input_tokens"],
        avg_input_bytes=row["avg_input_bytes"],
        avg_output_bytes=row["avg_output_bytes"],
        tool_type=row["tool_type"],
        models=tuple(row["models"] or ()),
        tools=tuple(row["tools"] or ()),
    )


def _run_figures(row: asyncpg.Record) -> RunFigures:
    return RunFigures(
        count=row["count"],
        completed=row["completed"],
        failed=row["failed"],
        cancelled=row["cancelled"],
        non_interactive=row["non_interactive"],
        timing=_timing(row, "", row["timed"]),
        first_response=_timing(row, "response_", row["responded"]),
    )


def _timing(row: asyncpg.Record, prefix: str, count: int) -> Timing:
    names = ("avg_ms", "min_ms", "max_ms", "median_ms", "p95_ms", "p99_ms")
    return Timing(count, *(row[f"{prefix}{name}"] for name in names))


def _any(values: Sequence[str]) -> list[str] | None:
    return list(values) or None
