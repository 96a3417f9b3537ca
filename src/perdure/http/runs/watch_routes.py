"""What happens in a project: its runs as they move, and how many there were (ours; the protocol has no word for it)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.activity import Span
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import RunId, RunKey
from perdure.domain.principal import Principal, Scope
from perdure.domain.run import Status
from perdure.domain.stored_run import Run
from perdure.http.context import core_of, settings_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, boolean, choice, integer, members, nullable, text
from perdure.http.operations import Answer, Operation, json_answer, query
from perdure.http.requests import integer_query, time_query, words_query
from perdure.http.runs.filters import PARAMETERS as FILTERS
from perdure.http.runs.filters import filter_of
from perdure.http.runs.mapping import canonical, iso
from perdure.http.sse import EVENT_STREAM, EventStream
from perdure.services import activity, scoping
from perdure.services.run_feed import Moved, RunFeed

MAX_INTERVALS: Final = 500
_MAX_INTERVAL_SECONDS: Final = 366 * 24 * 3600
_READY: Final = b"event: Ready\ndata: {}\n\n"
_MISSED: Final = b"event: Missed\ndata: {}\n\n"


def run_frame(run: Run) -> bytes:
    """A run that was made or has moved on, as a frame: what a list says of it."""
    return b"event: Run\ndata: %b\n\n" % msgspec.json.encode(canonical(run, whole=False))


def gone_frame(key: RunKey) -> bytes:
    """A run that was deleted, as a frame."""
    return b"event: RunDeleted\ndata: %b\n\n" % msgspec.json.encode({"run_id": key.run_id})


async def stream_project_runs(request: Request) -> EventStream:
    """GET /projects/{ref}/runs/stream."""
    principal: Principal = await principal_of(request, Scope.RUNS_READ)
    project = await scoping.project_by_ref(core_of(request), principal, request.path_params["ref"])
    feed: RunFeed = request.app.state.run_feed
    settings = settings_of(request)
    return EventStream(
        _frames(feed.watch(project.id, principal.viewer)),
        partial(principal_of, request, Scope.RUNS_READ),
        heartbeat_seconds=settings.heartbeat_seconds,
        recheck_seconds=settings.recheck_seconds,
        retry_ms=settings.retry_ms,
    )


async def _frames(moves: AsyncGenerator[Moved, None]) -> AsyncGenerator[bytes, None]:
    first = _READY
    async with aclosing(moves):
        async for moved in moves:
            if frames := first + (_MISSED if moved.missed else b"") + moved.frames:
                yield frames
            first = b""


async def project_activity(request: Request) -> Response:
    """GET /projects/{ref}/runs/activity."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_READ)
    project = await scoping.project_by_ref(core, principal, request.path_params["ref"])
    since, until = _time(request, "since"), _time(request, "until")
    seconds = integer_query(request, "interval_seconds", 3600, 1, _MAX_INTERVAL_SECONDS)
    if not since < until:
        raise InvalidRequest("The query parameter `until` must be later than `since`.")
    if (until - since).total_seconds() > MAX_INTERVALS * seconds:
        raise InvalidRequest(
            f"From `since` to `until` are more than {MAX_INTERVALS} intervals: make `interval_seconds` larger."
        )
    span = Span(since, until, timedelta(seconds=seconds))
    sought = request.query_params.get("query", "")
    counted = await activity.counts(core, project.id, span, filter_of(request, principal.viewer), sought)
    return json_answer({"data": [{"since": iso(at), "status": status, "runs": count} for at, status, count in counted]})


async def usage_of_runs(request: Request) -> Response:
    """GET /projects/{ref}/runs/usage."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_READ)
    project = await scoping.project_by_ref(core, principal, request.path_params["ref"])
    run_ids = [RunId(word) for word in words_query(request, "run_id")]
    if not 0 < len(run_ids) <= activity.MAX_RUNS:
        raise InvalidRequest(f"The query parameter `run_id` names 1 to {activity.MAX_RUNS} runs.")
    return json_answer({"data": await activity.usage(core, project.id, run_ids, principal.viewer)})


def _time(request: Request, name: str) -> datetime:
    value = time_query(request, name)
    if value is None:
        raise InvalidRequest(f"The query parameter `{name}` is needed: a time such as 2026-01-31T08:00:00Z.")
    return value


_FRAME: Final = members(
    {
        "event": choice("Ready", "Run", "RunDeleted", "Missed"),
        "data": {
            **text(),
            "contentMediaType": "application/json",
            "description": "`Run`: the run as GET /runs lists it.",
        },
    },
    required=("event", "data"),
    description="One frame.",
)
_TIME: Final[JsonSchema] = {"type": "string", "format": "date-time"}
_COUNT: Final = members(
    {"since": text(description="When the interval begins."), "status": choice(*Status), "runs": integer(1)},
    required=("since", "status", "runs"),
)
_TOKENS: Final = nullable(integer(0))
_USAGE: Final = members(
    {
        "run_id": text(),
        "input_tokens": _TOKENS,
        "output_tokens": _TOKENS,
        "settled": boolean(description="The run has ended and all of its log is counted: these figures stay."),
    },
    required=("run_id", "input_tokens", "output_tokens", "settled"),
)

STREAM: Final = Operation(
    method="GET",
    path="/projects/{ref}/runs/stream",
    handler=stream_project_runs,
    tag="runs",
    summary="Watch the runs of a project",
    description=(
        "A frame `Run` for each run that was made or whose state moved, from `Ready` on: read the list after that, and "
        "again after `Missed` and after a new connection. There is no cursor. A run that moves several times at "
        "once may be told of once, as it is then."
    ),
    scope=Scope.RUNS_READ,
    path_schemas={"ref": text(1)},
    answers={200: Answer("Frames `event: <name>`, `data: <JSON>`; comments are heartbeats.", _FRAME, EVENT_STREAM)},
)

ACTIVITY: Final = Operation(
    method="GET",
    path="/projects/{ref}/runs/activity",
    handler=project_activity,
    tag="runs",
    summary="Count the runs of a project over time",
    description="By when they were made and the status that they have now. Intervals without runs are left out.",
    scope=Scope.RUNS_READ,
    parameters=(
        query("since", _TIME, "From this time; needed. The intervals begin here."),
        query("until", _TIME, "To before this time; needed."),
        query(
            "interval_seconds",
            {**integer(1), "maximum": _MAX_INTERVAL_SECONDS, "default": 3600},
            f"How long an interval is; at most {MAX_INTERVALS} of them.",
        ),
        *FILTERS,
        query("query", text(), "Runs that hold these words, as the search of agent runs finds them."),
    ),
    path_schemas={"ref": text(1)},
    answers={200: Answer("The counts.", members({"data": array(_COUNT)}, required=("data",)))},
)

USAGE: Final = Operation(
    method="GET",
    path="/projects/{ref}/runs/usage",
    handler=usage_of_runs,
    tag="runs",
    summary="Read the tokens of runs",
    description=(
        "What the model calls of runs have used, about a second after their logs tell of it; null where nothing tells. "
        "Runs that are not there are left out."
    ),
    scope=Scope.RUNS_READ,
    parameters=(
        query("run_id", array(text(1)), f"1 to {activity.MAX_RUNS} runs; repeated, or with commas between. Needed."),
    ),
    path_schemas={"ref": text(1)},
    answers={200: Answer("The usage of each run.", members({"data": array(_USAGE)}, required=("data",)))},
)
