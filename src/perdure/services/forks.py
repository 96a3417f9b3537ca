"""Fork a run: a new one that starts with the source's history and goes on apart from it (vertesia.md 4.4)."""

from __future__ import annotations

from typing import Final

import msgspec

from perdure.domain.errors import RunNotFound
from perdure.domain.event import custom, line_of
from perdure.domain.ids import RunKey, new_run_id, new_uuid
from perdure.domain.run import Executor
from perdure.domain.stored_run import Run
from perdure.services import lifecycle
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.store import forks as store

_OWN: Final = frozenset(
    {"workflow_id", "first_workflow_run_id", "activity_state", "lessons_learned", "archive_state", "archived_at",
     "archive_version", "last_archive_error"}
)  # fmt: skip
"""What is said about a run and not about its fork: who executes it, and what became of it."""


async def fork(core: Core, source: Run, created_by: str) -> Run:
    """A fork of `source`, started by `created_by`. Raises RunNotFound.

    A turn that the source is in goes on in the fork, too; otherwise the fork waits for the user's next message.
    """
    now = core.clock()
    run_id = new_run_id(now)
    in_conversation = source.conversation_id is not None
    event = custom("perdure.run.forked", {"from": source.run_id, "converse": True})
    made = store.Fork(
        source=source.key,
        run_id=run_id,
        conversation_id=new_uuid(now) if in_conversation else None,
        message_id=new_uuid(now) if in_conversation else None,
        created_by=created_by,
        event=line_of(event),
        route=source.route if source.executor is not Executor.CALLER else None,
        profile=_copied(source.about.profile),
    )
    if not await store.create(core.database, made, now):
        raise RunNotFound(f"There is no run {source.run_id}.")
    key = RunKey(source.project_id, run_id)
    lifecycle.announce_moved(core, (key,))
    if made.route is not None:
        lifecycle.announce_queued(core, made.route)
    return await run_service.get(core, key)


def _copied(profile: str | None) -> str | None:
    """What is said about a run, without what is about its own execution."""
    if profile is None:
        return None
    known: dict[str, object] = msgspec.json.decode(profile)
    return msgspec.json.encode({name: fact for name, fact in known.items() if name not in _OWN}).decode()
