"""Hand due runs to push services (veryfront.md 1.8).

A run is claimed for a service like for any worker: running, leased and fenced. Then it is sent. A service that answers
202 holds it from then on, and its heartbeats keep the lease. While it is being sent, a short lease of the sender's
stands: a server that dies before or after the answer loses nothing, because the run is sent again, and services know a
run that they have by its id. It goes to the same service then, as long as that one is alive.

Answers of 408, 429 and 5xx, and calls without an answer, give the run back to the queue, to be sent again after a pause
that doubles (`domain.push_service.backoff_ms`). After MAX_TRIES it fails. Any other answer fails it at once, with the
service's `errorCode`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
import msgspec

from perdure.domain.errors import EgressRefused
from perdure.domain.ids import ProjectId, RunId
from perdure.domain.lease import Held
from perdure.domain.message import Message, Role, parse_messages
from perdure.domain.push_request import can_be_sent, push_body
from perdure.domain.push_service import MAX_TRIES, SILENT_SECONDS, PushClaim, PushService, backoff_ms
from perdure.domain.run import Finish, RunError, Status
from perdure.domain.stored_run import Run
from perdure.services import issued_tokens, lifecycle, messages
from perdure.services import projects as project_service
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.egress import CALL_SECONDS, Reply, call
from perdure.store import push_services as store
from perdure.store.runs import at
from perdure.telemetry import LogLine, get_logger

RUN_EVENT_TOKEN: Final = "X-Veryfront-Run-Event-Token"
LEASE_SECONDS: Final = 2 * CALL_SECONDS
"""The sender's lease; it is longer than a call."""

NO_RUNTIME: Final = "PUSH_RUNTIME_UNAVAILABLE"
REFUSED: Final = "PUSH_RUNTIME_REFUSED"
EGRESS: Final = "EGRESS_REFUSED"
NO_CONVERSATION: Final = "DURABLE_CHAT_ROOT_REQUIRES_CONVERSATION"
"""The word of the runtimes for a run that belongs to no conversation."""

_RETRIED: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Sending:
    """A run that was claimed for a service."""

    service: PushService
    claim: PushClaim

    @property
    def held(self) -> Held:
        """The sender's hold on it."""
        return Held(self.claim.claimed.key, self.claim.claimed.fence)


async def living(core: Core) -> list[PushService]:
    """The services that get work now, in an order of chance, so that those of one kind share it."""
    found = await store.live(core.database, at(core.clock()) - timedelta(seconds=SILENT_SECONDS))
    random.shuffle(found)
    return found


async def claim(core: Core, service: PushService, limit: int) -> list[Sending]:
    """Take up to `limit` due runs for a service: of each project by priority, then age. For a service of all projects
    the one with the fewest runs in flight comes first, as in every claim."""
    if service.project_id is not None:
        return await _claim(core, service, service.project_id, limit)
    in_flight = await store.waiting_projects(core.database, service.routes, at(core.clock()))
    taken: list[Sending] = []
    while in_flight and len(taken) < limit:
        first = min(in_flight, key=lambda project: in_flight[project])
        # Where projects are to be compared, each run counts before the next is looked for.
        more = await _claim(core, service, first, 1 if len(in_flight) > 1 else limit - len(taken))
        if more and len(in_flight) > 1:
            in_flight[first] += 1
        else:
            del in_flight[first]
        taken.extend(more)
    return taken


async def _claim(core: Core, service: PushService, project_id: ProjectId, limit: int) -> list[Sending]:
    silence, lease = timedelta(seconds=SILENT_SECONDS), timedelta(seconds=LEASE_SECONDS)
    claimed = await store.claim(core.database, service, project_id, limit, core.clock, silence=silence, lease=lease)
    lifecycle.announce_claimed(core, [one.claimed for one in claimed])
    return [Sending(service, one) for one in claimed]


async def send(core: Core, client: httpx.AsyncClient, sending: Sending) -> None:
    """Send a claimed run to its service, and see to what the answer means. Raises Unavailable, RunNotFound."""
    run = await run_service.get(core, sending.held.key)
    if run.conversation_id is None or run.message_id is None:
        await _fail(core, sending, RunError("A push runtime takes runs of a conversation only.", NO_CONVERSATION))
        return
    if not can_be_sent(run.run_id):
        await _fail(core, sending, RunError("A push runtime takes run ids of letters, digits, _ and - only.", REFUSED))
        return
    try:
        reply = await _post(core, client, sending.service, run)
    except EgressRefused as refused:
        await _fail(core, sending, RunError(refused.detail, EGRESS))
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        await _not_taken(core, sending, f"it cannot be reached ({type(error).__name__})")
    except httpx.HTTPError as error:
        # It may have the run: it is asked again, and nobody else while it lives.
        await _again(core, sending, f"it did not answer ({type(error).__name__})", NO_RUNTIME)
    else:
        await _answered(core, sending, run, reply)


async def _post(core: Core, client: httpx.AsyncClient, service: PushService, run: Run) -> Reply:
    project = await project_service.get(core, str(run.project_id))
    body = push_body(run, await _messages(core, run), project.slug)
    headers = {
        **await headers_for(core, run),
        RUN_EVENT_TOKEN: await issued_tokens.event_writer_token(core, run.key),
    }
    return await call(client, "POST", service.invoke_url, headers=headers, content=msgspec.json.encode(body))


async def headers_for(core: Core, run: Run) -> dict[str, str]:
    """What a service needs to know that it is us, and to call us back about the run."""
    token = await issued_tokens.runtime_token(core, run)
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


async def _messages(core: Core, run: Run) -> Sequence[Message]:
    """The run's own messages, and without any, what the conversation says before it."""
    asked: Any = {} if run.input is None else msgspec.json.decode(run.input)
    given = asked.get("messages")
    if given:
        return parse_messages(given, "/request/input/messages")
    past = await messages.before_run(core, run)
    return [Message(str(one.id), Role(one.role), tuple(msgspec.json.decode(one.parts))) for one in past]


async def _answered(core: Core, sending: Sending, run: Run, reply: Reply) -> None:
    if 200 <= reply.status < 300:
        await _hand_over(core, sending, run)
        return
    said = error_code(reply)
    if reply.status in _RETRIED or reply.status >= 500:
        await _not_taken(core, sending, f"it answered {reply.status}" + (f" {said}" if said else ""), said)
        return
    reason = f"The push runtime {sending.service.service_name} refused the run: {reply.status}" + (
        f" {said}." if said else "."
    )
    await _fail(core, sending, RunError(reason, said or REFUSED))


def error_code(reply: Reply) -> str | None:
    """What a service calls its error (`errorCode`, or `error` where it answers a resume)."""
    try:
        said = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return None
    found = (said.get("errorCode") or said.get("error")) if isinstance(said, dict) else None
    return found[:128] if isinstance(found, str) and found.isprintable() else None


async def _hand_over(core: Core, sending: Sending, run: Run) -> None:
    held, service = sending.held, sending.service
    now = at(core.clock())
    expires = now + timedelta(seconds=SILENT_SECONDS)
    if not await store.hand_over(core.database, held, service.id, expires, run.latest_event_id):
        await store.tell_cancel(core.database, held.key, service.id, now)
    get_logger().info(LogLine.PUSH_ACCEPTED, run_id=_id(sending), service=service.service_key)


async def _not_taken(core: Core, sending: Sending, what: str, code: str | None = None) -> None:
    await store.not_taken(core.database, sending.held.key, sending.service.id)
    await _again(core, sending, what, code or NO_RUNTIME)


async def _again(core: Core, sending: Sending, what: str, code: str) -> None:
    """Give the run back to the queue, to be sent again later; fail it when that was done often enough."""
    tries, service = sending.claim.tries, sending.service
    get_logger().warning(
        LogLine.PUSH_FAILED, run_id=_id(sending), service=service.service_key, tries=tries, reason=what
    )
    if tries >= MAX_TRIES:
        message = f"No push runtime took the run in {tries} tries. The last was {service.service_name}: {what}."
        await _fail(core, sending, RunError(message, code))
        return
    await lifecycle.give_back(core, sending.held, "dispatch_failed", delay_ms=backoff_ms(tries, random.random()))


async def _fail(core: Core, sending: Sending, error: RunError) -> None:
    get_logger().warning(LogLine.PUSH_REFUSED, run_id=_id(sending), code=error.code, reason=error.message)
    await lifecycle.apply(core, sending.held.key, Finish(Status.FAILED, error, sending.held.fence))


def _id(sending: Sending) -> RunId:
    return sending.held.key.run_id
