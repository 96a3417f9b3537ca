"""Input requests: asked, answered, cancelled, expired by the server's clock (veryfront.md 1.6).

What becomes of a request and the event that tells the run's log are one statement; the event is the server's own and
does not move the external sequence, so a run that waits is told, too. The first settlement stands. When a run ends, its
open requests are cancelled with it, in the statement that ends it (`lifecycle`); the terminal event is what tells of
that.

An open request does not park its run: the client's form tool asks from within the run, goes on to append (its own
event about the request, and what it had queued), and reads the request until it is settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from perdure.domain.errors import Conflict, NotFound, RunIsTerminal
from perdure.domain.event import custom, line_of
from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey, new_uuid
from perdure.domain.input_request import (
    InputRequest,
    InputResponse,
    InputStatus,
    Responder,
    Values,
    check_fields,
    check_values,
    shown_values,
)
from perdure.ledger.notify import LOG_CHANNEL, run_item
from perdure.services import conversations, lifecycle, runs
from perdure.services.core import Core
from perdure.store import input_requests as store
from perdure.store.runs import at

MAX_PAGE: Final = 200
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `fields` and `metadata` are as they came; `expires_at` is None for one that waits for ever."""

    run_id: RunId
    tool_call_id: str
    responder: Responder
    title: str
    description: str | None
    fields: list[dict[str, Any]]
    metadata: dict[str, Any] | None
    expires_at: datetime | None


async def create(core: Core, project_id: ProjectId, conversation_id: ConversationId, asked: Question) -> InputRequest:
    """Ask. Raises RunNotFound for a run of another conversation, RunIsTerminal for one that has ended, and
    InvalidRequest for fields that make no form."""
    check_fields(asked.fields)
    await runs.get_in_conversation(core, RunKey(project_id, asked.run_id), conversation_id)
    now = core.clock()
    made = InputRequest(
        project_id=project_id,
        conversation_id=conversation_id,
        id=new_uuid(now),
        run_id=asked.run_id,
        tool_call_id=asked.tool_call_id,
        status=InputStatus.OPEN,
        responder=asked.responder,
        title=asked.title,
        description=asked.description,
        fields=msgspec.json.encode(asked.fields).decode(),
        metadata=None if asked.metadata is None else msgspec.json.encode(asked.metadata).decode(),
        created_at=at(now),
        expires_at=asked.expires_at,
    )
    if not await store.create(core.database, made, _event("created", made), now):
        raise RunIsTerminal(f"Run {asked.run_id} has ended: nobody would read an answer.")
    _announce(core, made)
    return made


async def get(core: Core, project_id: ProjectId, conversation_id: ConversationId, request_id: UUID) -> InputRequest:
    """One input request; one whose time is over has expired. Raises NotFound."""
    found = await store.get(core.database, project_id, conversation_id, request_id)
    now = core.clock()
    if found is not None and found.due(at(now)):
        await _expire(core, project_id, conversation_id, now)
        found = await store.get(core.database, project_id, conversation_id, request_id)
    if found is None:
        raise NotFound(f"There is no input request {request_id} in conversation {conversation_id}.")
    return found


async def list_page(
    core: Core,
    project_id: ProjectId,
    conversation_id: ConversationId,
    *,
    status: InputStatus | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[InputRequest]:
    """A page of input requests, newest first; one more than `limit` if there are more. Raises ConversationNotFound."""
    await conversations.get(core, project_id, conversation_id)
    await _expire(core, project_id, conversation_id, core.clock())
    return await store.list_page(
        core.database, project_id, conversation_id, status=status, before=before, limit=min(limit, MAX_PAGE) + 1
    )


async def list_open(
    core: Core, project_id: ProjectId, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[InputRequest]:
    """A page of what the runs of a project ask and nobody has answered, newest first; one more than `limit` if there
    are more."""
    return await store.list_open(
        core.database, project_id, at(core.clock()), before=before, limit=min(limit, MAX_PAGE) + 1
    )


async def respond(
    core: Core, project_id: ProjectId, conversation_id: ConversationId, request_id: UUID, values: Values, actor_id: str
) -> InputRequest:
    """Answer. The same answer once more changes nothing, and is no error.

    Raises NotFound, InvalidRequest for values that do not fit, and Conflict where it was settled otherwise.
    """
    asked = await get(core, project_id, conversation_id, request_id)
    check_values(msgspec.json.decode(asked.fields), values)
    now = core.clock()
    answer = InputResponse(new_uuid(now), actor_id, msgspec.json.encode(values).decode(), at(now))
    done = replace(asked, status=InputStatus.SUBMITTED, settled_at=at(now), response=answer)
    if not await _settle(core, done, now):
        stands = await get(core, project_id, conversation_id, request_id)
        if stands.response is not None and msgspec.json.decode(stands.response.values) == dict(values):
            return stands
        raise _settled(stands)
    return done


async def cancel(core: Core, project_id: ProjectId, conversation_id: ConversationId, request_id: UUID) -> InputRequest:
    """Take it back. One that is cancelled stays so. Raises NotFound, and Conflict where it was settled otherwise."""
    asked = await get(core, project_id, conversation_id, request_id)
    now = core.clock()
    done = replace(asked, status=InputStatus.CANCELLED, settled_at=at(now))
    if not await _settle(core, done, now):
        stands = await get(core, project_id, conversation_id, request_id)
        if stands.status is InputStatus.CANCELLED:
            return stands
        raise _settled(stands)
    return done


async def expire_due(core: Core) -> int:
    """Expire what is due in every project; answers how many. Maintenance calls it again and again."""
    now = core.clock()
    return await _expire_these(core, await store.all_due(core.database, at(now), _AT_ONCE), now)


async def by_tool_call(core: Core, key: RunKey) -> dict[str, dict[str, object]]:
    """What a run has asked, as its events tell it, by tool call; of two for one call the newest."""
    now = core.clock()
    found = await store.of_run(core.database, key)
    for conversation_id in {request.conversation_id for request in found if request.due(at(now))}:
        await _expire(core, key.project_id, conversation_id, now)
        found = await store.of_run(core.database, key)
    return {request.tool_call_id: told(request) for request in found}


def told(request: InputRequest) -> dict[str, object]:
    """An input request as events and the snapshot's state tell it: camelCase, and the values of secret fields null."""
    at_status = dict.fromkeys(InputStatus) | {request.status: iso_or_none(request.settled_at)}
    fields: list[dict[str, Any]] = msgspec.json.decode(request.fields)
    return {
        "id": str(request.id),
        "conversationId": str(request.conversation_id),
        "runId": request.run_id,
        "toolCallId": request.tool_call_id,
        "kind": "form",
        "status": request.status,
        "requestedResponderType": request.responder,
        "title": request.title,
        "description": request.description,
        "fields": fields,
        "recommendations": None,
        "metadata": None if request.metadata is None else msgspec.json.decode(request.metadata),
        "createdAt": iso_or_none(request.created_at),
        "expiresAt": iso_or_none(request.expires_at),
        "submittedAt": at_status[InputStatus.SUBMITTED],
        "cancelledAt": at_status[InputStatus.CANCELLED],
        "expiredAt": at_status[InputStatus.EXPIRED],
        "latestResponse": _told_response(request, fields),
    }


def iso_or_none(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and `Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told_response(request: InputRequest, fields: list[dict[str, Any]]) -> dict[str, object] | None:
    """The client's schema reads the members of a response in snake_case, also where all else is camelCase."""
    given = request.response
    if given is None:
        return None
    return {
        "id": str(given.id),
        "input_request_id": str(request.id),
        "conversation_id": str(request.conversation_id),
        "run_id": request.run_id,
        "actor_type": request.responder,
        "actor_id": given.actor_id,
        "values": shown_values(fields, msgspec.json.decode(given.values)),
        "created_at": iso_or_none(given.created_at),
    }


async def _expire(core: Core, project_id: ProjectId, conversation_id: ConversationId, now: int) -> None:
    while due := await store.due(core.database, project_id, conversation_id, at(now), _AT_ONCE):
        await _expire_these(core, due, now)


async def _expire_these(core: Core, due: Iterable[InputRequest], now: int) -> int:
    """Expire them; answers how many of them this call expired."""
    done = 0
    for asked in due:
        done += await _settle(core, replace(asked, status=InputStatus.EXPIRED, settled_at=asked.expires_at), now)
    return done


async def _settle(core: Core, done: InputRequest, now: int) -> bool:
    """Write how it was settled and tell the log; False where it was settled meanwhile."""
    settled = await store.settle(core.database, done, _event("updated", done), at(now), now)
    if settled:
        _announce(core, done)
    return settled


def _event(action: str, request: InputRequest) -> str:
    return line_of(custom("veryfront.input_request.lifecycle", {"action": action, "inputRequest": told(request)}))


def _announce(core: Core, request: InputRequest) -> None:
    """Tell those who follow the run that its log grew, and those who watch its project."""
    core.hub.grew((request.key,))
    core.notifier.say(LOG_CHANNEL, (run_item(request.key),))
    lifecycle.announce_moved(core, (request.key,))


def _settled(request: InputRequest) -> Conflict:
    return Conflict(f"The input request is {request.status} already, and stays so.")
