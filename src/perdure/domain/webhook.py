"""A webhook: an address at which signed deliveries from elsewhere start runs (veryfront.md 1.10 and 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

import msgspec

from perdure.domain.errors import InvalidRequest, NotAuthenticated, NotFound
from perdure.domain.ids import ProjectId, RunId
from perdure.domain.message import Role
from perdure.domain.run import Kind, Status
from perdure.domain.target import RunTarget, check_target
from perdure.domain.webhook_signature import SignatureScheme
from perdure.domain.webhook_template import Condition, check_conditions, check_placeholders

WebhookId = NewType("WebhookId", UUID)

MAX_PAYLOAD: Final = 64 * 1024
"""Bytes of a delivery's body (veryfront.md 6)."""


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    code = "webhook_not_found"


class SignatureRefused(NotAuthenticated):
    """The signature is missing, wrong or too old, or there is no such webhook."""

    code = "signature_refused"


class WebhookStatus(StrEnum):
    """Whether its deliveries start runs."""

    ACTIVE = "active"
    PAUSED = "paused"


class TemplateMessage(msgspec.Struct, frozen=True):
    """A message for an agent; its content may hold placeholders."""

    role: Role
    content: str


class WebhookTemplate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a delivery starts. Texts in `input`, `config` and the messages' contents may hold placeholders."""

    target: RunTarget
    input: dict[str, object] | None = None
    config: dict[str, object] | None = None
    messages: tuple[TemplateMessage, ...] = ()
    timeout_seconds: int | None = None


class WebhookSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a webhook does with a delivery; stored as JSON in `webhooks.spec`."""

    template: WebhookTemplate
    filter: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """A stored webhook. The secret is kept as it is: an HMAC cannot be checked with less.

    `last_error` is why the last delivery that should have started a run did not.
    """

    id: WebhookId
    project_id: ProjectId
    name: str
    status: WebhookStatus
    scheme: SignatureScheme
    secret: str = field(repr=False)
    spec: WebhookSpec
    last_error: str | None
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class WebhookRun:
    """A delivery and its run as it stands now. `repeated`: the delivery came more than once."""

    event_id: str
    run_id: RunId
    latest_event_id: int
    status: Status
    repeated: bool


def check_spec(spec: WebhookSpec) -> None:
    """Refuse a target that cannot be, and placeholders and paths that name nothing. Raises InvalidRequest."""
    template = spec.template
    check_target(template.target, "/template/target")
    if template.target.kind is not Kind.AGENT and template.messages:
        raise InvalidRequest("Only an agent has messages.", pointer="/template/messages")
    if template.target.kind is Kind.AGENT and "messages" in (template.input or {}):
        raise InvalidRequest(
            "Put the messages into `/template/messages`, beside the input.", pointer="/template/input/messages"
        )
    texts = {
        "input": template.input,
        "config": template.config,
        "messages": [{"content": message.content} for message in template.messages],
    }
    check_placeholders(texts, "/template")
    check_conditions(spec.filter, "/filter")
