"""Start, read, list, end, restart and fork agent runs (vertesia.md 1.1, 1.7, seed 004)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest, NotAllowed
from perdure.domain.principal import Principal, Scope
from perdure.domain.run import Status
from perdure.domain.stored_run import AgentRunFilter, AgentRunOrder
from perdure.http.agents.create_schema import SOURCE_TYPES, create_agent_run_schema, restart_schema
from perdure.http.agents.mapping import agent_run, refuse_process, run_request, subjects_of, triggers_of
from perdure.http.agents.requests import body_of, check_query, key_of, run_of
from perdure.http.agents.schemas import STATUSES, agent_run_schema, agent_runs_schema
from perdure.http.context import core_of, settings_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import JsonSchema, array, choice, integer, members, text
from perdure.http.operations import Answer, Body, Operation, json_answer, query
from perdure.http.pagination import decode_cursor, encode_cursor
from perdure.http.requests import integer_query, text_query, time_query, words_query
from perdure.http.schema_check import SchemaCheck
from perdure.services import agent_runs, control, forks, runs, scoping

PATH: Final = "/api/v1/agents"
TAG: Final = "agents"
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = agent_runs.MAX_PAGE

_CREATE: Final = create_agent_run_schema()
_CREATE_CHECK: Final = SchemaCheck(_CREATE)
_RESTART: Final = restart_schema()
_RESTART_CHECK: Final = SchemaCheck(_RESTART)
_NOTHING_CHECK: Final = SchemaCheck(members({}))
_RUN_TYPES: Final = ("autonomous", "supervised", "programmatic")
_STATES: Final = MappingProxyType(
    {
        "created": (Status.PENDING,),
        "running": (Status.PENDING, Status.RUNNING, Status.WAITING),
        "completed": (Status.COMPLETED,),
        "failed": (Status.FAILED,),
        "cancelled": (Status.CANCELLED,),
    }
)
_LISTED: Final = frozenset(
    {"id", "status", "interaction", "started_by", "since", "until", "limit", "offset", "cursor", "schedule_id", "type",
     "run_type", "run_kind", "sort", "order"}
)  # fmt: skip
_MAX_OFFSET: Final = 10**9


async def create_agent_run(request: Request) -> Response:
    """POST /api/v1/agents."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    body = await body_of(request, _CREATE_CHECK, _CREATE["properties"], before=refuse_process)
    if "started_by" in body and not principal.may(Scope.RUNS_PRIVATE):
        raise NotAllowed("Only who holds `workflow:superadmin` starts runs for others: leave `started_by` out.")
    for place, url in enumerate(body.get("notify_endpoints", ())):
        core.egress.check_url(url, f"/notify_endpoints/{place}")
    agent_id = await agent_runs.agent_named(core, body["interaction"])
    client = request.client
    wanted = run_request(body, agent_id, principal, client.host if client else "")
    created = await runs.create(core, principal.project_id, wanted)
    scoping.remember_run(core, principal, created.run)
    return json_answer(agent_run(created.run))


async def get_agent_run(request: Request) -> Response:
    """GET /api/v1/agents/{run_id}."""
    return json_answer(agent_run(await run_of(request, Scope.RUNS_READ)))


async def list_agent_runs(request: Request) -> Response:
    """GET /api/v1/agents."""
    principal = await principal_of(request, Scope.RUNS_READ)
    check_query(request, _LISTED)
    wanted, order = _filter(request, principal), _order(request)
    cursor = text_query(request, "cursor")
    limit = min(integer_query(request, "limit", DEFAULT_PAGE, 1, _MAX_OFFSET), MAX_PAGE)
    offset = integer_query(request, "offset", 0, 0, _MAX_OFFSET)
    beyond = None if cursor is None else decode_cursor(cursor)
    if wanted is None:
        return json_answer({"items": [], "total_count": 0, "next_cursor": None})
    page = await agent_runs.list_page(
        core_of(request),
        principal.project_id,
        wanted,
        order,
        beyond=beyond,
        limit=limit,
        offset=offset if beyond is None else 0,
    )
    last = page.runs[-1] if page.more else None
    following = None if last is None else encode_cursor(order.time_of(last), last.run_id)
    items = [agent_run(run) for run in page.runs]
    return json_answer({"items": items, "total_count": page.total, "next_cursor": following})


async def terminate_agent_run(request: Request) -> Response:
    """DELETE /api/v1/agents/{run_id}: one that has ended stays as it is (vertesia.md 4.5)."""
    run = await run_of(request, Scope.RUNS_WRITE)
    reason = request.query_params.get("reason")
    said = reason or "The run was terminated."
    _, after = await control.cancel(core_of(request), run.key, said, settings_of(request).cancel_wait_seconds)
    done = "Agent run terminated" if after.status is Status.CANCELLED else f"Agent run is {after.status} already"
    message = done if after.status.terminal else "Agent run is being terminated"
    return json_answer({"message": message, **({"reason": reason} if reason else {})})


async def restart_agent_run(request: Request) -> Response:
    """POST /api/v1/agents/{run_id}/restart: the same run goes on from its history (vertesia.md 4.3)."""
    run = await run_of(request, Scope.RUNS_WRITE)
    await body_of(request, _RESTART_CHECK, _RESTART["properties"])
    return json_answer(agent_run(await control.restart(core_of(request), run.key, fresh=False, converse=True)))


async def fork_agent_run(request: Request) -> Response:
    """POST /api/v1/agents/{run_id}/fork: a new run that starts with this one's history (vertesia.md 4.4)."""
    core = core_of(request)
    principal = await principal_of(request, Scope.RUNS_WRITE)
    run = await agent_runs.get(core, await key_of(request, principal))
    await body_of(request, _NOTHING_CHECK, {})
    forked = await forks.fork(core, run, principal.subject)
    scoping.remember_run(core, principal, forked)
    return json_answer(agent_run(forked))


def _filter(request: Request, principal: Principal) -> AgentRunFilter | None:
    """What the list shows; None where nothing can be shown: process runs are not built."""
    statuses = [_word(word, "status", STATUSES) for word in words_query(request, "status")]
    kinds = [_word(word, "run_type", _RUN_TYPES) for word in words_query(request, "run_type")]
    run_kind = _word(request.query_params.get("run_kind") or "agent", "run_kind", ("agent", "process"))
    started_by, source = text_query(request, "started_by"), text_query(request, "type")
    interaction = text_query(request, "interaction")
    recorded = {"created", "running"} & set(statuses)
    wanted = AgentRunFilter(
        viewer=principal.viewer,
        run_id=text_query(request, "id"),
        statuses=tuple(dict.fromkeys(state for word in statuses for state in _STATES[word])),
        only_recorded=None if len(recorded) != 1 else "created" in recorded,
        agent_ids=() if interaction is None else tuple(dict.fromkeys((interaction, interaction.partition("@")[0]))),
        started_by=() if started_by is None else subjects_of(started_by),
        since=time_query(request, "since"),
        until=time_query(request, "until"),
        schedule_id=text_query(request, "schedule_id"),
        triggers=() if source is None else triggers_of(_word(source, "type", SOURCE_TYPES)),
    )
    return None if run_kind != "agent" or (kinds and "autonomous" not in kinds) else wanted


def _order(request: Request) -> AgentRunOrder:
    sort = _word(request.query_params.get("sort") or "started_at", "sort", ("started_at", "updated_at"))
    order = _word(request.query_params.get("order") or "desc", "order", ("asc", "desc"))
    return AgentRunOrder(by_change=sort == "updated_at", ascending=order == "asc")


def _word(word: str, name: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise InvalidRequest(f"The query parameter `{name}` must be one of {', '.join(known)}.")
    return word


def _list_parameters() -> tuple[JsonSchema, ...]:
    time = {"type": "string", "format": "date-time"}
    return (
        query("id", text(1), "The run with this id."),
        query("status", array(choice(*STATUSES)), "Runs in one of these states; repeated, or with commas between."),
        query("interaction", text(1), "Runs of this agent."),
        query("started_by", text(1), "Runs that this principal started."),
        query("since", time, "Runs started after this time."),
        query("until", time, "Runs started up to this time."),
        query("schedule_id", text(1), "Runs that this schedule started."),
        query("type", choice(*SOURCE_TYPES), "Runs that were started so."),
        query("run_type", array(choice(*_RUN_TYPES)), "All runs here are autonomous."),
        query("run_kind", choice("agent", "process"), "All runs here are agent runs."),
        query("sort", choice("started_at", "updated_at"), "Which time the order is by (default: started_at)."),
        query("order", choice("asc", "desc"), "The order (default: desc)."),
        query("cursor", text(1), "The `next_cursor` of the page before; `offset` does not count then."),
        query("offset", integer(0), "How many runs to leave out."),
        query("limit", {**integer(1), "default": DEFAULT_PAGE}, f"How many runs, at most {MAX_PAGE}."),
    )


CREATE: Final = Operation(
    method="POST",
    path=PATH,
    handler=create_agent_run,
    tag=TAG,
    summary="Start an agent run",
    description=(
        "The first user turn is `data.task`, `data.prompt` or `data.message`, otherwise `data` as JSON. An interactive "
        "run without data waits for the user."
    ),
    scope=Scope.RUNS_WRITE,
    body=Body(_CREATE),
    answers={200: Answer("The run.", agent_run_schema())},
    problems=(404, 413, 501),
)

GET: Final = Operation(
    method="GET",
    path=f"{PATH}/{{run_id}}",
    handler=get_agent_run,
    tag=TAG,
    summary="Read an agent run",
    scope=Scope.RUNS_READ,
    answers={200: Answer("The run.", agent_run_schema())},
)

LIST: Final = Operation(
    method="GET",
    path=PATH,
    handler=list_agent_runs,
    tag=TAG,
    summary="List agent runs",
    scope=Scope.RUNS_READ,
    parameters=_list_parameters(),
    answers={200: Answer("A page of agent runs.", agent_runs_schema())},
    problems=(),
)

TERMINATE: Final = Operation(
    method="DELETE",
    path=f"{PATH}/{{run_id}}",
    handler=terminate_agent_run,
    tag=TAG,
    summary="Cancel an agent run",
    scope=Scope.RUNS_WRITE,
    parameters=(query("reason", text(), "Why; it is told in the run's log."),),
    answers={
        200: Answer(
            "The run is cancelled, or had ended before.",
            members({"message": text(), "reason": text()}, required=("message",)),
        )
    },
)

RESTART: Final = Operation(
    method="POST",
    path=f"{PATH}/{{run_id}}/restart",
    handler=restart_agent_run,
    tag=TAG,
    summary="Restart an agent run that has ended",
    description="A turn that had not ended goes on; otherwise the run waits for the user's next message.",
    scope=Scope.RUNS_WRITE,
    body=Body(_RESTART, required=False),
    answers={200: Answer("The run.", agent_run_schema())},
    problems=(404, 409),
)

FORK: Final = Operation(
    method="POST",
    path=f"{PATH}/{{run_id}}/fork",
    handler=fork_agent_run,
    tag=TAG,
    summary="Fork an agent run",
    description="A new run with the history and artifacts that this one has now; the two go on apart.",
    scope=Scope.RUNS_WRITE,
    body=Body(members({}), required=False),
    answers={200: Answer("The new run.", agent_run_schema())},
)

OPERATIONS: Final = (CREATE, LIST, GET, TERMINATE, RESTART, FORK)
