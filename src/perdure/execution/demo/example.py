"""Arguments that fit a tool's JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 8


def example_of(schema: Mapping[str, Any], text: str) -> dict[str, object]:
    """An object with the required members of `schema`, or with all if none is required. `text` fills its strings.

    Follows `type`, `enum`, `const`, `default`, `anyOf`, `oneOf`, `allOf` and local references; other rules of a schema
    (patterns, say) it does not know.
    """
    found = _value(schema, schema, text, 0)
    return found if isinstance(found, dict) else {}


def _value(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> object:
    given = _given(schema)
    if given:
        return given[0]
    inner = _inner(schema, root)
    if inner is not None:
        return None if depth >= _DEEPEST else _value(inner, root, text, depth + 1)
    return _typed(schema, root, text, depth)


def _given(schema: Mapping[str, Any]) -> list[object]:
    """A value that the schema names, if it names one."""
    if "const" in schema:
        return [schema["const"]]
    if "default" in schema:
        return [schema["default"]]
    values = schema.get("enum")
    return values[:1] if isinstance(values, list) else []


def _inner(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that stands for this one."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: object = root
        for step in reference[2:].split("/"):
            target = target.get(step) if isinstance(target, Mapping) else None
        return target if isinstance(target, Mapping) else {}
    for name in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(name)
        if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
            return choices[0]
    return None


def _typed(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> object:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            return _object(schema, root, text, depth)
        case "array":
            items, least = schema.get("items"), schema.get("minItems", 0)
            return [_value(items, root, text, depth + 1)] if isinstance(items, Mapping) and least else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return text[: schema.get("maxLength", len(text))]


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> dict[str, object]:
    members, required = schema.get("properties"), schema.get("required")
    if not isinstance(members, Mapping) or depth >= _DEEPEST:
        return {}
    names = required if isinstance(required, list) and required else list(members)
    return {
        name: _value(members[name], root, text, depth + 1) for name in names if isinstance(members.get(name), Mapping)
    }
