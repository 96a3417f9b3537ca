"""A real model class of the library against a scripted OpenAI-compatible server: refusals and broken connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models import override_allow_model_requests
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from perdure.execution.log import Completed
from perdure.execution.model_retry import RetryPolicy
from perdure.execution.registry import App
from tests.unit.execution.attempts import run_attempt
from tests.unit.execution.memory_log import MemoryLog, check_rules, context, recorded, results, transcript


def chunk(finish: str | None = None, **delta: object) -> str:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {msgspec.json.encode(body).decode()}\n\n"


def call(name: str, call_id: str, arguments: str) -> dict[str, object]:
    return {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@dataclass
class Answer:
    """One answer: status and headers, then chunks; `broken` ends it in the middle of the body."""

    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[str] = field(default_factory=list)
    broken: bool = False


@dataclass
class Provider:
    answers: list[Answer]
    requests: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
        await reader.readexactly(length)
        self.requests += 1
        answer = self.answers.pop(0)
        headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked", "connection": "close"}
        lines = [f"HTTP/1.1 {answer.status}", *(f"{k}: {v}" for k, v in (headers | answer.headers).items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        for text in answer.chunks:
            writer.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
            await writer.drain()
        if not answer.broken:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


DONE = "data: [DONE]\n\n"


async def test_streams_calls_tools_and_survives_what_providers_do() -> None:
    provider = Provider(
        [
            Answer("429 Too Many Requests", {"retry-after": "3", "x-should-retry": "false"}, ["{}"]),
            Answer("429 Too Many Requests", {"retry-after": "4"}, ["{}"]),
            Answer(chunks=[chunk(content="Let me "), chunk(content="s")], broken=True),
            Answer(
                chunks=[
                    chunk(content="Let me see."),
                    chunk(tool_calls=[call("double", "call_a", '{"numb')]),
                    chunk(tool_calls=[{"index": 0, "function": {"arguments": 'er": 21}'}}]),
                    chunk(finish="tool_calls"),
                    DONE,
                ]
            ),
            Answer("500 Oops", chunks=["{}"]),
            Answer(chunks=[chunk(content="It is "), chunk(content="42."), chunk(finish="stop"), DONE]),
        ]
    )
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    # The server is on loopback: nothing leaves the machine.
    async with provider.running() as url:
        client = OpenAIProvider(base_url=url, api_key="none")
        client.client.max_retries = 0
        agent = Agent(OpenAIChatModel("m", provider=client))

        @agent.tool_plain
        def double(number: int) -> int:
            return 2 * number

        app = App()
        app.agent("tested", agent)
        log = MemoryLog()
        # The first 429 says that another try is useless: it is believed.
        policy = RetryPolicy(sleep=sleep, jitter=lambda: 1.0)
        with override_allow_model_requests(True):
            with pytest.raises(ModelHTTPError, match="429"):
                await run_attempt(app.agents["tested"], context(log), policy)
            assert waits == []
            log = MemoryLog(log.lines)
            outcome = await run_attempt(app.agents["tested"], context(log, attempt=2), policy)
        await client.client.close()
    assert waits == [4.0, 1.0, 0.5]
    assert isinstance(outcome, Completed)
    assert (outcome.output, outcome.finish_reason, outcome.model) == ("It is 42.", "stop", "m")
    check_rules(log.lines)
    assert list(transcript(log.lines).values()) == ["Let me see.", "It is 42."]
    assert results(log.lines) == {"call_a": "42"}
    assert recorded(log.lines) == ["error:model:1", "model:1", "tool:call_a", "model:2"]
    assert provider.requests == 6
