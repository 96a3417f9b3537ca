"""The schema of POST /api/v1/agents (seed 004, vertesia.md 2.1): closed on every level that we read."""

from __future__ import annotations

from typing import Final

from perdure.http.json_schema import (
    JsonSchema,
    array,
    boolean,
    choice,
    free_object,
    members,
    number,
    text,
)

APPROVAL_MODES: Final = ("ask", "auto_review", "full_control")
SOURCE_TYPES: Final = ("api", "schedule", "event_subscription")
PRINCIPAL_TYPES: Final = ("user", "oauth_access", "group", "apikey", "service_account", "agent", "schedule")
_SOURCES: Final = ("api", "cli", "ui", "webhook", "test-data", "system", "schedule")
_VIEWS: Final = ("auto", "text", "pdf", "image", "properties")


def create_agent_run_schema() -> JsonSchema:
    """What starts an agent run. Seed 004 has `environment` and `model` at the top, the contract in `config`."""
    return members(
        {
            "interaction": text(1, 255, description="An agent's name, perhaps with `@version`, `@draft` or `@tag`."),
            "data": free_object("The agent's input; `task`, `prompt` or `message` in it is the first user turn."),
            "environment": text(description="The model's provider."),
            "model": text(description="The model, instead of the agent's own."),
            "config": _config(),
            "interactive": boolean(default=True, description="Whether the run waits for the user after each turn."),
            "tool_approval_mode": choice(*APPROVAL_MODES),
            "tool_names": array(text(1), description="The tools; `+name` and `-name` change the agent's own set."),
            "excluded_tools": array(text(1), description="Tools that the run must not use, whatever else is said."),
            "initial_skills": array(text(1)),
            "initial_tool_calls": array(_tool_call()),
            "collection_id": text(1),
            "disabled_mcp_collections": array(text(1)),
            "content_type": content_type_schema(),
            "visibility": choice("private", "project", description="Who may see the run (default: the project)."),
            "tags": array(text(1, 255)),
            "categories": array(text(1, 255)),
            "properties": free_object("Facts of your own about the run."),
            "source": source_schema(),
            "source_type": choice(*SOURCE_TYPES),
            "type": choice(*SOURCE_TYPES, description="Deprecated: `source_type`."),
            "schedule_id": text(1, 255),
            "search_scope": choice("collection"),
            "user_channels": array(_channel()),
            "checkpoint_tokens": number(description="In thousands."),
            "checkpoint": members({"context_threshold": number(), "max_tokens": number()}),
            "max_iterations": number(description="Most model requests of a turn; 20 if absent or not above 0."),
            "notify_endpoints": array(text(1, 2048), max_items=20),
            "debug_mode": boolean(),
            "started_by": text(1, 255, description="For whom a server starts the run; needs `workflow:superadmin`."),
            "title": text(1, 1024),
            "topic": text(1, 1024),
            "generate_topic": boolean(),
            "generate_lessons": boolean(),
        },
        required=("interaction",),
        title="CreateAgentRun",
    )


def content_type_schema() -> JsonSchema:
    """The content type of a run's `properties`."""
    return members(
        {
            "ref_type": choice("stored", "incode"),
            "id": text(1),
            "name": text(1),
            "default_view": choice(*_VIEWS),
        },
        required=("ref_type", "id", "name"),
    )


def source_schema() -> JsonSchema:
    """How a run was started, and by whom."""
    return members(
        {
            "type": choice(*_SOURCES),
            "label": text(),
            "principal_type": choice(*PRINCIPAL_TYPES),
            "principal_id": text(),
            "client_ip": text(),
        },
        required=("type", "label", "principal_type", "principal_id", "client_ip"),
    )


def config_properties() -> dict[str, JsonSchema]:
    """The members of `config`."""
    timeouts = ("headersTimeout", "bodyTimeout", "connectTimeout", "keepAliveTimeout")
    return {
        "id": text(),
        "environment": text(),
        "model": text(),
        "do_validate": boolean(),
        "run_data": choice("STANDARD", "RESTRICTED", "DEBUG"),
        "configMode": choice("RUN_AND_INTERACTION_CONFIG", "RUN_CONFIG_ONLY", "INTERACTION_CONFIG_ONLY"),
        "model_options": free_object("Options of the model, as its provider names them."),
        "prompt_cache_key": text(),
        "prompt_cache_schema_suffix": boolean(),
        "http_timeout": members({name: number() for name in timeouts}),
    }


def _config() -> JsonSchema:
    return members(config_properties(), description="How the agent's model is called.")


def _tool_call() -> JsonSchema:
    return members(
        {"id": text(1, 255), "tool": text(1, 255), "input": free_object(), "on_error": choice("fail", "continue")},
        required=("id", "tool"),
    )


def _channel() -> JsonSchema:
    email = {
        "type": choice("email"),
        "to_email": text(1),
        "thread_subject": text(),
        "in_reply_to": text(),
        "references": array(text()),
        "route_key": text(),
    }
    interactive = members({"type": choice("interactive")}, required=("type",))
    return {"oneOf": [members(email, required=("type", "to_email")), interactive]}


def restart_schema() -> JsonSchema:
    """POST …/restart."""
    return members({"nd_restart_count": number(description="Accepted, and without effect here.")})
