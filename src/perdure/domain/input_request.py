"""Input requests: forms that runs put before people (veryfront.md 1.6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from jsonschema_rs import Draft202012Validator, ValidationError

from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import ConversationId, ProjectId, RunId, RunKey
from perdure.domain.json_text import pointer_token

TEXT_TYPES: Final = ("text", "email", "url", "password", "textarea")
CHOICE_TYPES: Final = ("select", "radio")
SWITCH_TYPES: Final = ("checkbox", "confirm")

Value = str | bool | int | float | None
Values = Mapping[str, Value]
Field = Mapping[str, Any]


class InputStatus(StrEnum):
    """What became of an input request. The first settlement stands."""

    OPEN = "open"
    SUBMITTED = "submitted"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Responder(StrEnum):
    """Who is asked."""

    HUMAN = "human"
    AGENT = "agent"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class InputResponse:
    """What was answered, and by whom. `values` is a JSON object."""

    id: UUID
    actor_id: str
    values: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """An input request. `fields` (an array) and `metadata` are JSON text; `settled_at` is None while it is open."""

    project_id: ProjectId
    conversation_id: ConversationId
    id: UUID
    run_id: RunId
    tool_call_id: str
    status: InputStatus
    responder: Responder
    title: str
    description: str | None
    fields: str
    metadata: str | None
    created_at: datetime
    expires_at: datetime | None
    settled_at: datetime | None = None
    response: InputResponse | None = None

    @property
    def key(self) -> RunKey:
        """The run that asks."""
        return RunKey(self.project_id, self.run_id)

    def due(self, now: datetime) -> bool:
        """Whether it is open and its time is over."""
        return self.status is InputStatus.OPEN and self.expires_at is not None and self.expires_at <= now


def check_fields(fields: Sequence[Field]) -> None:
    """Raise InvalidRequest for a name that stands twice, and for a pattern that is no regular expression."""
    seen: set[str] = set()
    for place, field in enumerate(fields):
        if field["name"] in seen:
            raise InvalidRequest(
                f"Two fields are called `{field['name']}`: give each its own name.", pointer=f"/fields/{place}/name"
            )
        seen.add(field["name"])
        if "pattern" in field:
            try:
                _matcher(field["pattern"])
            except ValidationError:
                detail = f"`/fields/{place}/pattern` must be a regular expression."
                raise InvalidRequest(detail, pointer=f"/fields/{place}/pattern") from None


def check_values(fields: Sequence[Field], values: Values) -> None:
    """Raise InvalidRequest, with the name of the field, for a value that does not fit it, is unknown, or is missing."""
    known = {field["name"] for field in fields}
    for name in values:
        if name not in known:
            _refuse(name, "is no field of this form: remove it")
    for field in fields:
        value = values.get(field["name"])
        if value is not None and value != "":
            _check_value(field, value)
        elif field.get("required"):
            _refuse(field["name"], "is required")
        elif value == "" and field["type"] not in (*TEXT_TYPES, *CHOICE_TYPES):
            _refuse(field["name"], "must not be a string")


def shown_values(fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as a log may keep them: null in place of what was typed into a secret field."""
    secret = {field["name"] for field in fields if field.get("secret") or field["type"] == "password"}
    return {name: None if name in secret else value for name, value in values.items()}


def _check_value(field: Field, value: Value) -> None:
    name, kind = field["name"], field["type"]
    if kind == "number":
        _check_number(field, value)
    elif kind in SWITCH_TYPES:
        if not isinstance(value, bool):
            _refuse(name, "must be true or false")
    elif not isinstance(value, str):
        _refuse(name, "must be a string")
    elif kind in CHOICE_TYPES:
        if value not in [option["value"] for option in field["options"]]:
            _refuse(name, "must be one of the field's options")
    else:
        _check_text(field, value)


def _check_number(field: Field, value: Value) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(field["name"], "must be a number")
    elif value < field.get("min", -math.inf):
        _refuse(field["name"], f"must be at least {field['min']}")
    elif value > field.get("max", math.inf):
        _refuse(field["name"], f"must be at most {field['max']}")


def _check_text(field: Field, value: str) -> None:
    name = field["name"]
    if len(value) < field.get("minLength", 0):
        _refuse(name, f"must have at least {field['minLength']} characters")
    if len(value) > field.get("maxLength", math.inf):
        _refuse(name, f"must have at most {field['maxLength']} characters")
    if field["type"] == "email" and not _is_email(value):
        _refuse(name, "must be an e-mail address")
    if field["type"] == "url" and not _is_url(value):
        _refuse(name, "must be a URL")
    if "pattern" in field and not _matcher(field["pattern"]).is_valid(value):
        _refuse(name, "does not match the field's pattern")


def _is_email(value: str) -> bool:
    local, at, host = value.rpartition("@")
    return bool(local and at and host) and not any(letter.isspace() for letter in value)


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and not any(letter.isspace() for letter in value)


def _matcher(pattern: str) -> Draft202012Validator:
    """Matches whole texts, as a form does. Its engine bounds backtracking, so no pattern can hold the server up."""
    return Draft202012Validator({"pattern": f"^(?:{pattern})$"})


def _refuse(name: str, why: str) -> None:
    raise InvalidRequest(f"The value of the field `{name}` {why}.", pointer="/values" + pointer_token(name))
