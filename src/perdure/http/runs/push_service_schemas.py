"""What push services send and get (veryfront.md 1.8): JSON Schemas, which are published, and structs."""

from __future__ import annotations

from typing import Final

import msgspec

from perdure.domain.push_service import PushService, PushStatus
from perdure.http.json_schema import JsonSchema, choice, members, nullable, text, uuid
from perdure.http.runs.mapping import iso
from perdure.http.schema_check import SchemaCheck
from perdure.services.push_services import Registration

_LONGEST_NAME: Final = 128
_LONGEST_URL: Final = 2048
_PRINTABLE: Final = r"^[^\u0000-\u001f\u007f]*$"
_SCOPES: Final = ("global", "project")


class RegisterBody(msgspec.Struct, frozen=True):
    """POST /agent-runtimes/push-services."""

    service_name: str
    service_key: str
    scope_kind: str
    base_url: str
    invoke_url: str
    project_id: str | None = None
    agent_id: str | None = None
    version: str | None = None
    runtime: str | None = None
    region: str | None = None


class StatusBody(msgspec.Struct, frozen=True):
    """PATCH /agent-runtimes/push-services/{service_id}."""

    status: PushStatus


class PushServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """A push service."""

    id: str
    service_name: str
    service_key: str
    scope_kind: str
    scope_key: str
    project_id: str | None
    agent_id: str | None
    base_url: str
    invoke_url: str
    status: PushStatus
    capabilities: None
    metadata: None
    version: str | None
    runtime: str | None
    region: str | None
    last_heartbeat_at: str | None
    created_at: str
    updated_at: str


def _name(description: str | None = None) -> JsonSchema:
    return text(1, _LONGEST_NAME, pattern=_PRINTABLE, description=description)


def register_schema() -> JsonSchema:
    """The schema of RegisterBody."""
    known = {
        "service_name": _name(),
        "service_key": _name("Tells the services of a scope apart; the same one again is the same service."),
        "scope_kind": choice(*_SCOPES),
        "project_id": nullable(
            text(1, _LONGEST_NAME, description="An id or slug. The key's project where it is absent.")
        ),
        "agent_id": nullable(_name("The agent whose runs it gets.")),
        "base_url": text(1, _LONGEST_URL),
        "invoke_url": text(1, _LONGEST_URL, description="Where runs are sent to."),
        "version": nullable(_name()),
        "runtime": nullable(_name()),
        "region": nullable(_name()),
    }
    return members(known, required=("service_name", "service_key", "scope_kind", "base_url", "invoke_url"))


def status_schema() -> JsonSchema:
    """The schema of StatusBody."""
    return members({"status": choice(*PushStatus)}, required=("status",))


REGISTER: Final = SchemaCheck(register_schema())
STATUS: Final = SchemaCheck(status_schema())


def push_service_schema() -> JsonSchema:
    """A push service as it is answered."""
    known = {
        "id": uuid(),
        "service_name": text(1),
        "service_key": text(1),
        "scope_kind": choice(*_SCOPES),
        "scope_key": text(1, description="`global`, or the project's id."),
        "project_id": nullable(uuid()),
        "agent_id": nullable(text()),
        "base_url": text(1),
        "invoke_url": text(1),
        "status": choice(*PushStatus, description="A disabled one gets no work, and keeps what it holds."),
        "capabilities": {"type": "null"},
        "metadata": {"type": "null"},
        "version": nullable(text()),
        "runtime": nullable(text()),
        "region": nullable(text()),
        "last_heartbeat_at": nullable(text()),
        "created_at": text(),
        "updated_at": text(),
    }
    return members(known, required=tuple(known), closed=False)


def registration(body: RegisterBody) -> Registration:
    """What a service says of itself."""
    return Registration(
        service_name=body.service_name,
        service_key=body.service_key,
        is_global=body.scope_kind == "global",
        base_url=body.base_url,
        invoke_url=body.invoke_url,
        project_ref=body.project_id,
        agent_id=body.agent_id,
        version=body.version,
        runtime=body.runtime,
        region=body.region,
    )


def push_service_view(service: PushService) -> PushServiceView:
    """A service as it is answered."""
    return PushServiceView(
        id=str(service.id),
        service_name=service.service_name,
        service_key=service.service_key,
        scope_kind="global" if service.project_id is None else "project",
        scope_key=service.scope_key,
        project_id=None if service.project_id is None else str(service.project_id),
        agent_id=service.agent_id,
        base_url=service.base_url,
        invoke_url=service.invoke_url,
        status=service.status,
        capabilities=None,
        metadata=None,
        version=service.version,
        runtime=service.runtime,
        region=service.region,
        last_heartbeat_at=iso(service.last_heartbeat_at),
        created_at=iso(service.created_at),
        updated_at=iso(service.updated_at),
    )
