"""`RunAgentInput` of AG-UI 1.0, as it is published and checked. Members that it does not name are let through."""

from __future__ import annotations

from typing import Final

from perdure.http.json_schema import JsonSchema, anything, array, choice, members, nullable, text

RUN_ID_PATTERN: Final = r"^[^\u0000-\u001F\u007F-\u009F]+$"


def run_agent_input_schema() -> JsonSchema:
    """The body of POST /ag-ui/{agent}. Messages are checked further by `domain.message`."""
    return members(
        {
            "threadId": text(1, 512, description="A conversation's id, or any other name of the thread."),
            "runId": text(1, 128, pattern=RUN_ID_PATTERN, description="The same id again follows the same run."),
            "parentRunId": nullable(text(max_length=128)),
            "protocolVersion": nullable(text()),
            "messages": array(
                members({"id": text(), "role": text()}, required=("id", "role"), closed=False),
                description="The conversation so far.",
            ),
            "tools": nullable(array(_tool(), max_items=200, description="Tools that the client executes.")),
            "context": nullable(array(_context(), max_items=200)),
            "state": {**anything(), "description": "Any JSON value, for the agent."},
            "forwardedProps": {**anything(), "description": "Any JSON value, for the agent."},
            "resume": nullable(array(_resume(), max_items=200, description="Answers to interrupts.")),
        },
        required=("threadId", "runId", "messages"),
        closed=False,
    )


def _tool() -> JsonSchema:
    return members(
        {"name": text(1, 128), "description": nullable(text()), "parameters": anything()},
        required=("name",),
        closed=False,
    )


def _context() -> JsonSchema:
    return members(
        {"description": text(), "value": text()},
        required=("description", "value"),
        closed=False,
    )


def _resume() -> JsonSchema:
    return members(
        {"interruptId": text(1), "status": choice("resolved", "cancelled"), "payload": anything()},
        required=("interruptId", "status"),
        closed=False,
    )
