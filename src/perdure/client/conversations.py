"""Runs as their conversations see them: for those who execute a run themselves and mirror its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perdure.client.models import Appended, ConversationRun
from perdure.client.transport import Call, Transport, url_of


class Conversations:
    """`client.conversations`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
    ) -> Appended:
        """Append 1 to 100 events, all of them or none.

        With an expected cursor a repeated append is recognised and stores nothing twice, so only then is it repeated
        after a lost answer. ApiError `cursor_mismatch` when others have appended meanwhile.
        """
        cursors = {
            "expected_previous_event_id": expected_previous_event_id,
            "expected_previous_external_event_sequence": expected_previous_external_event_sequence,
        }
        given = {name: cursor for name, cursor in cursors.items() if cursor is not None}
        call = Call(
            "POST",
            url_of("conversations", conversation_id, "runs", run_id, "events"),
            repeatable=bool(given),
            body={"events": list(events), **given},
        )
        return await self._transport.call(call, Appended)
