"""What an append answers beside its counters, remembered: a hot append asks the database nothing more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perdure.domain.client_calls import client_tools
from perdure.domain.event import Appended
from perdure.domain.ids import ConversationId, RunKey
from perdure.domain.stored_run import Run
from perdure.http.runs.mapping import projection_head, with_counters
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.recent import Recent

ROOM = 8_192
"""Runs that are remembered, at about a kilobyte each."""


@dataclass(frozen=True, slots=True)
class _Known:
    conversation_id: ConversationId | None
    revision: int
    head: bytes
    client_tools: frozenset[str]


class Projections:
    """The projections of runs that are appended to, without their counters.

    A projection is good for as long as the run's revision, which grows with everything else that it shows; an append's
    answer brings the revision along.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._known: Recent[RunKey, _Known] = Recent(room)

    async def check(self, core: Core, key: RunKey, conversation_id: ConversationId) -> frozenset[str]:
        """The names of the run's client-side tools. Raise RunNotFound unless it belongs to the conversation."""
        known = self._known.get(key)
        if known is None or known.conversation_id != conversation_id:
            known = self._put(await run_service.get_in_conversation(core, key, conversation_id))
        return known.client_tools

    async def after(self, core: Core, key: RunKey, appended: Appended) -> bytes:
        """The run's projection after an append, as JSON."""
        known = self._known.get(key)
        if known is None or known.revision != appended.revision:
            known = self._put(await run_service.get(core, key))
        return with_counters(known.head, appended.latest_event_id, appended.latest_external_sequence)

    def forget(self, keys: Iterable[RunKey]) -> None:
        """Forget runs that are gone."""
        for key in keys:
            self._known.forget(key)

    def _put(self, run: Run) -> _Known:
        known = _Known(run.conversation_id, run.revision, projection_head(run), client_tools(run.kind, run.input))
        self._known.put(run.key, known)
        return known
