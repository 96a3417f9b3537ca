"""Small builders of JSON Schema (2020-12, as in OpenAPI 3.1), so that a schema reads like what it says.

Each call answers a new dict: a schema is never shared, so nobody can change another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JsonSchema = dict[str, Any]


def anything() -> JsonSchema:
    """Any JSON value."""
    return {}


def text(
    min_length: int | None = None,
    max_length: int | None = None,
    *,
    pattern: str | None = None,
    description: str | None = None,
) -> JsonSchema:
    """A string; lengths count code points, and `pattern` is an ECMA regular expression."""
    return _set(type="string", minLength=min_length, maxLength=max_length, pattern=pattern, description=description)


def uuid(description: str | None = None) -> JsonSchema:
    """A UUID in its usual form with hyphens; the format is asserted when we validate."""
    return _set(type="string", format="uuid", description=description)


def choice(*values: str, description: str | None = None) -> JsonSchema:
    """One of these words."""
    return _set(type="string", enum=list(values), description=description)


def integer(minimum: int | None = None, *, above: int | None = None, description: str | None = None) -> JsonSchema:
    """A whole number (`1.0` is one, too), at least `minimum` or greater than `above`."""
    return _set(type="integer", minimum=minimum, exclusiveMinimum=above, description=description)


def number(*, description: str | None = None) -> JsonSchema:
    """A number, whole or not."""
    return _set(type="number", description=description)


def boolean(*, default: bool | None = None, description: str | None = None) -> JsonSchema:
    """True or false."""
    return _set(type="boolean", default=default, description=description)


def array(items: JsonSchema, *, max_items: int | None = None, description: str | None = None) -> JsonSchema:
    """A list."""
    return _set(type="array", items=items, maxItems=max_items, description=description)


def members(
    properties: Mapping[str, JsonSchema],
    *,
    required: tuple[str, ...] = (),
    closed: bool = True,
    title: str | None = None,
    description: str | None = None,
) -> JsonSchema:
    """An object with these members; a `closed` one accepts no others."""
    return _set(
        type="object",
        properties=dict(properties),
        required=list(required) or None,
        additionalProperties=False if closed else None,
        title=title,
        description=description,
    )


def free_object(description: str | None = None) -> JsonSchema:
    """An object with any members."""
    return _set(type="object", description=description)


def nullable(schema: JsonSchema) -> JsonSchema:
    """What `schema` accepts, or null. The schema must have a `type`."""
    changed = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        changed["enum"] = [*schema["enum"], None]
    return changed


def _set(**keywords: object) -> JsonSchema:
    return {name: value for name, value in keywords.items() if value is not None}
