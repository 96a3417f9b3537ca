"""An OpenAI-compatible HTTP server on loopback that answers by a script: both of OpenAI's APIs, as streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, assert_never

import msgspec


class Api(StrEnum):
    """The path of an API below the base URL."""

    CHAT = "chat/completions"
    RESPONSES = "responses"


class Break(StrEnum):
    """How a connection breaks in the middle of an answer."""

    CHUNKED = "the last chunk is missing"
    SILENT = "the body ends with the connection, which says nothing of its length"
    RESET = "the connection is reset"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, its arguments as pieces of JSON text."""

    call_id: str
    name: str
    arguments: Sequence[str]


@dataclass(frozen=True, slots=True)
class Say:
    """An answer: text in pieces, then tool calls; with `broken` the connection breaks after the text."""

    text: Sequence[str] = ()
    calls: Sequence[Call] = ()
    broken: Break | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """A status and headers instead of an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in, with the time (monotonic seconds)."""

    path: str
    at: float
    body: dict[str, Any]


@dataclass
class OpenAIServer:
    """Answers each request to one of its `apis` with the next item of `script`, and others with 404."""

    script: list[Say | Refuse]
    apis: frozenset[Api] = frozenset(Api)
    requests: list[Request] = field(default_factory=list)

    def asked(self) -> list[Request]:
        """The requests to the APIs that it has."""
        return [request for request in self.requests if request.path.removeprefix("/v1/") in self.apis]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The base URL, while it runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request_line, *header_lines = head.splitlines()
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in header_lines)}
            body = msgspec.json.decode(await reader.readexactly(int(headers["content-length"])))
            await self._answer(request_line.split(" ")[1], body, writer)
        finally:
            writer.close()

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.requests.append(Request(path, time.monotonic(), body))
        name = path.removeprefix("/v1/")
        if name not in self.apis:
            await _refuse(Refuse(404), writer)
            return
        assert body["stream"] is True
        item = self.script.pop(0)
        if isinstance(item, Refuse):
            await _refuse(item, writer)
            return
        chunked = item.broken is not Break.SILENT
        encoding = "transfer-encoding: chunked\r\n" if chunked else ""
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{encoding}connection: close\r\n\r\n".encode()
        )
        for event in _events(Api(name), item):
            writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n" if chunked else event)
            await writer.drain()
            # Each in a packet of its own, as a model's tokens are.
            await asyncio.sleep(0.005)
        if item.broken is Break.RESET:
            writer.transport.abort()
        elif item.broken is None:
            writer.write(b"0\r\n\r\n")
            await writer.drain()


async def _refuse(refusal: Refuse, writer: asyncio.StreamWriter) -> None:
    body = msgspec.json.encode({"error": {"message": "Not now.", "type": "scripted", "code": None}})
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    lines = [f"HTTP/1.1 {refusal.status} Refused", *(f"{k}: {v}" for k, v in (headers | refusal.headers).items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    await writer.drain()


def _events(api: Api, answer: Say) -> Iterator[bytes]:
    match api:
        case Api.CHAT:
            for chunk in _chat(answer):
                yield b"data: " + msgspec.json.encode(chunk) + b"\n\n"
            if answer.broken is None:
                yield b"data: [DONE]\n\n"
        case Api.RESPONSES:
            for number, event in enumerate(_responses(answer)):
                named = msgspec.json.encode({**event, "sequence_number": number})
                yield f"event: {event['type']}\ndata: ".encode() + named + b"\n\n"
        case _:
            assert_never(api)


def _chat(answer: Say) -> Iterator[dict[str, object]]:
    def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [choice]}

    yield chunk(role="assistant", content="")
    for piece in answer.text:
        yield chunk(content=piece)
    if answer.broken:
        return
    for index, call in enumerate(answer.calls):
        function: dict[str, object] = {"name": call.name, "arguments": ""}
        yield chunk(tool_calls=[{"index": index, "id": call.call_id, "type": "function", "function": function}])
        for piece in call.arguments:
            yield chunk(tool_calls=[{"index": index, "function": {"arguments": piece}}])
    yield chunk("tool_calls" if answer.calls else "stop")
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    yield {**chunk(), "choices": [], "usage": usage}


def _responses(answer: Say) -> Iterator[dict[str, Any]]:
    response: dict[str, object] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "scripted",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": "in_progress",
    }
    yield {"type": "response.created", "response": response}
    if answer.text:
        yield from _response_text(answer)
    if answer.broken:
        return
    for index, call in enumerate(answer.calls, start=int(bool(answer.text))):
        yield from _response_call(call, index)
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    yield {"type": "response.completed", "response": {**response, "status": "completed", "usage": {**usage, **details}}}


def _response_text(answer: Say) -> Iterator[dict[str, Any]]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    part = {"type": "output_text", "text": "", "annotations": []}
    yield {"type": "response.content_part.added", **place, "part": part}
    for piece in answer.text:
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    if answer.broken:
        return
    text = "".join(answer.text)
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": {**part, "text": text}}
    done = {**item, "status": "completed", "content": [{**part, "text": text}]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}


def _response_call(call: Call, index: int) -> Iterator[dict[str, Any]]:
    arguments, item_id = "".join(call.arguments), f"fc_{call.call_id}"
    item = {"id": item_id, "type": "function_call", "call_id": call.call_id, "name": call.name, "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}}
    place = {"item_id": item_id, "output_index": index}
    for piece in call.arguments:
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    yield {"type": "response.function_call_arguments.done", **place, "name": call.name, "arguments": arguments}
    done = {**item, "status": "completed", "arguments": arguments}
    yield {"type": "response.output_item.done", "output_index": index, "item": done}
