"""Search, analytics and telemetry of the Agent Runs API (vertesia.md 1.5, 1.8, 1.9)."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from perdure.http.agents.analytics_routes import OPERATIONS as ANALYTICS
from perdure.http.agents.search_routes import hits_schema
from perdure.services import projections
from tests.http.runs_app import Api
from tests.store.projecting import call, result, text
from tests.store.test_telling import LLM, TOOL

SEARCH = "/api/v1/agents/search"
HITS = Draft202012Validator(hits_schema(), validate_formats=True)


async def run_that_said(at_work: Api, words: str) -> str:
    """The id of an ended run whose agent said something and called a tool."""
    path, key = await at_work.conversation_run()
    run_id: str = key.run_id
    events = [*text("m", words), *call("c1", "look", '{"q": "x"}'), result("c1", "found")]
    await at_work.json("POST", f"{path}/events", {"events": events})
    usage = {"provider": "openai", "model": "gpt", "inputTokens": 5, "outputTokens": 2}
    await at_work.json("POST", f"/runs/{run_id}/complete", {"status": "completed", "metadata": usage})
    await projections.catch_up(at_work.core)
    return run_id


async def search(at_work: Api, **params: Any) -> tuple[list[str], int]:
    """The ids that are found, and the total."""
    found = await at_work.json("GET", SEARCH, params=params)
    HITS.validate(found)
    return [hit["id"] for hit in found["hits"]], found["total"]


async def test_runs_of_either_dialect_are_found(at_work: Api) -> None:
    one = await run_that_said(at_work, "the harvest was good")
    two = await run_that_said(at_work, "the harvest was bad")
    assert await search(at_work, query="harvest goo") == ([one], 1)
    assert await search(at_work, query="harvest", sort="started_at:asc,updated_at") == ([one, two], 2)
    assert await search(at_work, query="harvest", status="completed,failed", interaction="writer@draft", limit=1) == (
        [two],
        2,
    )
    assert await search(at_work, status="created") == ([], 0)
    assert await search(at_work, run_type="supervised") == ([], 0)
    assert (await search(at_work))[1] == 2


@pytest.mark.parametrize(
    "params",
    [{"sort": "score"}, {"sort": "started_at:up"}, {"status": "odd"}, {"limit": "0"}, {"since": "x"}, {"page": "1"}],
)
async def test_what_is_no_search_is_refused(at_work: Api, params: dict[str, str]) -> None:
    assert (await at_work.client.get(SEARCH, params=params)).status_code == 400


async def test_telemetry_and_every_question(at_work: Api) -> None:
    run_id = await run_that_said(at_work, "hello")
    events = f"/api/v1/agents/{run_id}/events"
    for _ in range(2):
        told = await at_work.json("POST", events, {"events": [LLM, TOOL]})
        assert told == {"ingested": 2, "status": "ok"}
    assert (await at_work.client.post(events, json={"events": [{}]})).status_code == 400
    assert (await at_work.client.post("/api/v1/agents/none/events", json={"events": []})).status_code == 404
    whole = {"from": 0, "groupBy": "model", "resolution": "day", "toolName": "look", "filter": {"success": True}}
    for operation in ANALYTICS:
        for body in ({"toolName": "look"}, whole):
            assert await at_work.json("POST", operation.path, body), operation.path
    at_a_glance = (await at_work.json("POST", "/api/v1/agents/analytics/summary", {"from": 0}))["summary"]
    assert (at_a_glance["totalRuns"], at_a_glance["successRate"]) == (1, 1)
    assert at_a_glance["tokenUsage"]["totalTokens"] == 14
    assert (at_a_glance["totalToolCalls"], at_a_glance["uniqueTools"]) == (1, ["look"])
    tools = await at_work.json("POST", "/api/v1/agents/analytics/tools/parameters", {"from": 0, "toolName": "look"})
    assert tools["analytics"]["parameters"]["q"]["topValues"] == [
        {"parameterName": "q", "value": "x", "count": 1, "percentage": 100}
    ]
    wrongs: list[dict[str, Any]] = [
        {"from": "x"}, {"resolution": "year"}, {"groupBy": "x"}, {"surprise": 1}, {"filter": {"x": []}},
    ]  # fmt: skip
    for wrong in wrongs:
        answer = await at_work.client.post("/api/v1/agents/analytics/tokens", json=wrong)
        assert answer.status_code == 400, wrong
    assert (await at_work.client.post("/api/v1/agents/analytics/tools/parameters")).status_code == 400
