"""What a webhook's owner and its sender send and get (veryfront.md 1.10): the published JSON Schemas, and structs."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from perdure.domain.message import Role
from perdure.domain.run import Kind, Status
from perdure.domain.target import RunTarget
from perdure.domain.webhook import TemplateMessage, WebhookStatus
from perdure.domain.webhook_signature import SignatureScheme
from perdure.domain.webhook_template import Condition
from perdure.http.json_schema import (
    JsonSchema,
    array,
    boolean,
    choice,
    free_object,
    integer,
    members,
    nullable,
    text,
    uuid,
)
from perdure.http.runs.target_schemas import TargetView, limit_schema, target_schema
from perdure.http.schema_check import SchemaCheck

_ROLES: Final = (Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT)
_KINDS: Final = (Kind.AGENT, Kind.TASK, Kind.WORKFLOW, Kind.EVAL)
_MOST_CONDITIONS: Final = 50
_MOST_VALUES: Final = 100
_MOST_MESSAGES: Final = 50


class TemplateBody(msgspec.Struct, frozen=True):
    """What a delivery starts. JSON Schema counts 60.0 as an integer, so a number is read as a float."""

    target: RunTarget
    input: dict[str, object] | None = None
    config: dict[str, object] | None = None
    messages: tuple[TemplateMessage, ...] = ()
    timeout_seconds: float | None = None


class CreateBody(msgspec.Struct, frozen=True):
    """POST …/webhooks."""

    name: str
    template: TemplateBody
    filter: tuple[Condition, ...] = ()
    signature: SignatureScheme = SignatureScheme.STANDARD
    secret: str | None = None
    status: WebhookStatus = WebhookStatus.ACTIVE


class ChangeBody(msgspec.Struct, frozen=True):
    """PATCH …/webhooks/{webhook_id}: what is absent stays."""

    name: str | UnsetType = UNSET
    template: TemplateBody | UnsetType = UNSET
    filter: tuple[Condition, ...] | UnsetType = UNSET
    secret: str | None = None
    rotate_secret: bool = False
    status: WebhookStatus | UnsetType = UNSET


class TemplateView(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery starts."""

    target: TargetView
    input: dict[str, object] | None
    config: dict[str, object] | None
    messages: tuple[TemplateMessage, ...]
    timeout_seconds: int | None


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook. `secret` is there where it is new."""

    id: str
    project_id: str
    name: str
    status: WebhookStatus
    path: str
    signature: SignatureScheme
    secret: str | UnsetType = UNSET
    template: TemplateView
    filter: tuple[Condition, ...]
    last_error: str | None
    created_by: str | None
    created_at: str
    updated_at: str


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that started a run."""

    webhook_event_id: str
    run_id: str
    canonical_run_id: str
    latest_event_id: int
    status: Status
    duplicate: bool


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery."""

    accepted: bool
    webhook_event_id: str
    run_id: str | UnsetType = UNSET
    duplicate: bool | UnsetType = UNSET
    reason: str | UnsetType = UNSET


def _template_schema(*, closed: bool) -> JsonSchema:
    message = members({"role": choice(*_ROLES), "content": text()}, required=("role", "content"), closed=closed)
    return members(
        {
            "target": target_schema(*_KINDS, closed=closed),
            "input": nullable(free_object("The run's input; texts may hold placeholders.")),
            "config": nullable(free_object("The run's config; texts may hold placeholders.")),
            "messages": array(
                message,
                max_items=_MOST_MESSAGES,
                description="What an agent is told; contents may hold placeholders.",
            ),
            "timeout_seconds": nullable(limit_schema()),
        },
        required=("target",),
        closed=closed,
        description=(
            "What a delivery starts. `{{ payload.a.0.b }}` stands for a value of the payload; a text that is nothing "
            "but a placeholder becomes the value itself."
        ),
    )


def _filter_schema(*, closed: bool) -> JsonSchema:
    scalar = {"type": ["string", "number", "boolean", "null"]}
    condition = members(
        {
            "path": text(1, 500, description="`payload.name.0`, `payload/name/0`, or `event`."),
            "equals": scalar,
            "in": array(dict(scalar), max_items=_MOST_VALUES),
            "exists": boolean(),
        },
        required=("path",),
        closed=closed,
    )
    return array(
        condition,
        max_items=_MOST_CONDITIONS,
        description="Which payloads start a run: those for which all of this holds. Each says one of the three.",
    )


def _changeable() -> dict[str, JsonSchema]:
    return {
        "name": text(1, 200),
        "template": _template_schema(closed=True),
        "filter": _filter_schema(closed=True),
        "status": choice(*WebhookStatus),
        "secret": nullable(text(16, 300, description="The sender's secret, where it has one.")),
    }


def create_schema() -> JsonSchema:
    """The schema of CreateBody."""
    signature = choice(*SignatureScheme, description="How deliveries are signed: as Standard Webhooks, or as GitHub.")
    return members({**_changeable(), "signature": signature}, required=("name", "template"))


def change_schema() -> JsonSchema:
    """The schema of ChangeBody."""
    return members({**_changeable(), "rotate_secret": boolean(description="Make a new secret.")})


CREATE: Final = SchemaCheck(create_schema())
CHANGE: Final = SchemaCheck(change_schema())


def webhook_schema() -> JsonSchema:
    """A webhook as it is answered."""
    known = {
        "id": uuid(),
        "project_id": uuid(),
        "name": text(1),
        "status": choice(*WebhookStatus),
        "path": text(1, description="Where deliveries are sent, on this server."),
        "signature": choice(*SignatureScheme),
        "template": _template_schema(closed=False),
        "filter": _filter_schema(closed=False),
        "last_error": nullable(text(description="Why the last delivery that should have started a run did not.")),
        "created_by": nullable(text()),
        "created_at": text(),
        "updated_at": text(),
    }
    secret = {"secret": text(1, description="Where it is new; it is told this once.")}
    return members({**known, **secret}, required=tuple(known), closed=False)


def runs_schema() -> JsonSchema:
    """The deliveries that started a run."""
    known = {
        "webhook_event_id": text(1),
        "run_id": text(1),
        "canonical_run_id": text(1),
        "latest_event_id": integer(0),
        "status": choice(*Status),
        "duplicate": boolean(description="The delivery came more than once."),
    }
    return members({"runs": array(members(known, required=tuple(known), closed=False))}, required=("runs",))


def delivery_schema() -> JsonSchema:
    """What became of a delivery."""
    return members(
        {
            "accepted": boolean(description="Whether it has a run."),
            "webhook_event_id": text(1),
            "run_id": text(1),
            "duplicate": boolean(description="It came before: the run is that of the first time."),
            "reason": choice("paused", "filtered", description="Why it has no run."),
        },
        required=("accepted", "webhook_event_id"),
        closed=False,
    )
