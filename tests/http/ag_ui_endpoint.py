"""An AG-UI endpoint on loopback that answers as a test tells it, and what such an endpoint says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ag_ui.core import RunAgentInput
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.http.runs_app import served

Event = dict[str, Any]


class Cut(Exception):
    """The endpoint breaks its connection."""


@dataclass
class Endpoint:
    """`answers`: what each request is answered with, the last one also to all that follow: events, then perhaps Cut, an
    Event to wait for, bytes as they are, or instead of all that a status."""

    url: str = ""
    answers: list[int | list[Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: Request) -> Response:
        """One request, which must be a RunAgentInput."""
        asked = await request.json()
        RunAgentInput.model_validate(asked)
        self.asked.append(asked)
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            return Response(status_code=answer)
        return StreamingResponse(self._stream(answer), media_type="text/event-stream")

    async def _stream(self, answer: list[Any]) -> AsyncIterator[bytes]:
        try:
            for item in answer:
                if isinstance(item, asyncio.Event):
                    await item.wait()
                elif isinstance(item, Exception):
                    raise item
                else:
                    yield item if isinstance(item, bytes) else f"data: {json.dumps(item)}\n\n".encode()
        except (asyncio.CancelledError, GeneratorExit):
            self.gone.set()
            raise


@asynccontextmanager
async def endpoint(*answers: int | list[Any]) -> AsyncIterator[Endpoint]:
    """An endpoint that is up, under the path `/agent` of its URL."""
    made = Endpoint(answers=list(answers))
    async with served(Starlette(routes=[Route("/agent", made.serve, methods=["POST"])])) as url:
        made.url = url
        yield made


def said(name: str, *deltas: str, end: bool = True) -> list[Event]:
    """A text message."""
    return [
        {"type": "TEXT_MESSAGE_START", "messageId": name, "role": "assistant"},
        *({"type": "TEXT_MESSAGE_CONTENT", "messageId": name, "delta": delta} for delta in deltas),
        *([{"type": "TEXT_MESSAGE_END", "messageId": name}] if end else []),
    ]


def called(name: str, tool: str, parent: str) -> list[Event]:
    """A tool call."""
    return [
        {"type": "TOOL_CALL_START", "toolCallId": name, "toolCallName": tool, "parentMessageId": parent},
        {"type": "TOOL_CALL_ARGS", "toolCallId": name, "delta": '{"what": 1}'},
        {"type": "TOOL_CALL_END", "toolCallId": name},
    ]


STARTED: Event = {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
FINISHED: Event = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}
