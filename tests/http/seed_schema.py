"""Seed 002's schemas as data, and bodies made from their structure.

`seed_create_run.json` is a transcription of the structure (no descriptions) of the request body and of the 202 answer
of POST /runs in seed 002, still in its OpenAPI 3.0 dialect. Nothing here looks at Perdure's own schemas.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Path_ = tuple[str | int, ...]
Schema = dict[str, Any]

UUID_TEXT = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
LENGTHS = (0, 1, 2, 64, 65, 128, 129, 255, 256, 257, 512, 513, 1024, 1025, 2048, 2049, 16_384, 16_385)
COUNTS = (0, 1, 10, 11, 50, 51, 100, 101)

ODD_TEXTS = (
    "a\n",
    "\na",
    "a b",
    "-a",
    "1a",
    "_a",
    ".a:b-c_d",
    "é",
    "a/b",
    "agent",
    "project",
    "release",
    "none",
    "text",
    "json",
)
ODD_UUIDS = (
    UUID_TEXT,
    UUID_TEXT.upper(),
    UUID_TEXT.replace("-", ""),
    UUID_TEXT + "\n",
    "{" + UUID_TEXT + "}",
    "urn:uuid:" + UUID_TEXT,
    UUID_TEXT[:-1],
    UUID_TEXT[:-1] + "g",
    "00000000-0000-0000-0000-000000000000",
)
ODD_NUMBERS = (0, 1, -1, 0.0, 1.0, 30.0, 0.5, -0.0, 2**31, 2**53, 2**64, 10**30, 1e300, -1e300)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, [None], [{}], [[]], {"a": 1}, {"kind": "project"}, {"type": "text"}, ["a"], [1]),
    *ODD_NUMBERS,
    *ODD_TEXTS,
    *ODD_UUIDS,
)


@cache
def _seed_text() -> str:
    return (Path(__file__).parent / "seed_create_run.json").read_text()


def seed_request() -> Schema:
    """The request body's schema as the seed writes it (OpenAPI 3.0)."""
    schema: Schema = json.loads(_seed_text())["request"]
    return schema


def seed_accepted() -> Schema:
    """The 202 answer's schema as the seed writes it (OpenAPI 3.0)."""
    schema: Schema = json.loads(_seed_text())["accepted"]
    return schema


def modern(schema: Any) -> Any:
    """An OpenAPI 3.0 schema in JSON Schema 2020-12.

    `nullable` allows null beside the `type` and in the `enum`, and means nothing without a `type`;
    `exclusiveMinimum: true` turns the minimum into an exclusive one.
    """
    changed = dict(schema)
    if changed.pop("nullable", False) and "type" in changed:
        changed["type"] = [changed["type"], "null"]
        if "enum" in changed:
            changed["enum"] = [*changed["enum"], None]
    if changed.pop("exclusiveMinimum", False):
        changed["exclusiveMinimum"] = changed.pop("minimum")
    for keyword in ("oneOf", "anyOf"):
        if keyword in changed:
            changed[keyword] = [modern(branch) for branch in changed[keyword]]
    for keyword in ("items", "additionalProperties"):
        if isinstance(changed.get(keyword), dict):
            changed[keyword] = modern(changed[keyword])
    if "properties" in changed:
        changed["properties"] = {name: modern(value) for name, value in changed["properties"].items()}
    return changed


def _branches(schema: Schema) -> list[Schema]:
    return schema.get("oneOf") or schema.get("anyOf") or []


def examples(schema: Schema) -> list[Any]:
    """Valid values with every member present, so many that each word and each alternative occurs in one of them."""
    if branches := _branches(schema):
        return [value for branch in branches for value in examples(branch)]
    null = [None] if schema.get("nullable") else []
    if "enum" in schema:
        return [*schema["enum"], *null]
    match schema.get("type"):
        case "object":
            columns = {name: examples(value) for name, value in schema.get("properties", {}).items()}
            rows = max((len(values) for values in columns.values()), default=1)
            return [
                {name: values[min(row, len(values) - 1)] for name, values in columns.items()} for row in range(rows)
            ]
        case "array":
            return [[] if schema.get("maxItems") == 0 else examples(schema["items"])]
        case "string":
            return [UUID_TEXT if schema.get("format") == "uuid" else "a", *null]
        case "integer":
            return [1, 30.0, *null]
        case "boolean":
            return [True, False, *null]
        case _:
            return [{"a": [1, None]}, *null]


def smallest(schema: Schema) -> list[Any]:
    """Valid values with only what must be there, one for each alternative."""
    if branches := _branches(schema):
        return [value for branch in branches for value in smallest(branch)]
    if schema.get("type") != "object":
        return examples(schema)[:1]
    required = {name: smallest(schema["properties"][name]) for name in schema.get("required", ())}
    rows = max((len(values) for values in required.values()), default=1)
    return [{name: values[min(row, len(values) - 1)] for name, values in required.items()} for row in range(rows)]


@st.composite
def valid_bodies(draw: st.DrawFn, schema: Schema) -> Any:
    """Any value that fits, with any of its optional members."""
    if branches := _branches(schema):
        return draw(valid_bodies(draw(st.sampled_from(branches))))
    if schema.get("nullable") and draw(st.integers(0, 4)) == 0:
        return None
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema.get("type"):
        case "object":
            return _draw_object(draw, schema)
        case "array":
            size = draw(st.integers(0, min(schema.get("maxItems", 3), 3)))
            return [draw(valid_bodies(schema["items"])) for _ in range(size)]
        case "string":
            return draw(_texts(schema))
        case "integer":
            return draw(st.integers(1, 10**6) | st.sampled_from([1.0, 30.0, 2**31, 10**30]))
        case "boolean":
            return draw(st.booleans())
        case _:
            return draw(JSON_VALUES)


def _draw_object(draw: st.DrawFn, schema: Schema) -> dict[str, Any]:
    made = {}
    for name, value in schema.get("properties", {}).items():
        if name in schema.get("required", ()) or draw(st.booleans()):
            made[name] = draw(valid_bodies(value))
    if schema.get("additionalProperties") is not False:
        made.update({name: value for name, value in draw(_EXTRAS).items() if name not in made})
    return made


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    least, most = schema.get("minLength", 0), schema.get("maxLength", 300)
    if "pattern" in schema:
        return st.text("abcXYZ", min_size=least, max_size=most)
    return st.text(CHARACTERS, min_size=least, max_size=min(most, 20)) | st.just("a" * most) | st.just("😀" * most)


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS, max_size=5), inner, max_size=3),
    max_leaves=5,
)
_EXTRAS = st.dictionaries(st.text(CHARACTERS, max_size=5), JSON_VALUES, max_size=1)


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every place in a value, the value itself first."""
    yield path
    if isinstance(value, dict):
        for name, child in value.items():
            yield from places(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from places(child, (*path, index))


def at(value: Any, path: Path_) -> Any:
    """What stands at a place."""
    for step in path:
        value = value[step]
    return value


def changed(body: Any, path: Path_, value: Any) -> Any:
    """A copy of a body with another value at a place."""
    if not path:
        return value
    made = copy.deepcopy(body)
    at(made, path[:-1])[path[-1]] = value
    return made


def dropped(body: Any, path: Path_) -> Any:
    """A copy of a body without a place."""
    made = copy.deepcopy(body)
    del at(made, path[:-1])[path[-1]]
    return made


def variations(value: Any, names: dict[str, Any]) -> list[Any]:
    """Other values for a place that holds `value`: wrong types, lengths around every limit, members more."""
    if isinstance(value, dict):
        return [*ODD_VALUES, *({**value, name: extra} for name, extra in names.items() if name not in value)]
    if isinstance(value, list):
        filler = value[0] if value else None
        return [*ODD_VALUES, *([filler] * count for count in COUNTS)]
    if isinstance(value, str):
        return [
            *ODD_VALUES,
            *("a" * length for length in LENGTHS),
            *("😀" * length for length in (64, 128, 129, 255, 256)),
        ]
    return list(ODD_VALUES)


def names_of(schema: Schema) -> dict[str, Any]:
    """Every member name that the seed knows anywhere, each with a value that fits it somewhere, and an unknown one."""
    found: dict[str, Any] = {"unheard_of": 1}
    for branch in _branches(schema):
        found.update(names_of(branch))
    for name, value in schema.get("properties", {}).items():
        found.setdefault(name, examples(value)[0])
        found.update({inner: extra for inner, extra in names_of(value).items() if inner not in found})
    if isinstance(schema.get("items"), dict):
        found.update({inner: extra for inner, extra in names_of(schema["items"]).items() if inner not in found})
    return found


@st.composite
def any_bodies(draw: st.DrawFn, schema: Schema) -> Any:
    """A valid body, changed in up to three places."""
    body = draw(valid_bodies(schema))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(body))))
        if path and draw(st.integers(0, 3)) == 0:
            body = dropped(body, path)
        else:
            others = variations(at(body, path), names_of(schema))
            body = changed(body, path, draw(st.sampled_from(others) | JSON_VALUES))
    return body
