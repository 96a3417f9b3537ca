"""Conversations: create, read, list, change, delete (veryfront.md 1.5)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime
from uuid import UUID

from perdure.domain.conversation import Conversation, ConversationChange, ConversationType, RunPolicy
from perdure.domain.errors import ConversationNotFound
from perdure.domain.ids import ConversationId, ProjectId, RunKey, new_uuid
from perdure.domain.run import TERMINAL
from perdure.ledger.notify import LOG_CHANNEL, run_item
from perdure.services import artifacts, lifecycle
from perdure.services.core import Core
from perdure.store import conversations, runs

MAX_PAGE = 200
_DELETED = "The conversation was deleted."


async def create(
    core: Core,
    project_id: ProjectId,
    *,
    type: ConversationType,
    title: str | None,
    metadata: str | None,
    run_policy: RunPolicy = RunPolicy.ALLOW,
) -> Conversation:
    """A new conversation. `metadata` is JSON."""
    now = core.clock()
    at = runs.at(now)
    return await conversations.create(
        core.database,
        Conversation(project_id, ConversationId(new_uuid(now)), type, title, metadata, run_policy, at, at),
    )


async def get(core: Core, project_id: ProjectId, conversation_id: ConversationId) -> Conversation:
    """One conversation. Raises ConversationNotFound."""
    return _found(await conversations.get(core.database, project_id, conversation_id), conversation_id)


async def list_page(
    core: Core, project_id: ProjectId, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Conversation]:
    """A page of conversations, newest first; one more than `limit` when there are more."""
    return await conversations.list_page(core.database, project_id, before=before, limit=min(limit, MAX_PAGE) + 1)


async def update(
    core: Core, project_id: ProjectId, conversation_id: ConversationId, change: ConversationChange
) -> Conversation:
    """Change what a conversation is called and what it carries. Raises ConversationNotFound."""
    now = runs.at(core.clock())
    changed = await conversations.update(core.database, project_id, conversation_id, change, now)
    return _found(changed, conversation_id)


async def delete(
    core: Core, project_id: ProjectId, conversation_id: ConversationId, wait_seconds: float
) -> list[RunKey]:
    """Delete a conversation with its messages, runs, their events and files; answers the runs that went with it.

    What still runs in it is cancelled first, with its children, and its workers get `wait_seconds` to end it. A worker
    that does not come back in time finds its run gone and stops. Raises ConversationNotFound.
    """
    await get(core, project_id, conversation_id)
    live = await conversations.live_runs(core.database, project_id, conversation_id)
    for key in live:
        await lifecycle.cancel(core, key, _DELETED)
    await _ended(core, live, wait_seconds)
    gone = await conversations.delete(core.database, project_id, conversation_id)
    if gone is None:
        raise ConversationNotFound(f"There is no conversation {conversation_id}.")
    core.hub.grew(gone)
    core.notifier.say(LOG_CHANNEL, map(run_item, gone))
    lifecycle.announce_moved(core, gone)
    await artifacts.sweep_quietly(core)
    return list(gone)


async def _ended(core: Core, keys: list[RunKey], seconds: float) -> None:
    """Waits until the runs have ended, but not longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            for key in keys:
                run = await runs.get(core.database, key)
                if run is None or run.status in TERMINAL:
                    continue
                async with aclosing(core.hub.follow(key, run.latest_event_id)) as rows:
                    async for _ in rows:
                        pass
    except TimeoutError:
        pass


def _found(conversation: Conversation | None, conversation_id: ConversationId) -> Conversation:
    if conversation is None:
        raise ConversationNotFound(f"There is no conversation {conversation_id}.")
    return conversation
