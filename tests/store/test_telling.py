"""Telemetry that programs tell of their runs: closed shapes, once each, and beside what the log knows."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.domain.agent_event import parse_events
from perdure.domain.errors import InvalidRequest, RunNotFound
from perdure.domain.ids import RunId
from perdure.services import projections, telling
from tests.store.harness import new_run, server
from tests.store.projecting import append, call, complete, projection, result

COMMON = {
    "timestamp": "2026-01-02T03:04:05.678Z",
    "runId": "w",
    "model": "gpt",
    "environmentId": "env",
    "environmentType": "openai",
    "interactionId": "i",
}
LLM: dict[str, Any] = {
    **COMMON, "eventType": "llm_call", "promptTokens": 10, "completionTokens": 4, "totalTokens": 14,
    "durationMs": 250.5, "success": True, "streamingEnabled": True, "toolUseCount": 1,
    "callType": "start", "promptCachedTokens": 2,
}  # fmt: skip
TOOL: dict[str, Any] = {
    **COMMON, "eventType": "tool_call", "toolName": "look", "toolUseId": "c1", "toolType": "remote", "iteration": 1,
    "success": False, "durationMs": 12, "parameters": {"q": "x", "long": "y" * 1000}, "errorType": "Timeout",
}  # fmt: skip
STARTED: dict[str, Any] = {**COMMON, "eventType": "agent_run_started", "interactive": False}
COMPLETED: dict[str, Any] = {
    **COMMON, "eventType": "agent_run_completed", "success": True, "durationMs": 5, "totalIterations": 1,
    "totalToolCalls": 1, "totalLlmCalls": 1, "tokenUsage": {"input": 10, "output": 4},
    "endConversation": {"status": "success"},
}  # fmt: skip


async def test_calls_are_stored_once_and_survive_a_rebuild(database: str) -> None:
    async def nothing(count: int) -> None:
        pass

    async with server(database, hints=False) as core:
        key = await new_run(core)
        events = parse_events([STARTED, LLM, TOOL, COMPLETED])
        for _ in range(2):
            assert await telling.ingest(core, key, events) == 4
        await append(core, key, [*call("c1", "look"), result("c1", "found")])
        await complete(core, key, {"inputTokens": 99, "outputTokens": 9})
        await projections.catch_up(core)
        found = await projection(core, key)
        await projections.rebuild(core, nothing)
        assert await projection(core, key) == found
        assert await telling.ingest(core, key, events) == 4
        assert await projection(core, key) == found
        with pytest.raises(RunNotFound):
            await telling.ingest(core, key._replace(run_id=RunId("nowhere")), events)
    assert found is not None
    by_kind = {(made["kind"], made["source"], made.get("call_type")): made for made in found.calls}
    assert set(by_kind) == {
        ("llm", "told", "start"), ("llm", "log", "aggregate"), ("tool", "told", None), ("run", "told", "started"),
        ("run", "told", "completed"),
    }  # fmt: skip
    tool = by_kind["tool", "told", None]
    assert (tool["success"], tool["error_type"], tool["parameters"]) == (False, "Timeout", '{"q":"x"}')
    assert by_kind["llm", "told", "start"]["duration_ms"] == 250


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {**LLM, "surprise": 1}, {**LLM, "callType": "other"}, {**LLM, "timestamp": "yesterday"},
        {**TOOL, "toolType": "x"},
        {**LLM, "eventType": "other"}, {name: value for name, value in LLM.items() if name != "promptTokens"},
        {**LLM, "durationMs": -1}, {**LLM, "durationMs": 1e300}, {**LLM, "timestamp": "2026-01-02T03:04:05"}, "x",
    ],
)  # fmt: skip
def test_other_shapes_are_refused(wrong: object) -> None:
    with pytest.raises(InvalidRequest, match="events"):
        parse_events([LLM, wrong])
