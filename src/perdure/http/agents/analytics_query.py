"""The body of an analytics query, and what it asks for (vertesia.md 1.9)."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from perdure.domain.analytics import AnalyticsFilter, AnalyticsQuery, Dimension, Resolution
from perdure.domain.errors import InvalidRequest
from perdure.http.agents.mapping import subjects_of
from perdure.http.json_schema import JsonSchema, array, boolean, choice, integer, members, text

_LISTS: Final = ("agents", "models", "environments", "tools", "toolTypes", "runIds", "agentRunIds", "principals")
_DIMENSIONS: Final = MappingProxyType(
    {
        "model": Dimension.MODEL,
        "environment": Dimension.ENVIRONMENT,
        "tool": Dimension.TOOL,
        "toolType": Dimension.TOOL_TYPE,
        "agent": Dimension.AGENT,
        "errorType": Dimension.ERROR_TYPE,
    }
)
_SECONDS_BELOW: Final = 10**11
"""A number below this counts seconds, another one milliseconds."""


def query_schema() -> JsonSchema:
    """The body. `from` and `to`: ISO 8601, or a number since 1970."""
    time: JsonSchema = {"type": ["string", "number"], "description": "ISO 8601, or seconds or milliseconds since 1970."}
    return members(
        {
            "from": time,
            "to": time,
            "filter": members({**{name: array(text()) for name in _LISTS}, "success": boolean()}),
            "groupBy": choice(*_DIMENSIONS),
            "limit": integer(1),
            "resolution": choice(*Resolution),
            "resolutionStep": {"type": "integer", "minimum": 1, "maximum": 1_000},
            "toolName": text(1),
        },
        title="AnalyticsQuery",
    )


def query_of(body: dict[str, Any]) -> AnalyticsQuery:
    """What the body asks for. Raises InvalidRequest for a time that is none."""
    wanted: dict[str, Any] = body.get("filter", {})
    lists = {name: tuple(wanted.get(name, ())) for name in _LISTS}
    resolution = body.get("resolution")
    return AnalyticsQuery(
        since=_time(body.get("from"), "from"),
        until=_time(body.get("to"), "to"),
        filter=AnalyticsFilter(
            agents=lists["agents"],
            models=lists["models"],
            environments=lists["environments"],
            tools=lists["tools"],
            tool_types=lists["toolTypes"],
            run_ids=(*lists["runIds"], *lists["agentRunIds"]),
            principals=tuple(subject for word in lists["principals"] for subject in subjects_of(word)),
            success=wanted.get("success"),
        ),
        group_by=_DIMENSIONS[body["groupBy"]] if "groupBy" in body else None,
        limit=min(body.get("limit", 100), 1_000),
        resolution=None if resolution is None else Resolution(resolution),
        step=body.get("resolutionStep", 1),
    )


def _time(value: str | float | None, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        return datetime.fromtimestamp(value if abs(value) < _SECONDS_BELOW else value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidRequest(f"`/{name}` must be a time: ISO 8601, or seconds or milliseconds since 1970.") from None
