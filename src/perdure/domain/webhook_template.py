"""From a delivery to a run: placeholders that stand for values of the payload, and which payloads start a run at all.

A placeholder is `{{ payload.a.0.b }}`: names and positions in arrays, with dots between them. Where a name holds a dot
or another unusual character, the rest is a JSON pointer (RFC 6901): `{{ payload/a.b/0 }}`. `{{ event }}` is the name of
the event where the sender says one beside the payload. Nothing is evaluated, and what is put in is not looked at again:
a payload can say what stands in a run's input, but not what else the template says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from perdure.domain.errors import InvalidRequest
from perdure.domain.json_text import pointer_token

MAX_PLACEHOLDERS: Final = 100
"""Of one template: each may put the whole payload in."""

_PLACEHOLDER: Final = re.compile(r"{{([^{}]*)}}")
_PATH: Final = re.compile(r"(payload|event)((?:\.[^\s./{}]+)*|(?:/[^{}]*)?)", re.DOTALL)
_POSITION: Final = re.compile(r"0|[1-9][0-9]{0,6}")


class Condition(msgspec.Struct, frozen=True):
    """One thing that a payload must be: the value at `path` equals one, is among several, or is there at all.

    `equals` and the members of `among` (`in` in JSON) are text, numbers, true, false or null.
    """

    path: str
    equals: object = UNSET
    among: list[object] | UnsetType = msgspec.field(default=UNSET, name="in")
    exists: bool | UnsetType = UNSET


def check_conditions(conditions: tuple[Condition, ...], pointer: str) -> None:
    """Refuse a path that is none, and a condition that says nothing or several things. Raises InvalidRequest."""
    for index, condition in enumerate(conditions):
        place = f"{pointer}/{index}"
        _path(condition.path, f"{place}/path")
        if [condition.equals, condition.among, condition.exists].count(UNSET) != 2:
            raise InvalidRequest(f"`{place}` must have one of `equals`, `in` and `exists`.", pointer=place)


def passes(conditions: tuple[Condition, ...], delivery: Mapping[str, object]) -> bool:
    """Whether a delivery fulfils all of them. What is not there equals nothing, not even null."""
    return all(_holds(condition, delivery) for condition in conditions)


def check_placeholders(template: object, pointer: str) -> None:
    """Refuse what looks like a placeholder and is none, and too many. Raises InvalidRequest with the place."""
    count = 0
    for place, text in _texts(template, pointer):
        for found in _PLACEHOLDER.finditer(text):
            _path(found.group(1).strip(), place)
            count += 1
        if "{{" in _PLACEHOLDER.sub("", text):
            raise InvalidRequest(f"`{place}` begins a placeholder, `{{{{`, that does not end.", pointer=place)
    if count > MAX_PLACEHOLDERS:
        raise InvalidRequest(f"`{pointer}` has {count} placeholders; {MAX_PLACEHOLDERS} may be.", pointer=pointer)


def render(template: object, delivery: Mapping[str, object]) -> object:
    """A template with the delivery's values.

    A text that is one placeholder becomes the value itself (null where it is not there); within other text, a value is
    written as text (`render_text`). The names of members stay as they are.
    """
    match template:
        case str():
            whole = _PLACEHOLDER.fullmatch(template)
            if whole is None:
                return render_text(template, delivery)
            found = _value(whole.group(1).strip(), delivery)
            return None if found is UNSET else found
        case dict():
            return {name: render(child, delivery) for name, child in template.items()}
        case list():
            return [render(child, delivery) for child in template]
        case _:
            return template


def render_text(template: str, delivery: Mapping[str, object]) -> str:
    """A text with the delivery's values: text as it is, nothing for null and what is not there, the rest as JSON."""

    def written(found: re.Match[str]) -> str:
        value = _value(found.group(1).strip(), delivery)
        if value is None or value is UNSET:
            return ""
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    return _PLACEHOLDER.sub(written, template)


def _holds(condition: Condition, delivery: Mapping[str, object]) -> bool:
    value = _value(condition.path, delivery)
    if condition.exists is not UNSET:
        return (value is not UNSET) is condition.exists
    wanted = [condition.equals] if condition.among is UNSET else condition.among
    return any(_same(value, one) for one in wanted)


def _same(value: object, wanted: object) -> bool:
    """Equality of JSON: 1 is 1.0, and true is not 1 as it is in Python."""
    return isinstance(value, bool) is isinstance(wanted, bool) and value == wanted


def _value(path: str, delivery: Mapping[str, object]) -> object:
    """What stands there; UNSET for nothing."""
    value: object = delivery
    for name in _path(path, ""):
        if isinstance(value, Mapping):
            value = value.get(name, UNSET)
        elif isinstance(value, list) and _POSITION.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return UNSET
    return value


def _path(path: str, pointer: str) -> tuple[str, ...]:
    found = _PATH.fullmatch(path)
    if found is None:
        raise InvalidRequest(
            f"`{pointer}`: a value of the delivery is named `payload`, `payload.name.0.name`, `payload/name/0/name` or "
            f"`event`, not {path[:60]!r}.",
            pointer=pointer,
        )
    root, rest = found.groups()
    if rest.startswith("/"):
        return (root, *(step.replace("~1", "/").replace("~0", "~") for step in rest[1:].split("/")))
    return (root, *rest.split(".")[1:])


def _texts(node: object, pointer: str) -> Iterator[tuple[str, str]]:
    match node:
        case str():
            yield pointer, node
        case dict():
            for name, child in node.items():
                yield from _texts(child, pointer + pointer_token(name))
        case list():
            for index, child in enumerate(node):
                yield from _texts(child, pointer + pointer_token(index))
        case _:
            pass
