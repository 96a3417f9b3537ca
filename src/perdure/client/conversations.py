"""Conversations and their messages; and runs as their conversations see them, for those who mirror their events."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from perdure.client.conversation_models import Conversation, ConversationMessage, Snapshot
from perdure.client.models import Appended, ConversationRun, Page
from perdure.client.transport import Call, Query, Transport, url_of

FENCE_HEADER = "x-perdure-fence"


class Conversations:
    """`client.conversations`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        *,
        project_id: str | None = None,
        type: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        run_policy: str | None = None,
    ) -> Conversation:
        """A new conversation, in the caller's own project unless `project_id` says otherwise."""
        body = _given(project_id=project_id, type=type, title=title, metadata=metadata, run_policy=run_policy)
        call = Call("POST", url_of("conversations"), repeatable=False, body=body)
        return await self._transport.call(call, Conversation)

    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Conversation]:
        """A page of the conversations of the caller's project, newest first."""
        query: Query = {"limit": limit, "cursor": cursor}
        call = Call("GET", url_of("conversations"), repeatable=True, query=query)
        return await self._transport.call(call, Page[Conversation])

    async def get(self, conversation_id: str) -> Conversation:
        """One conversation. ApiError `conversation_not_found` where there is none."""
        call = Call("GET", url_of("conversations", conversation_id), repeatable=True)
        return await self._transport.call(call, Conversation)

    async def update(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        run_policy: str | None = None,
    ) -> Conversation:
        """Change the title or the policy, or replace the metadata; what is None stays."""
        body = _given(title=title, metadata=metadata, run_policy=run_policy)
        call = Call("PATCH", url_of("conversations", conversation_id), repeatable=True, body=body)
        return await self._transport.call(call, Conversation)

    async def delete(self, conversation_id: str) -> None:
        """Delete a conversation with its messages and runs; what still runs is cancelled first."""
        await self._transport.done(Call("DELETE", url_of("conversations", conversation_id), repeatable=False))

    async def add_message(
        self,
        conversation_id: str,
        content: str | Sequence[Mapping[str, Any]],
        *,
        role: str = "user",
        parent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> ConversationMessage:
        """Add a message: a text, or its parts. Repeated after a lost answer only with an `idempotency_key`."""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else builtins.list(content)
        optional = _given(parent_id=parent_id, metadata=metadata, idempotency_key=idempotency_key)
        call = Call(
            "POST",
            url_of("conversations", conversation_id, "messages"),
            repeatable=idempotency_key is not None,
            body={"role": role, "parts": parts, **optional},
        )
        return await self._transport.call(call, ConversationMessage)

    async def messages(
        self, conversation_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[ConversationMessage]:
        """A page of messages, the oldest of the page first; the first page ends with the newest, `next` leads back."""
        query: Query = {"limit": limit, "cursor": cursor}
        call = Call("GET", url_of("conversations", conversation_id, "messages"), repeatable=True, query=query)
        return await self._transport.call(call, Page[ConversationMessage])

    async def snapshot(self, conversation_id: str, run_id: str) -> Snapshot:
        """A run as it stands: messages, state, and its end. Then follow `runs.stream(…, after=after_event_id)`."""
        url = url_of("conversations", conversation_id, "runs", run_id, "snapshot")
        return await self._transport.call(Call("GET", url, repeatable=True), Snapshot)

    async def get_run(self, conversation_id: str, run_id: str) -> ConversationRun:
        """A run of a conversation, with the cursors that an append expects."""
        url = url_of("conversations", conversation_id, "runs", run_id)
        return await self._transport.call(Call("GET", url, repeatable=True), ConversationRun)

    async def append(
        self,
        conversation_id: str,
        run_id: str,
        events: Sequence[Mapping[str, Any]],
        *,
        expected_previous_event_id: int | None = None,
        expected_previous_external_event_sequence: int | None = None,
        fence: int | None = None,
    ) -> Appended:
        """Append 1 to 100 events, all of them or none.

        With an expected cursor a repeated append is recognised and stores nothing twice, so only then is it repeated
        after a lost answer. ApiError `cursor_mismatch` when others have appended meanwhile. `fence` is that of an
        external worker's claim: `stale_fence` once another worker has the run.
        """
        given = _given(
            expected_previous_event_id=expected_previous_event_id,
            expected_previous_external_event_sequence=expected_previous_external_event_sequence,
        )
        call = Call(
            "POST",
            url_of("conversations", conversation_id, "runs", run_id, "events"),
            repeatable=bool(given),
            body={"events": builtins.list(events), **given},
            headers={} if fence is None else {FENCE_HEADER: str(fence)},
        )
        return await self._transport.call(call, Appended)


def _given(**members: object) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
