"""The 14 analytics queries (vertesia.md 1.9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.errors import InvalidRequest
from perdure.domain.principal import Scope
from perdure.http.agents import analytics_mapping as wire
from perdure.http.agents.analytics_query import query_of, query_schema
from perdure.http.agents.requests import body_of
from perdure.http.agents.run_routes import PATH, TAG
from perdure.http.context import core_of
from perdure.http.deps import principal_of
from perdure.http.json_schema import free_object
from perdure.http.operations import Answer, Body, Handler, Operation, json_answer
from perdure.http.schema_check import SchemaCheck
from perdure.services import analytics
from perdure.services.analytics import Asked
from perdure.services.core import Core

_BODY: Final = query_schema()
_CHECK: Final = SchemaCheck(_BODY)

_Answering = Callable[[Core, Asked, dict[str, Any]], Awaitable[wire.Wire]]


async def _summary(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.summary(await analytics.summary(core, asked))


async def _tokens(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.tokens(await analytics.tokens(core, asked), asked.query)


async def _model_latency(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.call_latency(await analytics.model_latency(core, asked), asked.query)


async def _tool_latency(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.call_latency(await analytics.tool_latency(core, asked), asked.query)


async def _agent_latency(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.run_latency(await analytics.agent_latency(core, asked), asked.query)


async def _errors(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.errors(await analytics.errors(core, asked), asked.query)


async def _tools(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.tools(await analytics.tools(core, asked))


async def _tool_parameters(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    if "toolName" not in body:
        raise InvalidRequest("`/toolName` is missing.", pointer="/toolName")
    return wire.tool_parameters(body["toolName"], await analytics.tool_parameters(core, asked, body["toolName"]))


async def _filter_options(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.filter_options(await analytics.filter_options(core, asked))


async def _prompt_size(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.prompt_size(await analytics.prompt_size(core, asked))


async def _top_principals(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.top_principals(await analytics.top_principals(core, asked))


async def _runs_by_agent(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.runs_by_agent(await analytics.runs_by_agent(core, asked))


async def _time_to_first_response(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.time_to_first_response(await analytics.time_to_first_response(core, asked), asked.query)


async def _first_response_behavior(core: Core, asked: Asked, body: dict[str, Any]) -> wire.Wire:
    return wire.first_response_behavior(await analytics.first_response_behavior(core, asked), asked.query)


def _handler(answering: _Answering) -> Handler:
    async def handle(request: Request) -> Response:
        principal = await principal_of(request, Scope.RUNS_READ)
        body = await body_of(request, _CHECK, _BODY["properties"])
        asked = Asked(principal.project_id, principal.viewer, query_of(body))
        return json_answer(await answering(core_of(request), asked, body))

    return handle


def _operation(path: str, summary: str, answering: _Answering) -> Operation:
    return Operation(
        method="POST",
        path=f"{PATH}/analytics/{path}",
        handler=_handler(answering),
        tag=TAG,
        summary=summary,
        description="Over the last 30 days unless `from` and `to` say otherwise; of runs that the caller may see.",
        scope=Scope.RUNS_READ,
        body=Body(_BODY, required=False),
        answers={200: Answer("The figures.", free_object())},
        problems=(413,),
        name=f"analytics_{path.replace('/', '_').replace('-', '_')}",
    )


OPERATIONS: Final = (
    _operation("summary", "Runs, calls and tokens at a glance", _summary),
    _operation("tokens", "Tokens of model calls", _tokens),
    _operation("latency/llm", "How long model calls take", _model_latency),
    _operation("latency/tools", "How long tool calls take", _tool_latency),
    _operation("latency/agents", "How long runs take", _agent_latency),
    _operation("errors", "What fails", _errors),
    _operation("tools", "The tools that are called", _tools),
    _operation("tools/parameters", "What a tool is called with", _tool_parameters),
    _operation("filter-options", "What there is to filter by", _filter_options),
    _operation("prompt-size", "How large first prompts are", _prompt_size),
    _operation("top-principals", "Who starts the most runs", _top_principals),
    _operation("runs-by-agent", "Which agents run most often", _runs_by_agent),
    _operation("time-to-first-response", "How long it is until agents say something", _time_to_first_response),
    _operation("first-response-behavior", "What agents do first", _first_response_behavior),
)
