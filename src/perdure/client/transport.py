"""One call: request, retries, errors, and the typed answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from perdure.client.errors import UnexpectedAnswer, Unreachable, api_error, seconds_asked
from perdure.client.retry import RetryPolicy, again_after_error, again_after_status

T = TypeVar("T")

Query = Mapping[str, str | int | None]
Sleep = Callable[[float], Awaitable[object]]
Jitter = Callable[[], float]

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `url` is below the base URL (`url_of`); members of `query` that are None are left out.

    `repeatable` says that the server does it once however often it is asked.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    repeatable: bool
    query: Query = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, str]:
        """The query as it is sent."""
        return {name: str(value) for name, value in self.query.items() if value is not None}


def url_of(*segments: str) -> str:
    """The path of these segments, quoted, so that an id with a slash stays one segment."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


class Transport:
    """Makes calls. `sleep` and `jitter` (0 to 1) are passed in, so that tests control time."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        policy: RetryPolicy,
        *,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = random.random,
    ) -> None:
        self.http = http
        self.policy = policy
        self.sleep = sleep
        self.jitter = jitter

    async def call(self, call: Call, answer: type[T]) -> T:
        """Make the call, again where that helps, and read its answer.

        Raises ApiError, Unreachable, UnexpectedAnswer.
        """
        return _read(call, await self._answered(call), answer)

    async def done(self, call: Call) -> None:
        """Make a call of whose answer nothing is needed. Raises ApiError, Unreachable."""
        response = await self._answered(call)
        if response.status_code >= 400:
            raise api_error(response)

    async def once(self, call: Call, answer: type[T]) -> T:
        """Make the call once. Raises ApiError, UnexpectedAnswer, and httpx.TransportError as it comes."""
        return _read(call, await self._send(call), answer)

    async def _answered(self, call: Call) -> httpx.Response:
        """The last answer. Failures before it are waited for and made up for."""
        failures = 0
        while True:
            asked: float | None = None
            try:
                response = await self._send(call)
                failures += 1
                asked = seconds_asked(response)
                again = again_after_status(response.status_code, repeatable=call.repeatable)
                if not again or failures >= self.policy.tries:
                    return response
            except httpx.TransportError as error:
                failures += 1
                if failures >= self.policy.tries or not again_after_error(error, repeatable=call.repeatable):
                    raise Unreachable(self._unreachable(error)) from error
            await self.sleep(self.policy.delay(failures, self.jitter(), asked))

    async def _send(self, call: Call) -> httpx.Response:
        content = None if call.body is None else msgspec.json.encode(call.body)
        headers = dict(call.headers) if content is None else {"content-type": "application/json", **call.headers}
        return await self.http.request(call.method, call.url, params=call.params, content=content, headers=headers)

    def _unreachable(self, error: httpx.TransportError) -> str:
        reason = str(error) or type(error).__name__
        return f"{str(self.http.base_url).rstrip('/')} does not answer: {reason}."


def _read(call: Call, response: httpx.Response, answer: type[T]) -> T:
    if response.status_code >= 400:
        raise api_error(response)
    try:
        return msgspec.json.decode(response.content, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnexpectedAnswer(
            f"{call.method} {response.url} answered {response.status_code} with something else: {error}."
        ) from error


def http_client(
    base_url: str, api_key: str | None, timeout: float, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    """The HTTP client underneath. A server on this machine is asked directly, whatever proxies are set.

    Without encryption there are no certificates to check, and none are read: that takes longer than a call.
    """
    headers = {"accept": "application/json", "user-agent": "perdure-python"}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    return httpx.AsyncClient(
        base_url=base_url,
        headers=headers,
        timeout=timeout,
        transport=transport,
        trust_env=urlsplit(base_url).hostname not in _LOOPBACK,
        verify=urlsplit(base_url).scheme != "http",
    )
