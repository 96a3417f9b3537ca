"""A run as it stands: for a reader who begins in the middle and then follows the stream (veryfront.md 2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from perdure.domain.agent_state import INPUT_REQUESTS, AgentState
from perdure.domain.conversation import StoredMessage
from perdure.domain.event import TERMINAL_TYPES
from perdure.domain.ids import ConversationId
from perdure.domain.stored_run import Run
from perdure.domain.transcript import Transcript
from perdure.services import input_requests, messages
from perdure.services.core import Core
from perdure.store import run_events

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a run has said up to `after_event_id`, and its terminal event (id and JSON) when it has ended.

    `messages` are the newest of the conversation, oldest first; the one that the run writes has its parts so far.
    """

    after_event_id: int
    messages: tuple[StoredMessage, ...]
    state: Mapping[str, object]
    terminal: tuple[int, str] | None


async def take(core: Core, run: Run, conversation_id: ConversationId) -> Snapshot:
    """The snapshot of a run of a conversation, as it stood when `run` was read. Raises ConversationNotFound."""
    said, state = Transcript(), AgentState()
    terminal: tuple[int, str] | None = None
    after, to = 0, run.latest_event_id
    while after < to and (rows := await run_events.read(core.database, run.key, after, limit=_ROWS_AT_ONCE)):
        for row in rows:
            for event_id, (kind, line) in enumerate(zip(row.types, row.lines(), strict=True), row.first_event_id):
                if event_id > to:
                    break
                said.add(line)
                state.add(kind, line)
                terminal = (event_id, line) if kind in TERMINAL_TYPES else terminal
        after = rows[-1].last_event_id
    found, _ = await messages.page(core, run.project_id, conversation_id, before=None, limit=messages.MAX_PAGE)
    parts = msgspec.json.encode(said.parts()).decode()
    shown = tuple(replace(message, parts=parts) if message.id == run.message_id else message for message in found)
    asked = await input_requests.by_tool_call(core, run.key)
    told = state.value()
    known = told.get(INPUT_REQUESTS)
    # The log of a run that has ended is not told what became of its input requests: what is stored counts.
    told = {**told, INPUT_REQUESTS: {**(known if isinstance(known, dict) else {}), **asked}}
    return Snapshot(to, shown, told, terminal if run.status.terminal else None)
