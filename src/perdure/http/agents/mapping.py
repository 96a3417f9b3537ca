"""Between the Agent Runs dialect and the domain: pure functions (vertesia.md section 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from perdure.domain.errors import NotBuilt
from perdure.domain.principal import Principal
from perdure.domain.run import Executor, Kind, Status
from perdure.domain.run_profile import DEFAULT_ENVIRONMENT, model_name
from perdure.domain.stored_run import About, Origin, Run, RunSpec, Visibility
from perdure.http.agents.create_schema import PRINCIPAL_TYPES
from perdure.http.agents.schemas import AgentRunView, InteractionRef, ResourceRef
from perdure.services.runs import RunRequest

ACCOUNT: Final = "perdure"
"""There is one account: this server."""

DEFAULT_ITERATIONS: Final = 20

_TRIGGERS: Final = MappingProxyType({"schedule": "schedule", "webhook": "event_subscription"})
"""Kinds of triggers as the dialect's sources; any other is `api`."""

_KEPT: Final = frozenset(
    {"tool_names", "initial_skills", "initial_tool_calls", "excluded_tools", "collection_id", "content_type",
     "workstream_id"}
)  # fmt: skip
"""What creation said and every answer repeats. The rest of what it said is for the run alone (vertesia.md 2.3)."""

_PROFILE: Final = frozenset({"tool_approval_mode", "disabled_mcp_collections", "properties", "generate_topic",
                             "generate_lessons"})  # fmt: skip
"""What creation says and may be changed later."""

_HIDDEN: Final = frozenset(
    {"model", "effort", "activity_state", "workflow_id", "first_workflow_run_id", "search_content"}
)
"""What the profile holds and an agent run does not show as it is."""

_PROCESS: Final = frozenset({"process_id", "process_definition"})


class _Input(msgspec.Struct, frozen=True):
    data: Raw | UnsetType = UNSET


# --- requests --------------------------------------------------------------------------------------------------------


def refuse_process(body: object) -> None:
    """Process runs share the route, and are told by these members (vertesia.md 1.6). Raises NotBuilt."""
    if isinstance(body, dict) and (_PROCESS & body.keys() or body.get("run_kind") == "process"):
        raise NotBuilt("Process runs are not built: start an agent run, with `interaction`.")


def run_request(body: Mapping[str, Any], agent_id: str, principal: Principal, client_ip: str) -> RunRequest:
    """What a POST /api/v1/agents body asks for."""
    private = body.get("visibility") == Visibility.PRIVATE
    given_config = body.get("config", {})
    config = {**given_config, **{name: body[name] for name in ("environment", "model") if name in body}}
    kept = {name: value for name, value in body.items() if name not in ("data", "environment", "model")}
    source = body.get("source") or source_of(principal, client_ip)
    return RunRequest(
        kind=Kind.AGENT,
        owner_kind="project",
        owner_id=principal.project_id,
        fingerprint=hashlib.sha256(msgspec.json.encode(body, order="deterministic")).digest(),
        agent_id=agent_id,
        new_conversation=not private,
        spec=RunSpec(
            interactive=body.get("interactive", True),
            agent_run={**kept, "config": config, "source": source},
            origin=Origin(trigger_kind="api", schedule_id=body.get("schedule_id")),
        ),
        input=msgspec.json.encode(_input(body, config)),
        tags=tuple(body.get("tags", ())),
        created_by=subject_of(body["started_by"]) if "started_by" in body else principal.subject,
        about=_about(body),
    )


def first_turn(data: Mapping[str, Any]) -> str:
    """What the user says first: `task`, `prompt` or `message` where that is a text, otherwise the data as JSON."""
    said = (data.get(name) for name in ("task", "prompt", "message"))
    return next((text for text in said if isinstance(text, str) and text), None) or msgspec.json.encode(data).decode()


def _input(body: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, object]:
    """The request as executors read it (veryfront.md 1.2), and `data` beside it."""
    data = body.get("data", {})
    waits_for_the_user = not data and body.get("interactive", True)
    steps = body.get("max_iterations", 0)
    model = model_name(config.get("model"), config.get("environment"))
    return {
        "messages": [] if waits_for_the_user else [{"role": "user", "content": first_turn(data)}],
        "runtime_overrides": {"max_steps": int(steps) if steps >= 1 else DEFAULT_ITERATIONS, **_tools(body)},
        **({"model": model} if model else {}),
        "data": data,
    }


def _tools(body: Mapping[str, Any]) -> dict[str, object]:
    """`+name` and `-name` change the agent's own set, a name without a sign replaces it; excluded ones beat both."""
    names: list[str] = body.get("tool_names", [])
    only = [name for name in names if name[0] not in "+-"]
    excluded = {name[1:] for name in names if name[0] == "-"} | set(body.get("excluded_tools", ()))
    allowed = [*only, *(name[1:] for name in names if name[0] == "+")] if only else None
    return {
        **({} if allowed is None else {"allowed_tools": allowed}),
        **({"excluded_tools": sorted(excluded)} if excluded else {}),
    }


def _about(body: Mapping[str, Any]) -> About:
    profile = {name: body[name] for name in _PROFILE if name in body}
    content_type = body.get("content_type")
    return About(
        visibility=Visibility(body.get("visibility", Visibility.PROJECT)),
        title=body.get("title"),
        topic=body.get("topic"),
        categories=tuple(body.get("categories", ())),
        content_type_name=content_type["name"] if content_type else None,
        profile=msgspec.json.encode(profile).decode() if profile else None,
    )


def source_of(principal: Principal, client_ip: str) -> dict[str, object]:
    """How a run was started, where the caller does not say it."""
    kind, _, name = starter(principal.subject).partition(":")
    return {
        "type": "api",
        "label": "API",
        "principal_type": kind if kind in PRINCIPAL_TYPES else "user",
        "principal_id": name,
        "client_ip": client_ip,
    }


# --- answers ---------------------------------------------------------------------------------------------------------


def agent_run(run: Run) -> dict[str, object]:
    """An agent run, whichever dialect started it, as a JSON object."""
    said = run.spec.agent_run or {}
    profile = profile_of(run)
    config = _config(run, said, profile)
    environment = str(config.get("environment") or DEFAULT_ENVIRONMENT)
    view = AgentRunView(
        id=run.run_id,
        account=ACCOUNT,
        project=str(run.project_id),
        interaction=interaction_of(run),
        interaction_name=run.agent_id or "",
        interactionRef=_interaction_ref(run),
        environment=environment,
        status=status_of(run),
        started_by=starter(run.created_by),
        started_at=iso(run.created_at),
        created_at=iso(run.created_at),
        updated_at=iso(run.updated_at),
        visibility=run.about.visibility,
        interactive=run.spec.interactive,
        config=config,
        source=_source_of(run, said),
        source_type=source_type(run),
        type=source_type(run),
        tags=run.tags or UNSET,
        categories=run.about.categories or UNSET,
        model=_model_of(run, config),
        data=_data(run),
        activity_state=activity_of(run),
        completed_at=UNSET if run.completed_at is None else iso(run.completed_at),
        name=_known(run.about.name),
        title=_known(run.about.title),
        topic=_known(run.about.topic),
        parent_run_id=_known(run.parent_run_id),
        schedule_id=_known(run.spec.origin.schedule_id),
        forked_from=_known(run.about.forked_from),
        environmentRef=ResourceRef(environment, environment, "environment"),
    )
    kept = {name: value for name, value in said.items() if name in _KEPT}
    shown = {name: value for name, value in profile.items() if name not in _HIDDEN and value is not None}
    return {**kept, **shown, **msgspec.to_builtins(view, builtin_types=(Raw,))}


def profile_of(run: Run) -> dict[str, object]:
    """What is said about a run and may be changed."""
    return {} if run.about.profile is None else dict(msgspec.json.decode(run.about.profile))


def status_of(run: Run) -> str:
    """The dialect's status: what waits is running, and what nobody was asked to execute is created (design section
    3).
    """
    if run.status.terminal:
        return run.status
    return "created" if run.status is Status.PENDING and run.executor is Executor.CALLER else "running"


def activity_of(run: Run) -> str | UnsetType:
    """Whether a live run works, or waits for somebody."""
    if run.status.terminal:
        return UNSET
    told = profile_of(run).get("activity_state") if run.executor is Executor.CALLER else None
    if isinstance(told, str) and run.status is Status.RUNNING:
        return told
    return "idle" if run.status is Status.WAITING else "working"


def interaction_of(run: Run) -> str:
    """The agent, as the caller selected it."""
    said = (run.spec.agent_run or {}).get("interaction")
    return said if isinstance(said, str) else run.agent_id or ""


def starter(subject: str | None) -> str:
    """A subject as `<principal type>:<id>`."""
    if subject is None:
        return "service_account:perdure"
    kind, colon, name = subject.partition(":")
    if kind == "key":
        return f"apikey:{name}"
    return subject if colon and kind in PRINCIPAL_TYPES else f"user:{subject}"


def subject_of(started_by: str) -> str:
    """The subject that `starter` shows so."""
    kind, _, name = started_by.partition(":")
    return {"apikey": f"key:{name}", "user": name}.get(kind, started_by)


def subjects_of(started_by: str) -> tuple[str, ...]:
    """The subjects that a filter by who started a run may mean: subjects may have a type of their own."""
    return tuple(dict.fromkeys((subject_of(started_by), started_by)))


def source_type(run: Run) -> str:
    """What made the run."""
    said = run.spec.agent_run or {}
    given = said.get("source_type") or said.get("type")
    return given if isinstance(given, str) else _TRIGGERS.get(run.spec.origin.trigger_kind or "", "api")


def triggers_of(source: str) -> tuple[str, ...]:
    """The kinds of triggers that a source stands for."""
    known = {word: kind for kind, word in _TRIGGERS.items()}
    return (known[source],) if source in known else ("api", "manual")


def iso(moment: datetime) -> str:
    """A time as the dialect writes it: ISO 8601 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _config(run: Run, said: Mapping[str, object], profile: Mapping[str, object]) -> dict[str, object]:
    given = said.get("config")
    changed = {"model": profile["model"]} if isinstance(profile.get("model"), str) else {}
    return {**(given if isinstance(given, dict) else {}), **changed}


def _model_of(run: Run, config: Mapping[str, object]) -> str | UnsetType:
    """The model that was asked for or, of a run that has ended, that answered."""
    given = config.get("model")
    if not given and run.metadata is not None:
        told = msgspec.json.decode(run.metadata)
        given = told.get("model") if isinstance(told, dict) else None
    return given if isinstance(given, str) and given else UNSET


def _interaction_ref(run: Run) -> InteractionRef:
    name = run.agent_id or ""
    return InteractionRef(id=name, name=name, endpoint=name, updated_at=iso(run.created_at))


def _source_of(run: Run, said: Mapping[str, object]) -> dict[str, object]:
    given = said.get("source")
    if isinstance(given, dict):
        return given
    kind, _, name = starter(run.created_by).partition(":")
    trigger = run.spec.origin.trigger_kind
    return {
        "type": trigger if trigger in ("webhook", "schedule") else "api",
        "label": "API",
        "principal_type": kind,
        "principal_id": name,
        "client_ip": "",
    }


def _data(run: Run) -> Raw | UnsetType:
    return UNSET if run.input is None else msgspec.json.decode(run.input, type=_Input).data


def _known(value: str | None) -> str | UnsetType:
    return UNSET if value is None else value
