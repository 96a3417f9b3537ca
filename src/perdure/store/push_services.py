"""Push services, and the runs that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from perdure.domain.ids import Clock, ProjectId, PushServiceId, RunId, RunKey
from perdure.domain.lease import Claimed, Held
from perdure.domain.push_service import DueErrand, Errand, PushClaim, PushService, PushStatus
from perdure.store import run_queue
from perdure.store.database import Database
from perdure.store.queries import load
from perdure.store.runs import at

if TYPE_CHECKING:
    import asyncpg

_SQL = load("push_services")


async def register(database: Database, new: PushService) -> PushService:
    """Store a service, or what it says now if it was there; as it stands then."""
    row = await database.fetchrow(
        _SQL["register_push_service"],
        new.id, new.scope_key, new.project_id, new.service_key, new.service_name, new.agent_id, new.base_url,
        new.invoke_url, new.version, new.runtime, new.region, new.last_heartbeat_at,
    )  # fmt: skip
    return new if row is None else _service(row)


async def get(database: Database, service_id: PushServiceId) -> PushService | None:
    """A service of whichever project."""
    return _or_none(await database.fetchrow(_SQL["get_push_service"], service_id))


async def list_all(database: Database, project_id: ProjectId | None) -> list[PushService]:
    """The services of a project and the global ones; all with None. Oldest first."""
    return [_service(row) for row in await database.fetch(_SQL["list_push_services"], project_id)]


async def heartbeat(
    database: Database, service_id: PushServiceId, now: datetime, leases_expire: datetime
) -> PushService | None:
    """A service was heard of; the leases of its runs last at least until then."""
    return _or_none(await database.fetchrow(_SQL["push_service_heartbeat"], service_id, now, leases_expire))


async def set_status(
    database: Database, service_id: PushServiceId, status: PushStatus, now: datetime
) -> PushService | None:
    """Disable or enable a service."""
    return _or_none(await database.fetchrow(_SQL["set_push_service_status"], service_id, status, now))


async def delete(database: Database, service_id: PushServiceId) -> bool:
    """Forget a service; whether it was there."""
    return await database.fetchrow(_SQL["delete_push_service"], service_id) is not None


async def live(database: Database, heard_since: datetime) -> list[PushService]:
    """The services that get work."""
    return [_service(row) for row in await database.fetch(_SQL["live_push_services"], heard_since)]


async def serves_agent(database: Database, project_id: ProjectId, agent_id: str) -> bool:
    """Whether a service serves an agent for a project, be it silent just now."""
    row = await database.fetchrow(_SQL["serves_agent"], project_id, agent_id)
    return row is not None and bool(row["serves"])


async def waiting_projects(database: Database, routes: Sequence[str], now: datetime) -> dict[ProjectId, int]:
    """Which projects have due runs for these routes, and how many runs of each are in flight. Of very many, some."""
    rows = await database.fetch(_SQL["projects_waiting_for_push"], list(routes), now)
    return {ProjectId(row["project_id"]): row["in_flight"] for row in rows}


async def claim(
    database: Database,
    service: PushService,
    project_id: ProjectId,
    limit: int,
    clock: Clock,
    *,
    silence: timedelta,
    lease: timedelta,
) -> list[PushClaim]:
    """Take up to `limit` due runs of a project for a service, as many as the limits of targets and projects let in.

    `silence`: how long a service may be silent before its runs are another's.
    """
    sql = _SQL["claim_push_runs"]

    def values(most: int) -> list[object]:
        now_ms = clock()  # Anew for each try, as in run_queue.claim.
        now = at(now_ms)
        named = [service.id, list(service.routes), project_id, service.agent_id]
        return [*named, now, most, now - silence, now + lease, now_ms]

    rows = await database.fetch(sql, *values(limit), False)
    if not rows or not rows[0]["limited"]:
        return _claims(rows)
    taken: list[PushClaim] = []
    async with database.transaction() as connection:
        await connection.execute(run_queue.CLAIMS_ALONE)
        while len(taken) < limit:
            # One by one: each is counted before the next is looked for.
            if not (more := _claims(await connection.fetch(sql, *values(1), True))):
                break
            taken.extend(more)
    return taken


def _claims(rows: Sequence[asyncpg.Record]) -> list[PushClaim]:
    return [PushClaim(_claimed(row), row["tries"]) for row in rows if row["run_id"] is not None]


async def hand_over(
    database: Database, held: Held, service_id: PushServiceId, expires: datetime, told_event_id: int
) -> bool:
    """The service took a run; False when it is to be told that the run is over."""
    key = held.key
    row = await database.fetchrow(
        _SQL["hand_over"], key.project_id, key.run_id, held.fence, service_id, expires, told_event_id
    )
    return row is not None


async def tell_cancel(database: Database, key: RunKey, service_id: PushServiceId, now: datetime) -> None:
    """Let the service be told of the cancel of a run, if there is one."""
    await database.execute(_SQL["tell_cancel"], key.project_id, key.run_id, service_id, now)


async def not_taken(database: Database, key: RunKey, service_id: PushServiceId) -> None:
    """The service does not hold the run."""
    await database.execute(_SQL["not_taken"], key.project_id, key.run_id, service_id)


async def take_errands(
    database: Database, now: datetime, again: datetime, limit: int, but_for: Sequence[UUID]
) -> list[DueErrand]:
    """What services other than those are to be told now. Who takes an errand has until `again` before it is due for
    another."""
    rows = await database.fetch(_SQL["take_errands"], now, again, limit, list(but_for))
    return [
        DueErrand(
            _key(row),
            Errand(row["errand"]),
            row["errand_tries"],
            row["told_event_id"],
            PushServiceId(row["service_id"]),
            row["invoke_url"],
        )
        for row in rows
    ]


async def retry_errand(database: Database, due: DueErrand, at: datetime) -> None:
    """Try an errand again at that time."""
    key = due.key
    await database.execute(_SQL["retry_errand"], key.project_id, key.run_id, due.errand, due.tries, at)


async def errand_done(database: Database, due: DueErrand, told_event_id: int) -> None:
    """An errand is done or given up."""
    key = due.key
    if due.errand is Errand.CANCEL:
        await database.execute(_SQL["cancel_told"], key.project_id, key.run_id, due.service_id, due.tries)
    else:
        await database.execute(_SQL["resume_told"], key.project_id, key.run_id, due.tries, told_event_id)


def _key(row: asyncpg.Record) -> RunKey:
    return RunKey(ProjectId(row["project_id"]), RunId(row["run_id"]))


def _claimed(row: asyncpg.Record) -> Claimed:
    return Claimed(
        _key(row), row["revision"], row["attempt"], row["fence"], row["latest_event_id"], row["available_at"]
    )


def _or_none(row: asyncpg.Record | None) -> PushService | None:
    return None if row is None else _service(row)


def _service(row: asyncpg.Record) -> PushService:
    project_id = row["project_id"]
    return PushService(
        id=PushServiceId(row["id"]),
        project_id=None if project_id is None else ProjectId(project_id),
        scope_key=row["scope_key"],
        service_key=row["service_key"],
        service_name=row["service_name"],
        agent_id=row["agent_id"],
        base_url=row["base_url"],
        invoke_url=row["invoke_url"],
        version=row["version"],
        runtime=row["runtime"],
        region=row["region"],
        status=PushStatus(row["status"]),
        last_heartbeat_at=row["last_heartbeat_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
