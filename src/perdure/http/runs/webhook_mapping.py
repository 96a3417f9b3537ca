"""Between the webhooks' dialect and the domain: pure functions."""

from __future__ import annotations

from msgspec import UNSET

from perdure.domain.errors import InvalidRequest
from perdure.domain.webhook import Webhook, WebhookRun, WebhookSpec, WebhookTemplate
from perdure.domain.webhook_signature import new_secret
from perdure.http.runs.mapping import iso
from perdure.http.runs.target_schemas import target_view
from perdure.http.runs.webhook_schemas import (
    ChangeBody,
    CreateBody,
    DeliveryView,
    RunView,
    TemplateBody,
    TemplateView,
    WebhookView,
)
from perdure.services.webhooks import Delivered, Wanted


def wanted(body: CreateBody) -> Wanted:
    """What a new webhook is to be."""
    return Wanted(body.name, body.status, WebhookSpec(_template(body.template), body.filter), body.secret)


def changed(known: Webhook, body: ChangeBody) -> Wanted:
    """What a webhook is to be after a change. Raises InvalidRequest."""
    if body.rotate_secret and body.secret is not None:
        raise InvalidRequest("Either `/secret` or `/rotate_secret`, not both.", pointer="/rotate_secret")
    spec = WebhookSpec(
        template=known.spec.template if body.template is UNSET else _template(body.template),
        filter=known.spec.filter if body.filter is UNSET else body.filter,
    )
    return Wanted(
        name=known.name if body.name is UNSET else body.name,
        status=known.status if body.status is UNSET else body.status,
        spec=spec,
        secret=new_secret(known.scheme) if body.rotate_secret else body.secret,
    )


def webhook_view(webhook: Webhook, *, with_secret: bool = False) -> WebhookView:
    """A webhook as it is answered."""
    return WebhookView(
        id=str(webhook.id),
        project_id=str(webhook.project_id),
        name=webhook.name,
        status=webhook.status,
        path=f"/webhooks/{webhook.id}",
        signature=webhook.scheme,
        secret=webhook.secret if with_secret else UNSET,
        template=_template_view(webhook.spec.template),
        filter=webhook.spec.filter,
        last_error=webhook.last_error,
        created_by=webhook.created_by,
        created_at=iso(webhook.created_at),
        updated_at=iso(webhook.updated_at),
    )


def run_view(delivered: WebhookRun) -> RunView:
    """A delivery that started a run. Both ids of the run are the same here: there is one run."""
    return RunView(
        webhook_event_id=delivered.event_id,
        run_id=delivered.run_id,
        canonical_run_id=delivered.run_id,
        latest_event_id=delivered.latest_event_id,
        status=delivered.status,
        duplicate=delivered.repeated,
    )


def delivery_view(delivered: Delivered) -> DeliveryView:
    """What a sender is answered."""
    if delivered.run_id is None:
        return DeliveryView(
            accepted=False,
            webhook_event_id=delivered.event_id,
            reason=UNSET if delivered.reason is None else delivered.reason,
        )
    return DeliveryView(
        accepted=True,
        webhook_event_id=delivered.event_id,
        run_id=delivered.run_id,
        duplicate=delivered.duplicate,
    )


def _template(body: TemplateBody) -> WebhookTemplate:
    seconds = None if body.timeout_seconds is None else int(body.timeout_seconds)
    return WebhookTemplate(body.target, body.input, body.config, body.messages, seconds)


def _template_view(template: WebhookTemplate) -> TemplateView:
    return TemplateView(
        target=target_view(template.target),
        input=template.input,
        config=template.config,
        messages=template.messages,
        timeout_seconds=template.timeout_seconds,
    )
