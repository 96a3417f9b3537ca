"""Webhooks, and the deliveries that started a run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.run import Status
from perdure.domain.webhook import Webhook, WebhookId, WebhookRun, WebhookSpec, WebhookStatus
from perdure.domain.webhook_signature import SignatureScheme
from perdure.store.database import Database
from perdure.store.queries import load

if TYPE_CHECKING:
    import asyncpg

_SQL = load("webhooks")


async def create(database: Database, new: Webhook) -> None:
    """Store a new webhook."""
    await database.execute(
        _SQL["create_webhook"],
        new.project_id, new.id, new.name, new.status, new.scheme, new.secret, _json(new.spec), new.created_by,
        new.created_at,
    )  # fmt: skip


async def get(database: Database, project_id: ProjectId, webhook_id: WebhookId) -> Webhook | None:
    """One webhook of a project."""
    row = await database.fetchrow(_SQL["get_webhook"], project_id, webhook_id)
    return None if row is None else _webhook(row)


async def find(database: Database, webhook_id: WebhookId) -> Webhook | None:
    """A webhook of whichever project."""
    row = await database.fetchrow(_SQL["find_webhook"], webhook_id)
    return None if row is None else _webhook(row)


async def list_all(database: Database, project_id: ProjectId) -> list[Webhook]:
    """The webhooks of a project, oldest first."""
    return [_webhook(row) for row in await database.fetch(_SQL["list_webhooks"], project_id)]


async def change(database: Database, changed: Webhook) -> Webhook | None:
    """Store what was changed in a webhook that was read; None when somebody else changed it meanwhile."""
    row = await database.fetchrow(
        _SQL["change_webhook"],
        changed.project_id, changed.id, changed.revision, changed.name, changed.status, changed.secret,
        _json(changed.spec), changed.updated_at,
    )  # fmt: skip
    return None if row is None else _webhook(row)


async def delete(database: Database, project_id: ProjectId, webhook_id: WebhookId) -> bool:
    """Delete a webhook; whether there was one."""
    return await database.fetchrow(_SQL["delete_webhook"], project_id, webhook_id) is not None


async def note_delivery(
    database: Database, key: RunKey, webhook_id: WebhookId, event_id: str, now: datetime, *, repeated: bool
) -> None:
    """Remember a delivery's run. Changes nothing where the webhook or the run is gone."""
    await database.execute(_SQL["note_delivery"], key.project_id, webhook_id, event_id, key.run_id, now, repeated)


async def note_failure(database: Database, webhook: Webhook, reason: str) -> None:
    """Remember why a delivery started no run."""
    await database.execute(_SQL["note_failed_delivery"], webhook.project_id, webhook.id, reason)


async def list_deliveries(
    database: Database, project_id: ProjectId, webhook_id: WebhookId, limit: int
) -> list[WebhookRun]:
    """The newest deliveries that started a run."""
    rows = await database.fetch(_SQL["list_deliveries"], project_id, webhook_id, limit)
    return [
        WebhookRun(
            row["event_id"], RunId(row["run_id"]), row["latest_event_id"], Status(row["status"]), row["repeated"]
        )
        for row in rows
    ]


def _json(spec: WebhookSpec) -> str:
    return msgspec.json.encode(spec).decode()


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook(
        id=WebhookId(row["id"]),
        project_id=ProjectId(row["project_id"]),
        name=row["name"],
        status=WebhookStatus(row["status"]),
        scheme=SignatureScheme(row["scheme"]),
        secret=row["secret"],
        spec=msgspec.json.decode(row["spec"], type=WebhookSpec),
        last_error=row["last_error"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        revision=row["revision"],
    )
