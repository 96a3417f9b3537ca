"""The client: one connection pool, and a part for each noun."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import httpx

from perdure.client.batches import Batches
from perdure.client.catalog import Catalog
from perdure.client.conversations import Conversations
from perdure.client.input_requests import InputRequests
from perdure.client.projects import Keys, Projects
from perdure.client.remote_agents import RemoteAgents
from perdure.client.retry import RetryPolicy
from perdure.client.runs import Runs
from perdure.client.schedules import Schedules
from perdure.client.transport import Transport, http_client
from perdure.client.workers import Workers

DEFAULT_URL: Final = "http://127.0.0.1:4000"


class Client:
    """Talks to a Perdure server. An async context manager; it may be shared by all tasks of an event loop.

    `timeout`: seconds that one try of a call may take; `transport`: what carries the requests, httpx's own if None.

    ```python
    async with Client("http://127.0.0.1:4000", api_key) as perdure:
        created = await perdure.runs.create("demo", "Plan a trip to Lisbon.")
        async for event in perdure.runs.stream(created.run.run_id):
            print(event.type)
    ```
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = http_client(base_url, api_key, timeout, transport)
        calls = Transport(self._http, retry or RetryPolicy())
        self.projects = Projects(calls)
        self.keys = Keys(calls)
        self.runs = Runs(calls, self.projects)
        self.batches = Batches(calls)
        self.catalog = Catalog(calls)
        self.conversations = Conversations(calls)
        self.inputs = InputRequests(calls)
        self.schedules = Schedules(calls, self.projects)
        self.remote_agents = RemoteAgents(calls, self.projects)
        self.workers = Workers(calls, self.projects)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
