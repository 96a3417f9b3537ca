"""Forms that runs put before people."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.client.conversation_models import InputRequest
from perdure.client.models import Page
from perdure.client.transport import Call, Query, Transport, url_of

Value = str | bool | int | float | None


class InputRequests:
    """`client.inputs`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(
        self, conversation_id: str, *, status: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[InputRequest]:
        """A page of a conversation's input requests; `status` `open` shows those that wait for an answer."""
        query: Query = {"status": status, "limit": limit, "cursor": cursor}
        call = Call("GET", _url(conversation_id), repeatable=True, query=query)
        return await self._transport.call(call, Page[InputRequest])

    async def get(self, conversation_id: str, request_id: str) -> InputRequest:
        """One input request."""
        call = Call("GET", _url(conversation_id, request_id), repeatable=True)
        return await self._transport.call(call, InputRequest)

    async def respond(self, conversation_id: str, request_id: str, values: Mapping[str, Value]) -> InputRequest:
        """Answer a form, a value by field; the request as it is then. The first answer stands, the same one may be
        sent again.

        ApiError `invalid_request` for a value that does not fit its field.
        """
        url = _url(conversation_id, request_id, "responses")
        call = Call("POST", url, repeatable=True, body={"values": dict(values)})
        return await self._transport.call(call, InputRequest)

    async def cancel(self, conversation_id: str, request_id: str) -> InputRequest:
        """Withdraw a form; the request as it is then."""
        call = Call("POST", _url(conversation_id, request_id, "cancel"), repeatable=True)
        return await self._transport.call(call, InputRequest)


def _url(conversation_id: str, *more: str) -> str:
    return url_of("conversations", conversation_id, "input-requests", *more)
