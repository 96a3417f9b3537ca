"""Search agent runs (vertesia.md 1.8)."""

from __future__ import annotations

from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest
from perdure.domain.principal import Principal, Scope
from perdure.domain.run import Kind, Status
from perdure.domain.search import SearchRequest, SortKey
from perdure.http.agents.mapping import agent_run, subjects_of
from perdure.http.agents.requests import check_query
from perdure.http.agents.run_routes import PATH, TAG
from perdure.http.agents.schemas import STATUSES, agent_run_schema
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, choice, integer, members, number, text
from perdure.http.operations import Answer, Operation, json_answer, query
from perdure.http.requests import integer_query, text_query, time_query, words_query
from perdure.services.search import MAX_LIMIT, PostgresSearch

_DEFAULT: Final = 50
_MAX_OFFSET: Final = 10**9
_RUN_TYPES: Final = ("autonomous", "supervised", "programmatic")
_KNOWN: Final = frozenset(
    {"query", "status", "interaction", "started_by", "categories", "tags", "content_type_name", "run_type", "since",
     "until", "limit", "offset", "sort"}
)  # fmt: skip
_LIVE: Final = (Status.PENDING, Status.RUNNING, Status.WAITING)
_SHOWN: Final = (
    "id", "interaction", "run_type", "run_kind", "interaction_name", "status", "activity_state", "started_at",
    "completed_at", "started_by", "title", "topic", "lessons_learned", "tags", "categories", "interactive",
    "collection_id", "content_type", "tool_names", "schedule_id", "event_subscription_id", "event_ref", "source_type",
    "type", "created_at", "updated_at",
)  # fmt: skip


async def search_agent_runs(request: Request) -> Response:
    """GET /api/v1/agents/search."""
    principal = await principal_of(request, Scope.RUNS_READ)
    check_query(request, _KNOWN)
    wanted = _wanted(request)
    if wanted is None:
        return json_answer({"hits": [], "total": 0})
    found = await _search(request, principal, wanted)
    return json_answer(found)


async def _search(request: Request, principal: Principal, wanted: SearchRequest) -> dict[str, object]:
    found = await PostgresSearch(core_of(request)).find(principal.project_id, principal.viewer, wanted)
    hits = []
    for hit in found.hits:
        run = agent_run(hit.run)
        shown: dict[str, object] = {name: run[name] for name in _SHOWN if name in run}
        hits.append({"score": hit.score, **shown})
    return {"hits": hits, "total": found.total}


def _wanted(request: Request) -> SearchRequest | None:
    """What is looked for; None where nothing can be found: process runs are not built."""
    statuses, types = _words(request, "status"), _words(request, "run_type")
    _check(statuses, "status", STATUSES)
    _check(types, "run_type", _RUN_TYPES)
    interaction, started_by = text_query(request, "interaction"), text_query(request, "started_by")
    recorded = {"created", "running"} & set(statuses)
    wanted = SearchRequest(
        query=request.query_params.get("query", ""),
        statuses=_statuses(statuses),
        kinds=(Kind.AGENT,),
        only_recorded=None if len(recorded) != 1 else "created" in recorded,
        agent_ids=() if interaction is None else (interaction, interaction.partition("@")[0]),
        started_by=() if started_by is None else subjects_of(started_by),
        tags=_words(request, "tags"),
        categories=_words(request, "categories"),
        content_type_name=text_query(request, "content_type_name"),
        since=time_query(request, "since"),
        until=time_query(request, "until"),
        sort=tuple(_sort_key(word) for word in _words(request, "sort")),
        limit=min(integer_query(request, "limit", _DEFAULT, 1, _MAX_OFFSET), MAX_LIMIT),
        offset=integer_query(request, "offset", 0, 0, _MAX_OFFSET),
    )
    return None if types and "autonomous" not in types else wanted


def _statuses(words: tuple[str, ...]) -> tuple[Status, ...]:
    found = [_LIVE if word == "running" else (Status.PENDING if word == "created" else Status(word),) for word in words]
    return tuple(dict.fromkeys(status for group in found for status in group))


def _sort_key(word: str) -> SortKey:
    field, _, order = word.partition(":")
    if order not in ("", "asc", "desc"):
        raise InvalidRequest("The query parameter `sort` holds `field:asc` or `field:desc`.")
    return SortKey(_field(field), order != "asc")


def _field(word: str) -> Literal["started_at", "updated_at"]:
    match word:
        case "started_at" | "updated_at":
            return word
        case _:
            raise InvalidRequest("The query parameter `sort` names started_at or updated_at.")


def _words(request: Request, name: str) -> tuple[str, ...]:
    words = tuple(word for word in words_query(request, name) if word)
    if any("\x00" in word for word in words):
        raise InvalidRequest(f"Remove the NUL character from the query parameter `{name}`.")
    return words


def _check(words: tuple[str, ...], name: str, known: tuple[str, ...]) -> None:
    if any(word not in known for word in words):
        raise InvalidRequest(f"The query parameter `{name}` must be one of {', '.join(known)}.")


def _parameters() -> tuple[JsonSchema, ...]:
    time = {"type": "string", "format": "date-time"}
    return (
        query(
            "query",
            text(),
            'Words that must all be there; `"a phrase"`, `or`, `-without`; the last may be a beginning.',
        ),
        query("status", array(choice(*STATUSES)), "Runs in one of these states; repeated, or with commas between."),
        query("interaction", text(1), "Runs of this agent."),
        query("started_by", text(1), "Runs that this principal started."),
        query("categories", array(text()), "Runs with one of these categories."),
        query("tags", array(text()), "Runs with one of these tags."),
        query("content_type_name", text(1), "Runs with this content type."),
        query("run_type", array(choice(*_RUN_TYPES)), "All runs here are autonomous."),
        query("since", time, "Runs started after this time."),
        query("until", time, "Runs started up to this time."),
        query(
            "sort",
            array(text()),
            "`field[:order]`, field started_at or updated_at (default: the best, or newest, first).",
        ),
        query("offset", integer(0), "How many hits to leave out."),
        query("limit", {**integer(1), "default": _DEFAULT}, f"How many hits, at most {MAX_LIMIT}."),
    )


def hits_schema() -> JsonSchema:
    """What a search answers."""
    run = agent_run_schema()["properties"]
    required = ("id", "score", "status", "started_at", "started_by", "interactive", "created_at", "updated_at")
    hit = members({"score": number(), **{name: run[name] for name in _SHOWN if name in run}}, required=required)
    return members({"hits": array(hit), "total": integer(0)}, required=("hits", "total"))


SEARCH: Final = Operation(
    method="GET",
    path=f"{PATH}/search",
    handler=search_agent_runs,
    tag=TAG,
    summary="Search agent runs",
    description=(
        "Looks through names, titles, topics, agents, tags, messages, errors and tools' results. Current within about "
        "a second of a run's end, and a few seconds while it goes on."
    ),
    scope=Scope.RUNS_READ,
    parameters=_parameters(),
    answers={200: Answer("The runs that were found, and how many there are.", hits_schema())},
    problems=(),
)

OPERATIONS: Final = (SEARCH,)
