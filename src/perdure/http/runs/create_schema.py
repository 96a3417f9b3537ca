"""The JSON Schema of the POST /runs request body: seed 002, in JSON Schema 2020-12 (as in OpenAPI 3.1).

The same schema is published in /openapi.json and validates at run time (`create_body.py`), so the two cannot differ.
The seed writes it as OpenAPI 3.0: its `nullable` also allows null where there is an `enum`, and its boolean
`exclusiveMinimum` is read as "greater than". An object is closed where the seed closes it, and open elsewhere.
"""

from __future__ import annotations

from perdure.domain.run import Kind
from perdure.http.json_schema import (
    JsonSchema,
    anything,
    array,
    boolean,
    choice,
    free_object,
    integer,
    members,
    nullable,
    text,
    uuid,
)

_RUNTIME_KINDS = ("main_branch", "environment", "preview_branch")
_SOURCE_KINDS = ("project", "main_branch", "environment", "preview_branch")


def create_run_schema() -> JsonSchema:
    """The whole body: one of the four kinds, told apart by `kind`."""
    return {"oneOf": [_agent_run(), _workflow_run(), _task_run(), _eval_run()]}


def _run(
    kind: Kind, *, owner: JsonSchema, request: JsonSchema, more: dict[str, JsonSchema] | None = None
) -> JsonSchema:
    """A body of one kind: the members that all kinds share around its owner and request."""
    return members(
        {
            "public_id": text(1, 128, description="The run's id, chosen by the caller. Makes a repeated create safe."),
            "parent_run_id": text(1, 128, description="The run that starts this one."),
            "trigger": _trigger(),
            "kind": choice(kind.value),
            "owner": owner,
            **(more or {}),
            "request": request,
        },
        required=("kind", "owner", "request"),
        title=kind.value,
    )


def _trigger() -> JsonSchema:
    return members(
        {"conversation_id": uuid(), "message_id": uuid(), "tool_call_id": text(1, 128)},
        description="What in a conversation caused the run.",
    )


def _owner(kind: str) -> JsonSchema:
    return members({"kind": choice(kind), "id": uuid()}, required=("kind", "id"))


# --- agent runs ------------------------------------------------------------------------------------------------------


def _agent_run() -> JsonSchema:
    return _run(
        Kind.AGENT,
        owner={"anyOf": [_owner("conversation"), _owner("project")]},
        more={
            "conversation_mode": choice("create_new", "existing", "none"),
            "conversation_id": uuid(),
        },
        request={"anyOf": [_runtime_request(), _hosted_request(), _project_stream_request()]},
    )


def _runtime_request() -> JsonSchema:
    return members(
        {
            "mode": choice("agent"),
            "agent_id": text(1),
            "implementation_kind": text(
                1, 64, pattern="^[a-zA-Z0-9_-]+$", description="The sort of external worker that executes the run."
            ),
            "worker_key": text(1, 128, pattern="^[a-zA-Z0-9_.:-]+$", description="One particular worker of that sort."),
            "initial_status": _initial_status(),
            **_agent_targets(),
        },
        required=("mode", "agent_id", "implementation_kind"),
        title="RuntimeAgentRequest",
        description="An external worker executes the run.",
    )


def _hosted_request() -> JsonSchema:
    return members(
        {
            "mode": choice("agent"),
            "agent_id": text(1),
            "initial_status": _initial_status(),
            **_agent_targets(),
            "input": hosted_input_schema(),
        },
        required=("mode", "agent_id"),
        title="HostedDefaultChatAgentRequest",
        description="An agent registered with this server executes the run, or the caller itself does.",
    )


def _project_stream_request() -> JsonSchema:
    return members(
        {"mode": choice("agent"), "input": _project_stream_input()},
        required=("mode", "input"),
        title="ProjectAgentStreamAgentRequest",
        description="A project's agent is started with context documents instead of messages.",
    )


def _initial_status() -> JsonSchema:
    return choice("pending", "running", description="`running`: the caller executes the run and mirrors its events.")


def _agent_targets() -> dict[str, JsonSchema]:
    return {
        "source_target_kind": nullable(choice(*_SOURCE_KINDS, "release")),
        "source_target_environment_id": nullable(uuid()),
        "source_target_branch_id": nullable(uuid()),
        "source_target_release_version": nullable(text(1, 128)),
        **_runtime_targets(kind=nullable(choice(*_RUNTIME_KINDS))),
    }


def hosted_input_schema() -> JsonSchema:
    """What an agent is started with: part of POST /runs, and the body of a start (seed 000)."""
    return members(
        {
            "messages": array(
                members({}, closed=False),
                description="The conversation: `{role, content}`, `{role, parts}` or AG-UI messages.",
            ),
            "tools": _tools(),
            "context": _hosted_context(),
            "model": text(),
            "active_chat_id": text(),
            "allow_delegation": boolean(),
            "forwarded_props": free_object(),
            "runtime_overrides": _runtime_overrides(),
            "durable_root_run": _durable_root_run(),
        },
        required=("messages", "context"),
    )


def _hosted_context() -> JsonSchema:
    return members(
        {
            "conversation_id": uuid(),
            "project_id": nullable(uuid()),
            "project_reference": nullable(text(1)),
            "branch_id": nullable(uuid()),
            "environment_context": text(),
        },
        required=("project_id", "branch_id"),
    )


def _runtime_overrides() -> JsonSchema:
    return members(
        {
            "allowed_tools": array(text(1), max_items=100),
            "thinking": {"anyOf": [{**boolean(), "enum": [False]}, integer(above=0)]},
            "max_steps": integer(above=0),
        }
    )


def _durable_root_run() -> JsonSchema:
    return members(
        {"run_id": text(1, 128), "message_id": uuid()},
        required=("run_id", "message_id"),
        description="Starts the pending run of this id (the second phase of a two-phase start).",
    )


def _tools() -> JsonSchema:
    tool = members(
        {
            "name": text(1, 128, pattern="^[a-zA-Z][a-zA-Z0-9._:-]*$"),
            "description": text(max_length=1024),
            "parameters": free_object(),
            "inputSchema": free_object(),
            "outputSchema": free_object(),
        },
        required=("name",),
        closed=False,
    )
    return array(tool, max_items=50)


def _project_stream_input() -> JsonSchema:
    return members(
        {
            "agent_id": text(1, 128),
            "source_target_kind": choice(*_SOURCE_KINDS),
            "allow_delegation": boolean(default=True),
            "messages": {**array(anything(), max_items=0), "default": []},
            "tools": {**_tools(), "default": []},
            "context": {**array({"oneOf": _context_documents()}, max_items=10), "default": []},
            "forwarded_props": free_object(),
            "runtime_target_kind": nullable(choice(*_RUNTIME_KINDS)),
            "target_environment_id": nullable(uuid()),
            "target_branch_id": nullable(uuid()),
        },
        required=("agent_id",),
    )


def _context_documents() -> list[JsonSchema]:
    return [
        _document("text", {"text": text(max_length=16_384)}, required="text"),
        _document("json", {"data": free_object()}, required="data"),
        _document(
            "resource",
            {"uri": text(max_length=2048), "mimeType": text(max_length=256), "text": text(max_length=16_384)},
            required="uri",
        ),
    ]


def _document(kind: str, content: dict[str, JsonSchema], *, required: str) -> JsonSchema:
    return members(
        {"type": choice(kind), "title": text(max_length=256), **content}, required=("type", required), closed=False
    )


# --- workflow, task and eval runs ------------------------------------------------------------------------------------


def _workflow_run() -> JsonSchema:
    request = members(
        {
            "workflow_id": text(1, 255),
            "target": _target(),
            **_runtime_targets(),
            "input": free_object(),
            "start_mode": text(1, 64),
        },
        required=("workflow_id", "target"),
    )
    return _run(Kind.WORKFLOW, owner=_owner("project"), request=request)


def _task_run() -> JsonSchema:
    return _run(Kind.TASK, owner=_owner("project"), request=task_request_schema())


def task_request_schema(*, in_batch: bool = False) -> JsonSchema:
    """What a task run is asked for; one that is sent with a batch does not name it."""
    return members(
        {
            "name": text(1, 255, description="What people call this run."),
            "target": _target(),
            **({} if in_batch else {"batch_id": uuid("Groups runs that belong together.")}),
            **_runtime_targets(),
            "config": free_object(),
            "timeout_seconds": integer(above=0, description="How long it may take from its start."),
            "backoff_limit": integer(0, description="How often it is tried again; 0: never."),
        },
        required=("target",),
    )


def project_owner_schema() -> JsonSchema:
    """A project, as the owner of what is created."""
    return _owner("project")


def _eval_run() -> JsonSchema:
    request = members(
        {
            "target": _target(),
            **_runtime_targets(),
            "input": free_object(),
            "config": free_object(),
            "start_mode": text(1, 64),
        },
        required=("target",),
    )
    return _run(Kind.EVAL, owner=_owner("project"), request=request)


def _target() -> JsonSchema:
    return text(1, 512, description="What runs: `workflow:<id>`, `task:<id>` or `eval:<id>`.")


def _runtime_targets(kind: JsonSchema | None = None) -> dict[str, JsonSchema]:
    return {
        "runtime_target_kind": kind if kind is not None else choice(*_RUNTIME_KINDS),
        "runtime_target_environment_id": nullable(uuid()),
        "runtime_target_branch_id": nullable(uuid()),
    }
