"""Validates bodies with a JSON Schema, and says in words why one does not fit: where, what belongs there, what came.

A validator's own message for `oneOf` is "not valid under any of the given schemas", and collecting all of its errors
for a large body takes gigabytes. So the first problem is looked for here, by asking the compiled sub-schemas on the way
down, and of several alternatives the one that the body was most likely meant to be is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from jsonschema_rs import validator_map_for

from perdure.domain.errors import InvalidRequest
from perdure.domain.json_text import pointer_token
from perdure.http.json_schema import JsonSchema

_SHOWN: Final = 60
"""How much of a caller's own text an error repeats, in characters."""

_Steps = tuple[str | int, ...]


class SchemaCheck:
    """A schema of the forms that `json_schema.py` builds, compiled once. Formats (uuid) are asserted."""

    def __init__(self, schema: JsonSchema) -> None:
        self._schema = schema
        self._validators = validator_map_for(schema, validate_formats=True)
        self._whole = self._validators["#"]

    def check(self, body: object) -> None:
        """Raises InvalidRequest, with the pointer of the offending place, when `body` does not fit."""
        if not self._whole.is_valid(body):
            self._explain(_Node(self._schema, (), body, ()))

    def _fits(self, node: _Node) -> bool:
        return self._validators["#" + _pointer(node.schema_path)].is_valid(node.value)

    def _explain(self, node: _Node, note: str = "") -> NoReturn:
        """Raises the first problem of a node that does not fit. `note` says which alternative it is read as."""
        schema, value = node.schema, node.value
        alternatives = node.alternatives()
        if alternatives and isinstance(value, dict):
            self._explain_alternatives(node, alternatives, note)
        if isinstance(value, dict) and "properties" in schema:
            self._explain_members(node, note)
        if isinstance(value, list) and "items" in schema and len(value) <= schema.get("maxItems", len(value)):
            self._explain_first(node.items(), note)
        _mismatch(node.path, describe(schema), note, value)

    def _explain_first(self, children: Iterable[_Node], note: str) -> None:
        unfit = next((child for child in children if not self._fits(child)), None)
        if unfit is not None:
            self._explain(unfit, note)

    def _explain_members(self, node: _Node, note: str) -> None:
        for name in node.unknown():
            known = ", ".join(sorted(node.schema["properties"]))
            place = (*node.path, _short(name))
            _fail(place, f"Remove {_place(place)}: no such member is known{note}. Known here: {known}.")
        for name in node.missing():
            _missing((*node.path, name), describe(node.schema["properties"][name]), note)
        self._explain_first(node.members(), note)

    def _explain_alternatives(self, node: _Node, alternatives: list[_Node], note: str) -> NoReturn:
        tag = _tag([alternative.schema for alternative in alternatives])
        if tag is None:
            chosen = min(alternatives, key=lambda alternative: self._distance(alternative, 2))
            title = chosen.schema.get("title")
            self._explain(chosen, f" in a {title}" if title else note)
        words = [alternative.schema["properties"][tag]["enum"][0] for alternative in alternatives]
        place = (*node.path, tag)
        if tag not in node.value:
            _missing(place, describe({"enum": words}), note)
        if node.value[tag] not in words:
            _mismatch(place, describe({"enum": words}), note, node.value[tag])
        self._explain(alternatives[words.index(node.value[tag])], note)

    def _distance(self, node: _Node, weight: int) -> int:
        """How far a value is from a schema: problems in the shape of the value itself weigh `weight`, others one."""
        if self._fits(node):
            return 0
        if not isinstance(node.value, dict) or "properties" not in node.schema:
            return 1
        shape = len(node.unknown()) + len(node.missing())
        return weight * shape + sum(self._distance(child, 1) for child in node.members())


@dataclass(frozen=True, slots=True)
class _Node:
    """A value, the schema that it must fit, and where both stand."""

    schema: JsonSchema
    schema_path: _Steps
    value: Any
    path: _Steps

    def alternatives(self) -> list[_Node]:
        for keyword in ("oneOf", "anyOf"):
            if keyword in self.schema:
                branches = enumerate(self.schema[keyword])
                return [
                    _Node(branch, (*self.schema_path, keyword, index), self.value, self.path)
                    for index, branch in branches
                ]
        return []

    def unknown(self) -> list[str]:
        if self.schema.get("additionalProperties", True):
            return []
        return [name for name in self.value if name not in self.schema["properties"]]

    def missing(self) -> list[str]:
        return [name for name in self.schema.get("required", ()) if name not in self.value]

    def members(self) -> list[_Node]:
        known: Mapping[str, JsonSchema] = self.schema["properties"]
        return [
            _Node(schema, (*self.schema_path, "properties", name), self.value[name], (*self.path, name))
            for name, schema in known.items()
            if name in self.value
        ]

    def items(self) -> Iterator[_Node]:
        schema, path = self.schema["items"], (*self.schema_path, "items")
        return (_Node(schema, path, item, (*self.path, index)) for index, item in enumerate(self.value))


def describe(schema: JsonSchema) -> str:
    """What a schema accepts, in words: `a string of 1 to 64 characters`, `one of "a", "b"`, `a UUID or null`."""
    if "enum" in schema:
        words = [json.dumps(value) for value in schema["enum"]]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if "anyOf" in schema or "oneOf" in schema:
        branches = schema.get("anyOf") or schema["oneOf"]
        return " or ".join(dict.fromkeys(describe(branch) for branch in branches))
    types = schema.get("type", "any value")
    named = types if isinstance(types, list) else [types]
    return " or ".join(_described_type(name, schema) for name in named)


def _described_type(name: str, schema: JsonSchema) -> str:
    match name:
        case "string":
            return _described_text(schema)
        case "integer":
            return _described_integer(schema)
        case "array":
            return _described_array(schema)
        case "object":
            return "an object"
        case "boolean":
            return "true or false"
        case _:
            return name


def _described_text(schema: JsonSchema) -> str:
    if schema.get("format") == "uuid":
        return "a UUID"
    least, most = schema.get("minLength"), schema.get("maxLength")
    words = "a string"
    if least and most:
        words += f" of {least} to {most} characters"
    elif most:
        words += f" of at most {most} characters"
    elif least:
        words += f" of at least {least} character{'s' if least > 1 else ''}"
    return words + (f" that matches {schema['pattern']}" if "pattern" in schema else "")


def _described_integer(schema: JsonSchema) -> str:
    if "exclusiveMinimum" in schema:
        return f"an integer greater than {schema['exclusiveMinimum']}"
    return f"an integer of at least {schema['minimum']}" if "minimum" in schema else "an integer"


def _described_array(schema: JsonSchema) -> str:
    most = schema.get("maxItems")
    if most is None:
        return "an array"
    return f"an array of at most {most} items" if most else "an empty array"


def _tag(branches: Sequence[JsonSchema]) -> str | None:
    """The member whose single word tells the branches apart, if there is one."""
    for name in branches[0].get("properties", {}):
        words = [branch.get("properties", {}).get(name, {}).get("enum", ()) for branch in branches]
        if all(len(word) == 1 for word in words) and len({word[0] for word in words}) == len(words):
            return str(name)
    return None


def _missing(path: _Steps, expected: str, note: str) -> NoReturn:
    _fail(path, f"Add {_place(path)}, {expected}: it is required{note}.")


def _mismatch(path: _Steps, expected: str, note: str, found: object) -> NoReturn:
    _fail(path, f"{_place(path)} must be {expected}{note}, not {_shown(found)}.")


def _fail(path: _Steps, detail: str) -> NoReturn:
    raise InvalidRequest(detail[:1].upper() + detail[1:], pointer=_pointer(path))


def _pointer(path: _Steps) -> str:
    return "".join(map(pointer_token, path))


def _place(path: _Steps) -> str:
    return f"`{_short(_pointer(path))}`" if path else "the body"


def _shown(value: object) -> str:
    """A value as an error repeats it: text, numbers and words themselves, containers by their sort."""
    match value:
        case dict():
            return "an object"
        case list():
            return f"an array of {len(value)}" if value else "an empty array"
        case str() if len(value) > _SHOWN:
            return f"{json.dumps(_short(value), ensure_ascii=False)} ({len(value)} characters)"
        case _:
            return _short(json.dumps(value, ensure_ascii=False))


def _short(words: str) -> str:
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
