"""Webhooks (veryfront.md 1.10 and 6): kept, changed, and the runs that their deliveries start.

A delivery's run has an idempotency key that is made of the webhook's id and the delivery's: however often the sender
sends it, and to however many servers at once, it has one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from perdure.domain.errors import InvalidRequest, PayloadTooLarge, PerdureError, Unavailable
from perdure.domain.ids import ProjectId, RunId, new_uuid
from perdure.domain.json_text import decode
from perdure.domain.stored_run import Origin
from perdure.domain.webhook import (
    SignatureRefused,
    Webhook,
    WebhookId,
    WebhookNotFound,
    WebhookRun,
    WebhookSpec,
    WebhookStatus,
    WebhookTemplate,
    check_spec,
)
from perdure.domain.webhook_signature import (
    SignatureScheme,
    check_secret,
    delivery_id,
    event_name,
    is_genuine,
    new_secret,
)
from perdure.domain.webhook_template import passes, render, render_text
from perdure.services import runs as run_service
from perdure.services.core import Core
from perdure.services.runs import Created, RunRequest
from perdure.services.triggered import Content, Occasion, run_request
from perdure.store import webhooks as store
from perdure.store.runs import at
from perdure.telemetry import LogLine, get_logger

MAX_PAGE: Final = 200

_MOST_BYTES: Final = 2 * 1024 * 1024
"""Of a run's input and config together, as for every run (veryfront.md 1.2)."""

_NO_SECRET: Final = new_secret(SignatureScheme.STANDARD, bytes)
"""What a delivery to no webhook is compared with, so that it takes as long as any other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a webhook is to be, whole. `secret` is the one to take from now on; None keeps the present one."""

    name: str
    status: WebhookStatus
    spec: WebhookSpec
    secret: str | None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a delivery: its run, or the `reason` why it has none."""

    event_id: str
    run_id: RunId | None = None
    duplicate: bool = False
    reason: str | None = None


async def create(
    core: Core, project_id: ProjectId, scheme: SignatureScheme, wanted: Wanted, *, created_by: str | None
) -> Webhook:
    """A new webhook, with a new secret where none is given. Raises InvalidRequest."""
    check_spec(wanted.spec)
    secret = wanted.secret if wanted.secret is not None else new_secret(scheme)
    check_secret(scheme, secret)
    now = at(core.clock())
    new = Webhook(
        id=WebhookId(new_uuid(core.clock())),
        project_id=project_id,
        name=wanted.name,
        status=wanted.status,
        scheme=scheme,
        secret=secret,
        spec=wanted.spec,
        last_error=None,
        created_by=created_by,
        created_at=now,
        updated_at=now,
        revision=0,
    )
    await store.create(core.database, new)
    return new


async def get(core: Core, project_id: ProjectId, webhook_id: WebhookId) -> Webhook:
    """One webhook. Raises WebhookNotFound."""
    found = await store.get(core.database, project_id, webhook_id)
    if found is None:
        raise WebhookNotFound
    return found


async def list_all(core: Core, project_id: ProjectId) -> list[Webhook]:
    """The webhooks of a project, oldest first."""
    return await store.list_all(core.database, project_id)


async def change(core: Core, known: Webhook, wanted: Wanted) -> Webhook | None:
    """Change a webhook that was read; None when it was changed meanwhile, so that it is to be read again.

    A new secret takes the place of the former at once. Raises InvalidRequest.
    """
    check_spec(wanted.spec)
    secret = known.secret if wanted.secret is None else wanted.secret
    check_secret(known.scheme, secret)
    changed = replace(
        known, name=wanted.name, status=wanted.status, spec=wanted.spec, secret=secret, updated_at=at(core.clock())
    )
    return await store.change(core.database, changed)


async def delete(core: Core, project_id: ProjectId, webhook_id: WebhookId) -> None:
    """Delete a webhook; its runs stay. Raises WebhookNotFound."""
    if not await store.delete(core.database, project_id, webhook_id):
        raise WebhookNotFound


async def runs(core: Core, webhook: Webhook, limit: int) -> list[WebhookRun]:
    """The newest deliveries that started a run."""
    return await store.list_deliveries(core.database, webhook.project_id, webhook.id, min(limit, MAX_PAGE))


async def deliver(core: Core, webhook_id: WebhookId | None, headers: Mapping[str, str], body: bytes) -> Delivered:
    """Start the run of a delivery, unless its webhook wants none or it has one. Header names are in lower case.

    Raises SignatureRefused, also where there is no such webhook; InvalidRequest; PayloadTooLarge for what the template
    makes of it; and Unavailable where the run could not be started, so that the sender tries again.
    """
    webhook = None if webhook_id is None else await store.find(core.database, webhook_id)
    scheme, secret = (webhook.scheme, webhook.secret) if webhook else (SignatureScheme.STANDARD, _NO_SECRET)
    if not is_genuine(scheme, secret, headers, body, core.clock()) or webhook is None:
        core.metrics.webhook_delivered("refused")
        raise SignatureRefused
    event_id = delivery_id(webhook.scheme, headers, body)
    payload = decode(body)
    if not isinstance(payload, dict):
        raise InvalidRequest("The payload must be a JSON object.", pointer="")
    delivery: dict[str, object] = {"payload": payload}
    if (event := event_name(webhook.scheme, headers)) is not None:
        delivery["event"] = event
    if webhook.status is WebhookStatus.PAUSED:
        return _none(core, event_id, "paused")
    if not passes(webhook.spec.filter, delivery):
        return _none(core, event_id, "filtered")
    created = await _start(core, webhook, event_id, delivery)
    core.metrics.webhook_delivered("duplicate" if created.duplicate else "started")
    get_logger().info(
        LogLine.WEBHOOK_DELIVERED,
        webhook_id=str(webhook.id), run_id=created.run.run_id, duplicate=created.duplicate,
    )  # fmt: skip
    return Delivered(event_id, created.run.run_id, created.duplicate)


def _none(core: Core, event_id: str, reason: str) -> Delivered:
    core.metrics.webhook_delivered(reason)
    return Delivered(event_id, reason=reason)


async def _start(core: Core, webhook: Webhook, event_id: str, delivery: Mapping[str, object]) -> Created:
    try:
        created = await run_service.create(core, webhook.project_id, _request(webhook, event_id, delivery))
    except Unavailable:
        raise
    except PerdureError as refused:
        core.metrics.webhook_delivered("failed")
        get_logger().warning(LogLine.WEBHOOK_FAILED, webhook_id=str(webhook.id), error=refused.detail)
        await store.note_failure(core.database, webhook, refused.detail)
        if isinstance(refused, InvalidRequest):
            raise
        # What is wrong is for the webhook's owner to see and to put right, and the sender to send again.
        raise Unavailable("The run of this delivery cannot be started. Try again later.") from refused
    await store.note_delivery(
        core.database, created.run.key, webhook.id, event_id, at(core.clock()), repeated=created.duplicate
    )
    return created


def _request(webhook: Webhook, event_id: str, delivery: Mapping[str, object]) -> RunRequest:
    template = webhook.spec.template
    occasion = Occasion(
        key=f"webhook:{webhook.id}:{hashlib.sha256(event_id.encode()).hexdigest()}",
        name=f"{webhook.name} {event_id}",
        origin=Origin(trigger_kind="webhook", trigger_id=str(webhook.id)),
        created_by=webhook.created_by,
    )
    return run_request(webhook.project_id, template.target, occasion, _content(template, delivery))


def _content(template: WebhookTemplate, delivery: Mapping[str, object]) -> Content:
    given = _rendered(template.input, delivery)
    if template.messages:
        messages = [{"role": one.role, "content": render_text(one.content, delivery)} for one in template.messages]
        given = {**(given or {}), "messages": messages}
    content = Content(given, _rendered(template.config, delivery), template.timeout_seconds)
    if len(msgspec.json.encode((content.input, content.config))) >= _MOST_BYTES:
        raise PayloadTooLarge("What the webhook's template makes of this payload must be less than 2 MB.")
    return content


def _rendered(template: dict[str, object] | None, delivery: Mapping[str, object]) -> dict[str, object] | None:
    rendered = render(template, delivery)
    return rendered if isinstance(rendered, dict) else None
