"""Failing models: what is tried again, when, and what becomes of the text of a broken stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel

from perdure.execution.log import Completed
from perdure.execution.model_retry import RetryPolicy, retry_wait
from perdure.execution.registry import App
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import MemoryLog, check_rules, context, public, transcript, types


def http(status: int, retry_after: float | None = None, **headers: str) -> ModelHTTPError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ModelHTTPError(status, "m", headers=named or None, retry_after=retry_after)


def broken() -> ModelConnectionError:
    return ModelConnectionError("m", "connection reset", phase="read")


class TransportError(Exception):
    """Named as in httpx."""


class RemoteProtocolError(TransportError):
    pass


POLICY = RetryPolicy(jitter=lambda: 1.0)


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (http(429), 0.5),
        (http(429, 7.0), 7.0),
        (http(429, retry_after_ms="250"), 0.25),
        (http(500), 0.5),
        (http(529), 0.5),
        (http(408), 0.5),
        (http(503, 300.0), 300.0),
        (http(503, 300.5), None),
        (http(400), None),
        (http(401), None),
        (http(500, x_should_retry="false"), None),
        (http(400, x_should_retry="true"), 0.5),
        (ModelHTTPError.for_category(ModelQuotaExceededError, status_code=429, model_name="m"), None),
        (broken(), 0.5),
        (ConnectionResetError(), 0.5),
        (RemoteProtocolError(), 0.5),
        (ModelAPIError("m", "who knows"), None),
        (UnexpectedModelBehavior("odd"), None),
        (ValueError("a bug"), None),
        (FallbackExceptionGroup("all", [http(400), http(429, 3.0), http(429, 2.0)]), 2.0),
        (FallbackExceptionGroup("all", [http(400), ValueError()]), None),
    ],
)
def test_what_is_tried_again_and_when(error: Exception, wait: float | None) -> None:
    assert retry_wait(error, 1, POLICY) == wait


def test_waits_grow_up_to_a_limit_and_end() -> None:
    waits = [retry_wait(http(500), attempt, RetryPolicy(attempts=9, jitter=lambda: 1.0)) for attempt in range(1, 10)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, None]
    assert retry_wait(http(500), 3, RetryPolicy(jitter=lambda: 0.0)) == 1.0


@dataclass
class Provider:
    """A model that fails as often as it has failures left: before it says anything, or after some words."""

    failures: list[tuple[str, Exception]]
    waits: list[float] = field(default_factory=list)

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        said, failure = self.failures.pop(0) if self.failures else ("", None)
        if said:
            yield said
        if failure is not None:
            raise failure
        yield "All "
        yield "well."

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(attempts=4, sleep=self.sleep, jitter=lambda: 1.0)

    def app(self) -> App:
        app = App()
        app.agent("tested", Agent(FunctionModel(stream_function=self.stream)))
        return app


async def run(provider: Provider, log: MemoryLog) -> object:
    return await run_attempt(provider.app().agents["tested"], context(log), provider.policy)


async def test_a_refused_request_is_sent_again_when_the_provider_says() -> None:
    provider, log = Provider([("", http(429, 12.0)), ("", http(503))]), MemoryLog()
    outcome = await run(provider, log)
    assert isinstance(outcome, Completed)
    assert outcome.output == "All well."
    assert provider.waits == [12.0, 1.0]
    check_rules(log.lines)
    assert types(log.lines) == ["TEXT_MESSAGE_START", *["TEXT_MESSAGE_CONTENT"] * 2, "TEXT_MESSAGE_END"]


async def test_text_of_a_broken_stream_is_taken_back() -> None:
    provider, log = Provider([("All is lo", broken())]), MemoryLog()
    outcome = await run(provider, log)
    assert isinstance(outcome, Completed)
    assert outcome.output == "All well."
    assert provider.waits == [0.5]
    check_rules(log.lines)
    assert list(transcript(log.lines).values()) == ["All well."]
    [gone] = [event["value"] for event in public(log.lines) if event["type"] == "CUSTOM"]
    assert gone == {"messageId": "0123456789abcdef01234567-1-1", "reason": "model_retry"}


async def test_a_provider_that_does_not_recover_fails_the_run_and_its_last_words_stay() -> None:
    provider, log = Provider([("Oh", broken()) for _ in range(9)]), MemoryLog()
    with pytest.raises(ModelConnectionError):
        await run(provider, log)
    assert provider.waits == [0.5, 1.0, 2.0]
    await log.flush()
    check_rules(log.lines)
    assert list(transcript(log.lines).values()) == ["Oh"]


async def test_an_error_of_ours_is_not_retried() -> None:
    provider, log = Provider([("", http(400))]), MemoryLog()
    with pytest.raises(ModelHTTPError):
        await run(provider, log)
    assert provider.waits == []


async def test_words_of_a_model_that_another_one_replaces_are_taken_back() -> None:
    first, second = Provider([("Alas", http(400))]), Provider([])
    app = App()
    model = FallbackModel(
        *(FunctionModel(stream_function=p.stream, model_name=str(i)) for i, p in enumerate([first, second]))
    )
    app.agent("tested", Agent(model))
    log = MemoryLog()
    with pytest.raises(ModelHTTPError):
        # The library falls back before a stream has begun, not after.
        await run_attempt(app.agents["tested"], context(log), first.policy)
    again = MemoryLog(log.lines)
    first.failures.append(("", http(400)))
    outcome = await run_attempt(app.agents["tested"], context(again, attempt=2), first.policy)
    assert isinstance(outcome, Completed)
    check_rules(again.lines)
    assert list(transcript(again.lines).values()) == ["All well."]
