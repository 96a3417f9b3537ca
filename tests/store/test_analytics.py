"""Analytics: the figures of runs and calls, told apart, over time, and never of others' private runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from perdure.domain.agent_event import parse_events
from perdure.domain.analytics import AnalyticsFilter, AnalyticsQuery, Dimension, Resolution
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import ProjectId, new_uuid
from perdure.domain.run import Cancel
from perdure.domain.stored_run import Viewer
from perdure.services import analytics, lifecycle, projections, telling
from perdure.services.analytics import Asked
from perdure.services.core import Core
from tests.store.harness import PROJECT, START_MS, ManualClock, server
from tests.store.projecting import PRIVATE, append, call, complete, described_run, model_step, result, text
from tests.store.test_telling import LLM, TOOL

ANN, BOSS = Viewer("user:ann"), Viewer("user:boss", sees_all=True)
MINUTE = 60_000


def asked(viewer: Viewer = BOSS, wanted: AnalyticsFilter | None = None, **more: Any) -> Asked:
    """A question about everything unless it says otherwise."""
    return Asked(PROJECT, viewer, AnalyticsQuery(filter=wanted or AnalyticsFilter(), **more))


@pytest_asyncio.fixture
async def core(database: str) -> AsyncIterator[Core]:
    """Three runs: one with steps and tools, one that its caller tells of, and a private one that was cancelled."""
    clock = ManualClock()
    async with server(database, clock=clock, hints=False) as running:
        one = await described_run(running, "one", agent="writer", interactive=False)
        clock.now += 500
        await append(running, one, text("m", "hello"))
        for number, ms in enumerate((100, 300), start=1):
            failed = [{"at": clock.now, "ms": 50, "error": "Overloaded"}] if number == 2 else []
            meter = {"at": clock.now, "ms": ms, "failed": failed}
            await append(running, one, [model_step(number, tokens=(100 * number, 10), meter=meter)])
            await append(
                running, one, call(f"c{number}", "write_plan" if number == 1 else "look", f'{{"q": "{number}"}}')
            )
            clock.now += 200
            await append(running, one, [result(f"c{number}", "x", **({"isError": True} if number == 2 else {}))])
        await complete(running, one)
        clock.now = START_MS + 90 * MINUTE
        two = await described_run(running, "two", agent="reader", by="user:bob")
        await append(running, two, text("m", "hi"))
        told = [{**LLM, "timestamp": "2023-11-14T23:43:20Z"}, {**TOOL, "timestamp": "2023-11-14T23:43:20Z"}]
        await telling.ingest(running, two, parse_events(told))
        await complete(running, two, {"inputTokens": 1_000_000, "outputTokens": 1})
        three = await described_run(running, "three", agent="writer", about=PRIVATE, by="user:bob")
        await append(running, three, [*call("c", "look", '{"q": "1"}'), result("c", "x")])
        await lifecycle.apply(running, three, Cancel("no"))
        clock.now += 1000
        await projections.catch_up(running)
        yield running


async def test_a_summary(core: Core) -> None:
    found = await analytics.summary(core, asked())
    runs = found.runs.whole
    assert (runs.count, runs.completed, runs.cancelled, runs.failed, runs.ongoing) == (3, 2, 1, 0, 0)
    assert runs.non_interactive == 1
    assert found.model_calls.count == 4  # two responses, a failed try, a told one; the aggregate does not count
    assert (found.model_calls.input_tokens, found.model_calls.output_tokens) == (310, 24)
    assert found.model_calls.models == ("gpt", "gpt-test")
    assert (found.tool_calls.count, found.tool_calls.tools) == (4, ("look", "write_plan"))
    assert found.nested.count == 0
    mine = await analytics.summary(core, asked(ANN))
    assert (mine.runs.whole.count, mine.tool_calls.count) == (2, 3)
    nobody = await analytics.summary(core, Asked(ProjectId(new_uuid(0)), BOSS))
    assert (nobody.runs.whole.count, nobody.model_calls.count, nobody.model_calls.timing.avg_ms) == (0, 0, None)


async def test_tokens_and_latency(core: Core) -> None:
    hours: dict[str, Any] = {"resolution": Resolution.HOUR, "group_by": Dimension.MODEL}
    found = await analytics.tokens(core, asked(**hours))
    assert {name: made.input_tokens for name, made in found.by_dimension} == {"gpt-test": 300, "gpt": 10}
    assert [(when, made.input_tokens) for when, made in found.series] == [
        (datetime(2023, 11, 14, 22, tzinfo=UTC), 300),
        (datetime(2023, 11, 14, 23, tzinfo=UTC), 10),
    ]
    latency = (await analytics.model_latency(core, asked(wanted=AnalyticsFilter(agents=("writer",))))).whole
    assert (latency.count, latency.successes) == (3, 2)
    timing = latency.timing
    assert (timing.count, timing.min_ms, timing.max_ms, timing.median_ms, timing.avg_ms) == (3, 50, 300, 100, 150)
    assert timing.p95_ms == pytest.approx(280)
    tool = await analytics.tool_latency(core, asked(group_by=Dimension.AGENT))
    assert {name: made.count for name, made in tool.by_dimension} == {"writer": 3, "reader": 1}
    agents = await analytics.agent_latency(core, asked(group_by=Dimension.AGENT, limit=1))
    assert [(name, made.count) for name, made in agents.by_dimension] == [("writer", 2)]


async def test_errors(core: Core) -> None:
    found = await analytics.errors(core, asked(group_by=Dimension.TOOL))
    assert (found.calls.whole.count, found.calls.whole.successes) == (8, 5)
    assert found.model_calls.count - found.model_calls.successes == 1
    assert found.tool_calls.count - found.tool_calls.successes == 2
    assert {name: made.count for name, made in found.by_type} == {"Overloaded": 1, "tool_error": 1, "Timeout": 1}


async def test_tools_and_their_parameters(core: Core) -> None:
    found = await analytics.tools(core, asked())
    assert [(name, made.count, made.tool_type) for name, made in found.by_dimension] == [
        ("look", 3, "remote"),
        ("write_plan", 1, "builtin"),
    ]
    look = await analytics.tool_parameters(core, asked(), "look")
    assert look.calls == 3
    [q] = look.parameters
    assert (q.name, q.given, q.different) == ("q", 3, 3)
    assert [(value.value, value.count) for value in q.top] == [("1", 1), ("2", 1), ("x", 1)]
    mine = await analytics.tool_parameters(core, asked(ANN, limit=1), "look")
    assert (mine.calls, [len(one.top) for one in mine.parameters]) == (2, [1])


async def test_what_there_is_to_filter_by(core: Core) -> None:
    found = await analytics.filter_options(core, asked())
    assert found.agents == ("reader", "writer")
    assert found.models == (("env", "gpt"), ("openai", "gpt-test"))
    assert found.principals == ("user:ann", "user:bob")


async def test_the_rest(core: Core) -> None:
    prompts = await analytics.prompt_size(core, asked())
    assert {name: made.avg_input_tokens for name, made in prompts.by_dimension} == {"writer": 100, "reader": 10}
    principals = await analytics.top_principals(core, asked())
    assert [(name, made.count) for name, made in principals.by_dimension] == [("user:bob", 2), ("user:ann", 1)]
    assert (await analytics.top_principals(core, asked(ANN))).whole.count == 2
    by_agent = await analytics.runs_by_agent(core, asked())
    assert [(name, made.count) for name, made in by_agent.by_dimension] == [("writer", 2), ("reader", 1)]
    first = (await analytics.time_to_first_response(core, asked())).whole.first_response
    assert (first.count, first.max_ms) == (2, 501)
    behavior = (await analytics.first_response_behavior(core, asked(resolution=Resolution.MONTH, step=2))).series
    [(when, figures)] = behavior
    assert when == datetime(2023, 11, 1, tzinfo=UTC)
    assert (figures.count, figures.planned, figures.others, figures.none) == (3, 1, 2, 0)


async def test_filters(core: Core) -> None:
    for wanted, runs, calls in (
        (AnalyticsFilter(models=("gpt",)), 1, 1),
        (AnalyticsFilter(environments=("openai",)), 1, 3),
        (AnalyticsFilter(run_ids=("one", "three")), 2, 3),
        (AnalyticsFilter(principals=("user:bob",)), 2, 1),
        (AnalyticsFilter(success=False), 1, 1),
        (AnalyticsFilter(tools=("write_plan",)), 1, 0),
        (AnalyticsFilter(tool_types=("remote",)), 1, 0),
    ):
        found = await analytics.summary(core, asked(wanted=wanted))
        assert (found.runs.whole.count, found.model_calls.count) == (runs, calls), wanted
    end = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(hours=1)
    assert (await analytics.summary(core, asked(until=end))).runs.whole.count == 1
    assert (await analytics.summary(core, asked(since=end))).runs.whole.count == 2


@pytest.mark.parametrize("resolution", list(Resolution))
async def test_resolutions(core: Core, resolution: Resolution) -> None:
    for step in (1, 5, 12):
        question = asked(resolution=resolution, step=step)
        calls = await analytics.tokens(core, question)
        assert sum(made.count for _, made in calls.series) == calls.whole.count
        runs = await analytics.agent_latency(core, question)
        assert sum(made.count for _, made in runs.series) == runs.whole.count


async def test_what_cannot_be_answered(core: Core) -> None:
    start = datetime(2023, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidRequest):
        await analytics.tokens(core, asked(since=start, until=start - timedelta(days=1)))
    with pytest.raises(InvalidRequest):
        await analytics.tokens(core, asked(since=start, resolution=Resolution.MINUTE))
